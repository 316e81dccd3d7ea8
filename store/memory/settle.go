package memory

import (
	"cmp"
	"context"
	"slices"

	"github.com/inproq/inproq/store"
)

// Settle applies outcomes, all of them in one hold of the lock.
func (s *Store) Settle(ctx context.Context, name string, outcomes []store.Outcome) ([]int, error) {
	q, err := s.queue(ctx, name)
	if err != nil {
		return nil, err
	}
	to, err := s.destinations(ctx, outcomes)
	if err != nil {
		return nil, err
	}
	if to == nil {
		q.mu.Lock()
		defer q.unlock()
		if q.over != nil {
			return nil, q.over
		}
		return q.settle(outcomes, nil), nil
	}
	to[name] = q
	unlock, err := lockAll(to)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return q.settle(outcomes, to), nil
}

// destinations finds the queues that outcomes move messages to, by name; nil if
// there are none.
func (s *Store) destinations(ctx context.Context, outcomes []store.Outcome) (map[string]*queue, error) {
	var to map[string]*queue
	for i := range outcomes {
		o := &outcomes[i]
		if o.Verb != store.Move || to[o.To] != nil {
			continue
		}
		q, err := s.queue(ctx, o.To)
		if err != nil {
			return nil, err
		}
		if to == nil {
			to = make(map[string]*queue, 2)
		}
		to[o.To] = q
	}
	return to, nil
}

// lockAll locks queues, in the order of their creation so that two that move
// messages to each other do not wait for one another.
func lockAll(queues map[string]*queue) (unlock func(), err error) {
	order := make([]*queue, 0, len(queues))
	for _, q := range queues {
		order = append(order, q)
	}
	slices.SortFunc(order, func(a, b *queue) int { return cmp.Compare(a.seq, b.seq) })
	unlock = func() {
		for _, q := range order {
			q.unlock()
		}
	}
	for _, q := range order {
		q.mu.Lock()
		err = cmp.Or(err, q.over)
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// settle applies outcomes. The caller holds mu of q and of every queue in to.
func (q *queue) settle(outcomes []store.Outcome, to map[string]*queue) (lost []int) {
	x := settling{q: q, to: to, now: q.store.now()}
	for i := range outcomes {
		if !x.apply(&outcomes[i]) {
			lost = append(lost, i)
		}
	}
	x.flush()
	// In front of all others and in their old order: nobody has seen them.
	for _, r := range slices.Backward(x.released) {
		id := r.id
		if !q.slab.holds(r) || q.slab.at(id).state() != ready {
			continue // a reference in the same call has settled it
		}
		born := q.slab.at(id).born
		if q.expires(born) <= x.now {
			q.expire(id)
			continue
		}
		q.returned.pushFront(q.place(id, born))
		q.schedule(id, never, x.now)
	}
	q.refreshOldest()
	return lost
}

// A settling is one call of Settle.
type settling struct {
	q        *queue
	to       map[string]*queue // by name: where messages are moved to
	now      int64
	found    holding
	extended extension
	released []ageRef
	// Messages acknowledged where they were leased, since the last flush: what
	// that changes in the counts is done for all of one lease at once.
	lease uint32
	acked int32
	bytes int64
}

// apply applies one outcome. It reports false if there was nothing to apply it
// to.
func (x *settling) apply(o *store.Outcome) bool {
	q, h := x.q, &x.found
	if !q.find(o.Lease, h) {
		return x.applyReference(o)
	}
	if h.slot != nil {
		if o.Verb == store.Ack {
			x.ack()
			return true
		}
		if o.Verb > store.Release {
			return false
		}
		// Whatever else happens to the message, it leaves its place.
		x.flush()
		h.id = q.detach(h.lease, h.pos, h.slot)
		h.entry = q.slab.at(h.id)
	}
	id, e := h.id, h.entry
	switch o.Verb {
	case store.Ack:
		q.remove(id)
	case store.Retry:
		q.retry(id, e, o, x.now)
	case store.Move:
		q.move(id, e, o, x.to[o.To], x.now)
	case store.Extend:
		q.extend(id, e, o, &x.extended, x.now)
	case store.Release:
		if e.state() == leased {
			e.attempts--
		}
		q.settleLease(id, e)
		e.setState(ready)
		x.released = append(x.released, ageRef{id, e.gen})
	default:
		return false
	}
	return true
}

// ack removes the message found, which is leased where it is.
func (x *settling) ack() {
	h := &x.found
	if x.lease != h.lease {
		x.flush()
		x.lease = h.lease
	}
	x.acked++
	x.bytes += x.q.bodySize(h.slot)
	x.q.dropped.drop(h.slot.frame())
	h.run.settled(h.slot)
}

// flush brings the counts up to date.
func (x *settling) flush() {
	if x.acked == 0 {
		return
	}
	x.q.gone(int64(x.acked), x.bytes)
	x.q.loosen(x.lease, x.acked, x.acked)
	x.acked, x.bytes = 0, 0
}

// settleLease ends the lease on an entry that stays. Its state is then that of
// a leased one without a lease; the caller gives it the next.
func (q *queue) settleLease(id uint32, e *entry) {
	if e.state() == ready {
		q.unschedule(id) // the lease has run out: it waits already
	}
	q.letGo(e)
}

func (q *queue) retry(id uint32, e *entry, o *store.Outcome, now int64) {
	q.settleLease(id, e)
	e.setState(ready)
	switch {
	case q.expires(e.born) <= now:
		q.expire(id)
	case o.Delay > 0:
		q.postpone(id, o.Delay, now)
	default:
		q.giveBack(id, now)
	}
}

// An extension remembers the lease that the last extended message was moved to,
// since a holder mostly extends all of a batch. It is used again while it holds
// that message: a lease that lets go of its last one is freed.
type extension struct {
	from, to uint32
	until    uint64
}

// extend moves a message to a lease with the same tag and another end. The old
// one stays as long as the new, because the public form may lead through it.
func (q *queue) extend(id uint32, e *entry, o *store.Outcome, x *extension, now int64) {
	until := ticks(after(now, o.Delay))
	if x.from != e.lease || x.until != until || q.leases.all[x.to].refs == 0 {
		tag, parent := q.leases.all[e.lease].tag, cmp.Or(q.leases.all[e.lease].parent, e.lease)
		*x = extension{from: e.lease, to: q.openLease(tag, until, now), until: until}
		q.leases.all[x.to].parent = parent
		q.leases.all[parent].refs++
	}
	if e.state() == ready {
		q.unschedule(id)
	}
	q.hold(id, e, x.to)
}

// move takes a message into the queue to. Both are locked.
func (q *queue) move(id uint32, e *entry, o *store.Outcome, to *queue, now int64) {
	f := parse(q.arena.frame(e.frame()), e.flags)
	m := e.slot
	q.remove(id)
	to.accept(m, f, o, now)
}

// accept adds a message that another queue let go.
func (q *queue) accept(m slot, f frame, o *store.Outcome, now int64) {
	f.flags = m.flags & (hasSent | hasType | hasHeaders)
	if o.Headers != nil {
		f.headers = o.Headers
		f.flags &^= hasHeaders
		if len(f.headers) > 0 {
			f.flags |= hasHeaders
		}
	}
	if o.Renew {
		if f.flags&hasSent == 0 {
			f.sent, f.flags = m.born, f.flags|hasSent
		}
		m.born = now
	}
	size := int64(len(f.body))
	q.messages.Add(1)
	q.bytes.Add(size)
	m.flags, m.attempts = f.flags, 0
	m.setFrame(q.writer(0).write(&q.arena, &f))
	id := q.add(&m, ready)
	if q.expires(m.born) <= now {
		q.expire(id)
	} else {
		q.giveBack(id, now)
	}
	q.refreshOldest()
}
