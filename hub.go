package inproq

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/inproq/inproq/store"
)

// A note is an Event on its way to those who want it.
type note struct {
	Event
	message  *store.Message // that it concerns; valid while the note is being passed on; nil: none, or only its ID is known
	implicit bool           // of an acknowledgement: no call has decided it
}

// A hub passes events on. While nobody wants any, that costs one atomic load where
// they would arise.
type hub struct {
	wanted atomic.Uint64 // kinds that somebody wants, as bits

	mu      sync.Mutex
	readers []*reader
	taps    []*tap
	closed  bool
}

// A tap is called with every note, by whoever causes it.
type tap struct{ f func(*note) }

// A reader keeps events until they are read: up to readerRoom, later ones are
// counted.
type reader struct {
	kinds uint64
	wake  chan struct{} // holds one signal

	mu     sync.Mutex
	events []Event
	lost   int64
	ended  bool
}

// readerRoom is the number of events that a reader may be behind.
const readerRoom = 4096

// wants reports whether anybody wants an event of these kinds.
func (h *hub) wants(kinds uint64) bool { return h.wanted.Load()&kinds != 0 }

// tell passes an event on.
func (h *hub) tell(n *note) {
	bit := n.Kind.bit()
	h.mu.Lock()
	taps, readers := h.taps, h.readers // replaced, never changed
	h.mu.Unlock()
	for _, t := range taps {
		t.f(n)
	}
	for _, r := range readers {
		if r.kinds&bit != 0 {
			r.put(n.Event)
		}
	}
}

func (r *reader) put(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.ended:
		return
	case len(r.events) >= readerRoom:
		r.lost++
		return
	}
	r.events = append(r.events, e)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take returns what has come, after it has waited for something. It reports false when
// ctx or the hub has ended and there is nothing more.
func (r *reader) take(ctx context.Context, buf []Event) (events []Event, lost int64, ok bool) {
	for {
		r.mu.Lock()
		events, lost = r.events, r.lost
		r.events, r.lost = buf[:0], 0
		ended := r.ended
		r.mu.Unlock()
		if len(events) > 0 || lost > 0 || ended || ctx.Err() != nil {
			return events, lost, (len(events) > 0 || lost > 0) && ctx.Err() == nil
		}
		buf = events
		select {
		case <-r.wake:
		case <-ctx.Done():
		}
	}
}

// end lets a reader read what it has, and no more.
func (r *reader) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// subscribe adds a reader.
func (h *hub) subscribe(kinds uint64) *reader {
	r := &reader{kinds: kinds, wake: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		r.end()
		return r
	}
	h.readers = append(slices.Clone(h.readers), r)
	h.recount()
	return r
}

// unsubscribe lets a reader go.
func (h *hub) unsubscribe(r *reader) {
	r.end()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readers = without(h.readers, r)
	h.recount()
}

// tapInto has f called with every note until stop is called. It must return soon, and
// may not call the broker.
func (h *hub) tapInto(f func(*note)) (stop func()) {
	t := &tap{f}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taps = append(slices.Clone(h.taps), t)
	h.recount()
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.taps = without(h.taps, t)
		h.recount()
	}
}

// close ends all readers.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, r := range h.readers {
		r.end()
	}
	h.readers = nil
	h.recount()
}

// recount finds out which kinds are wanted. The caller holds mu.
func (h *hub) recount() {
	var kinds uint64
	for _, r := range h.readers {
		kinds |= r.kinds
	}
	if len(h.taps) > 0 {
		kinds = allKinds
	}
	h.wanted.Store(kinds)
}

// without returns a copy of s that lacks x.
func without[T comparable](s []T, x T) []T {
	return slices.DeleteFunc(slices.Clone(s), func(y T) bool { return y == x })
}
