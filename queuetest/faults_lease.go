package queuetest

import (
	"context"
	"slices"

	"github.com/inproq/inproq/store"
)

// A delivery is one that the broker has, guarded by the store's mu.
type delivery struct {
	message *message
	attempt int
	fault   fault // what it is to suffer, or has suffered if it is expire
}

// Lease leases, and then does to the messages what the seed says.
func (s *FaultStore) Lease(ctx context.Context, queue string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
	out, err := s.inner.Lease(ctx, queue, c, buf)
	if err != nil || len(out) == len(buf) {
		return out, err
	}
	ctx = context.WithoutCancel(ctx) // they are leased: what begins here is finished
	found := s.reorder(ctx, queue, &c, out[len(buf):])
	if s.refuse(ctx, queue, found) {
		return out[:len(buf)], s.unavailable("Lease")
	}
	s.hand(ctx, queue, found)
	return append(out[:len(buf)], found...), nil
}

// reorder changes places within the batch, and gives back messages that are to come
// later. If that would be all, it takes others in their place, or keeps them if there
// are none. The result may share the memory of found.
func (s *FaultStore) reorder(ctx context.Context, queue string, c *store.Claim, found []store.Delivery) []store.Delivery {
	moving, later := s.drawPlaces(queue, found)
	if len(later) == 0 {
		return s.shuffle(queue, found, moving)
	}
	var rest []store.Delivery
	if len(later) < len(found) {
		for i := range found {
			if !slices.Contains(later, i) {
				rest = append(rest, found[i])
			}
		}
		rest = s.shuffle(queue, rest, moving)
	} else {
		claim := store.Claim{Max: len(found), Bytes: c.Bytes, Visibility: c.Visibility}
		if rest, _ = s.inner.Lease(ctx, queue, claim, nil); len(rest) == 0 {
			return found
		}
	}
	release := make([]store.Outcome, len(later))
	for i, at := range later {
		release[i] = store.Outcome{Lease: found[at].Lease, Verb: store.Release}
	}
	if _, err := s.inner.Settle(ctx, queue, release); err != nil {
		return rest // the queue is gone, or will bring them when their leases end
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range later {
		d := &found[at]
		s.note(heldBack, queue, s.messages[d.ID], d.Attempts)
	}
	return rest
}

// drawPlaces finds the messages that are to move within the batch, and the indexes of
// those that are to come later.
func (s *FaultStore) drawPlaces(queue string, found []store.Delivery) (moving map[store.ID]bool, later []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	moving = make(map[store.ID]bool)
	for i := range found {
		m := s.staying(queue, found[i].ID)
		if m.placed || !s.chance(s.odds.Reorder, "reorder", queue, m, 0) {
			continue
		}
		m.placed = true // else a message could be left for ever
		if s.draw("later", queue, m, 0)&1 == 0 {
			later = append(later, i)
		} else {
			moving[found[i].ID] = true
		}
	}
	return moving, later
}

// shuffle gives some of the messages other places; the others stay in their order.
func (s *FaultStore) shuffle(queue string, found []store.Delivery, moving map[store.ID]bool) []store.Delivery {
	type placed struct {
		d      store.Delivery
		before int
		at     float64
	}
	all := make([]placed, len(found))
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, d := range found {
		all[i] = placed{d, i, float64(i)}
		if moving[d.ID] {
			all[i].at = s.fraction("place", queue, s.messages[d.ID], 0) * float64(len(found))
		}
	}
	slices.SortStableFunc(all, func(a, b placed) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	for i, p := range all {
		found[i] = p.d
		if moving[p.d.ID] && p.before != i {
			s.note(shuffled, queue, s.messages[p.d.ID], p.d.Attempts)
		}
	}
	return found
}

// suffers decides what is to happen to a delivery. The caller holds mu.
func (s *FaultStore) suffers(queue string, m *message, attempt int) fault {
	if m.answered == attempt {
		return noFault // it had its fault, when nobody saw it
	}
	var hits []fault
	hit := func(p float64, f fault, what string) {
		if (m.spent < maxFaults || !f.costs()) && s.chance(p, what, queue, m, attempt) {
			hits = append(hits, f)
		}
	}
	hit(s.odds.Duplicate, duplicate, "duplicate")
	hit(s.odds.Expire, expire, "expire")
	hit(s.odds.Crash, crash, "crash")
	outages := [...]fault{leaseRefused, leaseUnanswered, settleRefused, settleUnanswered}
	hit(s.odds.Unavailable, outages[s.draw("outage", queue, m, attempt)%4], "unavailable")
	if len(hits) == 0 {
		return noFault
	}
	return hits[s.draw("which", queue, m, attempt)%uint64(len(hits))]
}

// refuse reports whether the whole Lease is to fail, because that is the fault of one
// of the messages. Then it has given them back: what nobody has seen is no attempt.
func (s *FaultStore) refuse(ctx context.Context, queue string, found []store.Delivery) bool {
	faults := make([]fault, len(found))
	answered := make([]int, len(found)) // as it was
	back := make([]store.Outcome, len(found))
	fails := false
	s.mu.Lock()
	for i := range found {
		d := &found[i]
		m := s.staying(queue, d.ID)
		faults[i] = s.suffers(queue, m, d.Attempts)
		back[i] = store.Outcome{Lease: d.Lease, Verb: store.Release}
		switch faults[i] {
		case leaseUnanswered:
			back[i].Verb, back[i].Delay = store.Retry, s.leftover(queue, m, d.Attempts)
			fails = true
		case leaseRefused:
			fails = true
		default:
			continue
		}
		answered[i], m.answered = m.answered, d.Attempts
		m.charge(faults[i])
	}
	s.mu.Unlock()
	if !fails {
		return false
	}
	_, err := s.inner.Settle(ctx, queue, back)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range faults {
		if f != leaseRefused && f != leaseUnanswered {
			continue
		}
		d := &found[i]
		m := s.messages[d.ID]
		if err == nil {
			s.note(f, queue, m, d.Attempts)
			continue
		}
		m.answered = answered[i]
		m.refund(f, queue)
	}
	return err == nil
}

// hand cuts leases short and remembers who has what.
func (s *FaultStore) hand(ctx context.Context, queue string, found []store.Delivery) {
	var cuts []store.Outcome
	var cut []*delivery
	s.mu.Lock()
	for i := range found {
		d := &found[i]
		m := s.staying(queue, d.ID)
		x := &delivery{message: m, attempt: d.Attempts, fault: s.suffers(queue, m, d.Attempts)}
		s.leases[d.Lease] = x
		if x.fault == expire {
			cuts = append(cuts, store.Outcome{Lease: d.Lease, Verb: store.Extend, Delay: s.leftover(queue, m, d.Attempts)})
			cut = append(cut, x)
			m.charge(expire)
		}
	}
	s.mu.Unlock()
	if len(cuts) == 0 {
		return
	}
	lost, err := s.inner.Settle(ctx, queue, cuts)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, x := range cut {
		if err != nil || slices.Contains(lost, i) {
			x.fault = noFault
			x.message.refund(expire, queue)
		} else {
			s.note(expire, queue, x.message, x.attempt)
		}
	}
}
