package queuetest

import (
	"context"
	"errors"
	"slices"

	"github.com/inproq/inproq/store"
)

// errCrash is what a Settle returns that has not arrived. It is not ErrUnavailable, or
// the broker would try again, which a dead process does not.
var errCrash = errors.New("queuetest: crash before the settlement arrived")

// Settle settles those messages that are to be settled, as the seed says.
func (s *FaultStore) Settle(ctx context.Context, queue string, outcomes []store.Outcome) ([]int, error) {
	x := s.tamper(queue, outcomes)
	lost, err := s.inner.Settle(ctx, queue, x.list)
	if err != nil {
		x.withdraw()
		return nil, err
	}
	return x.conclude(lost)
}

// A tampering is a Settle with faults.
type tampering struct {
	store    *FaultStore
	queue    string
	outcomes []store.Outcome // as the broker wants them
	list     []store.Outcome // as the inner store gets them
	index    []int           // in outcomes, of those in list
	lost     []int           // of those that it does not get
	charged  []*delivery     // by index in list: has cost an attempt; nil: has not
	refused  []*delivery     // what an unavailable store does not settle
	fails    bool            // the store is unavailable
}

// tamper decides what arrives of a settlement.
func (s *FaultStore) tamper(queue string, outcomes []store.Outcome) *tampering {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := &tampering{store: s, queue: queue, outcomes: outcomes}
	for i := range outcomes {
		switch d := s.leases[outcomes[i].Lease]; {
		case d == nil || !final(outcomes[i].Verb):
		case d.fault == settleRefused:
			x.refused = append(x.refused, d)
			x.fails = true
		case d.fault == settleUnanswered:
			x.fails = true
		}
	}
	for i, o := range outcomes {
		f := noFault
		var charged *delivery
		d := s.leases[o.Lease]
		if d != nil {
			f = d.fault
		}
		switch {
		case f == expire && o.Verb != store.Release:
			// Also if nobody else has it yet: it is as good as leased to another.
			x.lost = append(x.lost, i)
			continue
		case x.fails && (f != settleUnanswered || !final(o.Verb)):
			continue // it comes with the next call
		case f == crash && final(o.Verb):
			o = store.Outcome{Lease: o.Lease, Verb: store.Retry, Delay: s.leftover(queue, d.message, d.attempt)}
			charged = d
		case f == duplicate && o.Verb == store.Ack:
			o = store.Outcome{Lease: o.Lease, Verb: store.Retry}
			charged = d
		}
		if charged != nil {
			d.message.charge(f)
		}
		x.list, x.index, x.charged = append(x.list, o), append(x.index, i), append(x.charged, charged)
	}
	return x
}

// withdraw takes back what was charged for a settlement that has failed: a repeated
// call decides the same.
func (x *tampering) withdraw() {
	x.store.mu.Lock()
	defer x.store.mu.Unlock()
	for i := range x.charged {
		x.refund(i)
	}
}

// refund takes back what was charged for the outcome at i of list, if anything.
func (x *tampering) refund(i int) {
	if d := x.charged[i]; d != nil {
		d.message.refund(d.fault, x.queue)
	}
}

// final reports whether a verb says what becomes of a message that was handled.
func final(v store.Verb) bool { return v == store.Ack || v == store.Retry || v == store.Move }

// conclude takes down what has happened, and returns what the broker is told.
func (x *tampering) conclude(lost []int) ([]int, error) {
	s := x.store
	s.mu.Lock()
	defer s.mu.Unlock()
	crashed := false
	for i, at := range x.index {
		o := &x.outcomes[at]
		d := s.leases[o.Lease]
		if slices.Contains(lost, i) {
			x.refund(i)
			delete(s.leases, o.Lease) // else a repeated call would fail again
			x.lost = append(x.lost, at)
			continue
		}
		if d == nil || o.Verb == store.Extend {
			continue
		}
		delete(s.leases, o.Lease)
		switch f := d.fault; {
		case f == duplicate && o.Verb == store.Ack, f == settleUnanswered && final(o.Verb):
			s.note(f, x.queue, d.message, d.attempt)
		case f == crash && final(o.Verb):
			s.note(f, x.queue, d.message, d.attempt)
			crashed = true
		}
	}
	for _, d := range x.refused {
		s.note(settleRefused, x.queue, d.message, d.attempt)
		d.fault = noFault
	}
	switch {
	case x.fails:
		return nil, s.unavailable("Settle")
	case crashed:
		return nil, errCrash
	}
	slices.Sort(x.lost)
	return x.lost, nil
}
