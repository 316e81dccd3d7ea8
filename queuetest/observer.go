package queuetest

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/internal/testhook"
	"github.com/inproq/inproq/store"
)

// An Observer keeps what happens to the messages of one queue, by whatever handler,
// producer or pull of its broker. It misses nothing of that, and is not late: what a call
// has done is there when the call has returned, and what handlers have done when [Drain]
// or synctest.Wait has. It is safe for concurrent use.
//
// Of messages that were purged or have expired only the number is known: String and the
// assertions tell it, and the messages stay as they were last seen.
//
// Its methods return bodies in the order in which it happened, nil if it did not; a
// message that was retried twice is there twice. Bodies are as handlers get them,
// encoded and decoded: do not change them. Messages whose body does not decode, or
// is not known because only a lease was named, are left out of the lists, but not of
// what assertions report and String returns.
type Observer[T any] struct {
	queue *inproq.Queue[T]

	mu      sync.Mutex
	ended   bool
	stories map[inproq.MessageID]*story[T]
	order   []*story[T] // as they were met
	log     []entry[T]
	purged  int64
	expired int64
}

// An entry says that something happened to a message.
type entry[T any] struct {
	kind  inproq.EventKind
	story *story[T]
}

// arrived is the kind of what another queue calls EventDeadLettered or EventRedriven.
const arrived inproq.EventKind = "arrived"

// Observe watches a queue from now on until the test ends. Call it before [Start],
// so that it also sees what is delivered while the broker shuts down.
func Observe[T any](t testing.TB, q *inproq.Queue[T]) *Observer[T] {
	t.Helper()
	o := &Observer[T]{queue: q, stories: make(map[inproq.MessageID]*story[T])}
	stop := testhook.Tap(testhook.Broker(q), func(event any, m *store.Message, _ bool) {
		o.note(event.(inproq.Event), m)
	})
	t.Cleanup(func() {
		stop()
		o.mu.Lock()
		defer o.mu.Unlock()
		o.ended = true // a call may be under way
	})
	return o
}

// note takes an event up if it concerns a message of the queue.
func (o *Observer[T]) note(e inproq.Event, m *store.Message) {
	if e.Kind == inproq.EventPurged || e.Kind == inproq.EventExpired {
		o.noteGone(e)
		return
	}
	if e.Message == (inproq.MessageID{}) || e.Kind == inproq.EventCallIgnored {
		return
	}
	step := step{kind: e.Kind, delay: e.Delay, place: e.To, err: e.Err}
	switch name := o.queue.Name(); {
	case e.Queue == name:
	case e.To == name:
		step.kind, step.place, step.err = arrived, e.Queue, nil
	default:
		return
	}
	fresh := o.read(e.Message, m)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return
	}
	s := o.stories[e.Message]
	switch {
	case s == nil:
		s = fresh
		o.stories[e.Message] = s
		o.order = append(o.order, s)
	case fresh.known && !s.known:
		s.body, s.known = fresh.body, true
	}
	s.steps = append(s.steps, step)
	o.log = append(o.log, entry[T]{step.kind, s})
}

// noteGone counts messages that are gone without having been with a handler.
func (o *Observer[T]) noteGone(e inproq.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.ended || e.Queue != o.queue.Name():
	case e.Kind == inproq.EventPurged:
		o.purged += e.Count
	default:
		o.expired += e.Count
	}
}

// read makes a story of a message. It decodes without the lock, because that may
// call code of the body's type.
func (o *Observer[T]) read(id inproq.MessageID, m *store.Message) *story[T] {
	s := &story[T]{id: id}
	if m == nil {
		s.raw = fmt.Sprintf("message %v", id)
		return s
	}
	own := store.Message{Body: bytes.Clone(m.Body), ContentType: m.ContentType}
	err := testhook.Decode(o.queue, &own, &s.body)
	if s.known = err == nil; !s.known {
		s.body = *new(T) // perhaps a part of it
		s.raw = fmt.Sprintf("%s that does not decode (%s)", rawText(m), oneLine(err.Error()))
	}
	return s
}

// Sent returns what producers have sent. What was moved here is not among it; see
// Arrived.
func (o *Observer[T]) Sent() []T { return o.bodies(inproq.EventSent) }

// Arrived returns what was moved here from other queues: their dead letters, and what
// Redrive has brought back.
func (o *Observer[T]) Arrived() []T { return o.bodies(arrived) }

// Delivered returns what was handed to a handler or a pull.
func (o *Observer[T]) Delivered() []T { return o.bodies(inproq.EventDelivered) }

// Acked returns what was acknowledged.
func (o *Observer[T]) Acked() []T { return o.bodies(inproq.EventAcked) }

// Retried returns what was retried, to be delivered again.
func (o *Observer[T]) Retried() []T { return o.bodies(inproq.EventRetried) }

// DeadLettered returns what was moved to the dead-letter queue.
func (o *Observer[T]) DeadLettered() []T { return o.bodies(inproq.EventDeadLettered) }

// Dropped returns what was deleted because it had no attempt left, and the consumer
// no dead-letter queue.
func (o *Observer[T]) Dropped() []T { return o.bodies(inproq.EventDropped) }

func (o *Observer[T]) bodies(kind inproq.EventKind) []T {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []T
	for _, e := range o.log {
		if e.kind == kind && e.story.known {
			list = append(list, e.story.body)
		}
	}
	return list
}

// String tells what became of each message, in a line for each, and how many were purged
// or have expired.
func (o *Observer[T]) String() string {
	var b strings.Builder
	c := o.chronicle("")
	for _, s := range c.all {
		fmt.Fprintln(&b, s.line())
	}
	for _, l := range c.gone {
		fmt.Fprintln(&b, l)
	}
	return b.String()
}

// gone says how many messages were purged or have expired.
func gone(purged, expired int64) (lines []line) {
	if purged > 0 {
		lines = append(lines, line{"purged", fmt.Sprintf("%d messages of the queue", purged)})
	}
	if expired > 0 {
		lines = append(lines, line{"expired", fmt.Sprintf("%d messages of the queue", expired)})
	}
	return lines
}

// chronicle is what happened in the queue, and to whom what of the kind did.
func (o *Observer[T]) chronicle(kind inproq.EventKind) chronicle[T] {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := chronicle[T]{where: fmt.Sprintf("queue %q", o.queue.Name()), unknown: "not seen in the queue", gone: gone(o.purged, o.expired)}
	copies := make(map[*story[T]]*story[T], len(o.order))
	for _, s := range o.order {
		now := *s // its steps are only ever appended to
		copies[s] = &now
		c.all = append(c.all, &now)
	}
	for _, e := range o.log {
		if e.kind == kind {
			c.happened = append(c.happened, copies[e.story])
		}
	}
	return c
}

func (o *Observer[T]) sends() chronicle[T] { return o.chronicle(inproq.EventSent) }

func (o *Observer[T]) outcomes(kind inproq.EventKind) chronicle[T] { return o.chronicle(kind) }
