package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/inproq/inproq/store"
)

// inletChecks are for stores that are Local, beside the whole suite, which then
// runs once more with every single send through an Inlet.
var inletChecks = []check{
	{
		name:        "Sent",
		explanation: "Sent is the number of messages that this inlet has accepted",
		run: func(t *trial) {
			t.create("q")
			local := t.store.(store.Local)
			one, other := t.inlet("q"), t.inlet("q")
			for i, m := range numbered(10) {
				m.Delay = time.Duration(i%2) * t.unit
				in := one
				if i < 3 {
					in = other
				}
				_, err := in.Send(t.ctx, m, local.Now())
				t.ok("Send", err)
			}
			t.send("q", msg("m"))
			if one.Sent() != 7 || other.Sent() != 3 {
				t.Fatalf("Sent is %d and %d, want 7 and 3", one.Sent(), other.Sent())
			}
		},
	},
	{
		name:        "DeletedQueue",
		explanation: "an inlet is good until its queue is deleted, and stays useless when the name is taken anew",
		run: func(t *trial) {
			t.create("q")
			local, in := t.store.(store.Local), t.inlet("q")
			_, err := in.Send(t.ctx, msg("m"), local.Now())
			t.ok("Send", err)
			t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "q"))
			for range 2 {
				_, err = in.Send(t.ctx, msg("m"), local.Now())
				t.fails("Send", err, store.ErrQueueNotFound)
				t.create("q")
				t.nothing("q")
				t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "q"))
			}
			if in.Sent() != 1 {
				t.Fatalf("Sent is %d, want 1", in.Sent())
			}
			_, err = local.Inlet("q")
			t.fails("Inlet", err, store.ErrQueueNotFound)
		},
	},
	{
		name:        "Clock",
		explanation: "Now is the time on the store's clock, in nanoseconds since 1970",
		run: func(t *trial) {
			t.create("q")
			local := t.store.(store.Local)
			before := local.Now()
			t.send("q", msg("m"))
			after := local.Now()
			if sent := t.one("q").Sent.UnixNano(); sent < before || sent > after {
				t.Fatalf("a message sent between %d and %d has Sent %d", before, after, sent)
			}
		},
	},
}

func (t *trial) inlet(queue string) store.Inlet {
	t.Helper()
	in, err := t.store.(store.Local).Inlet(queue)
	t.ok("Inlet", err)
	return in
}

// throughInlets makes a harness whose stores take single messages through an
// Inlet.
func (h Harness) throughInlets() Harness {
	plain := h
	h.Open = func(tb testing.TB) store.Store { return newInletStore(plain.Open(tb)) }
	if plain.Reopen != nil {
		h.Reopen = func(tb testing.TB, old store.Store) store.Store {
			return newInletStore(plain.Reopen(tb, old.(*inletStore).Store))
		}
	}
	return h
}

type inletStore struct {
	store.Store
	local store.Local

	mu     sync.Mutex
	inlets map[string]store.Inlet
}

func newInletStore(s store.Store) *inletStore {
	return &inletStore{Store: s, local: s.(store.Local), inlets: map[string]store.Inlet{}}
}

func (s *inletStore) Enqueue(ctx context.Context, queue string, msgs []store.Message) (store.Stats, error) {
	if len(msgs) != 1 || ctx.Err() != nil {
		return s.Store.Enqueue(ctx, queue, msgs)
	}
	in, err := s.inlet(queue)
	if err != nil {
		return store.Stats{}, err
	}
	r, err := in.Send(ctx, msgs[0], s.local.Now())
	if errors.Is(err, store.ErrQueueNotFound) {
		s.mu.Lock()
		delete(s.inlets, queue)
		s.mu.Unlock()
		if in, err = s.inlet(queue); err == nil {
			r, err = in.Send(ctx, msgs[0], s.local.Now())
		}
	}
	if err != nil {
		return store.Stats{}, err
	}
	st := store.Stats{Messages: r.Messages, Bytes: r.Bytes, Delayed: -1, Leased: -1, Expired: -1, ExpiredBytes: -1}
	if r.Oldest != 0 {
		st.Oldest = time.Unix(0, r.Oldest)
	}
	return st, nil
}

// inlet keeps the inlets, as a sender would.
func (s *inletStore) inlet(queue string) (store.Inlet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in := s.inlets[queue]; in != nil {
		return in, nil
	}
	in, err := s.local.Inlet(queue)
	if err == nil {
		s.inlets[queue] = in
	}
	return in, err
}
