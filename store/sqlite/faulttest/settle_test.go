package faulttest

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/inproq/inproq/store"
)

// settle settles deliveries of a queue, all in one way.
func (l *load) settle(queue string, verb store.Verb, ds []store.Delivery, chance *rand.Rand) error {
	o := store.Outcome{Verb: verb}
	switch verb {
	case store.Retry:
		o.Delay = []time.Duration{0, time.Millisecond, forever}[chance.IntN(3)]
	case store.Extend:
		o.Delay = time.Millisecond
	case store.Move:
		o.To = second
		if queue == second {
			o.To = first
		}
	}
	begin, end := changes(o)
	versions := l.books.begin(idsOf(ds), begin)
	outcomes := make([]store.Outcome, len(ds))
	for i, d := range ds {
		outcomes[i] = o
		outcomes[i].Lease = d.Lease
	}
	lost, err := l.s.Settle(context.Background(), queue, outcomes)
	if err != nil {
		return err
	}
	for i, d := range ds {
		switch {
		case slices.Contains(lost, i):
		case verb == store.Ack: // nothing can come after it
			l.books.confirm([]store.ID{d.ID}, func(e *entry) { e.gone = true })
		default:
			l.books.end(d.ID, versions[i], func(e *entry) { end(e, d.Attempts) })
		}
	}
	return nil
}

// changes returns what an outcome means for the ledger when it begins, and when it was
// confirmed.
func changes(o store.Outcome) (begin func(e *entry), end func(e *entry, attempts int)) {
	begin = func(*entry) {}
	end = func(*entry, int) {}
	switch o.Verb {
	case store.Ack:
		begin = func(e *entry) { e.leaving = true }
	case store.Retry:
		end = func(e *entry, attempts int) { e.held, e.attempts = o.Delay >= forever, attempts }
	case store.Move:
		begin = func(e *entry) { e.moving = true }
		end = func(e *entry, _ int) { e.queue, e.moving, e.attempts = o.To, false, 0 }
	}
	return begin, end
}

func idsOf(ds []store.Delivery) []store.ID {
	ids := make([]store.ID, len(ds))
	for i, d := range ds {
		ids[i] = d.ID
	}
	return ids
}
