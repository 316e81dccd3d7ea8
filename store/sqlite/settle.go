package sqlite

import (
	"context"
	"slices"

	"github.com/inproq/inproq/store"
)

// Settle applies outcomes, all of them in one transaction, and returns when the disk has
// them.
func (s *Store) Settle(ctx context.Context, name string, outcomes []store.Outcome) ([]int, error) {
	q, err := s.queue(ctx, name)
	if err != nil {
		return nil, err
	}
	o := &settle{q: q, outcomes: outcomes}
	o.rows = len(outcomes)
	o.quick = !slices.ContainsFunc(outcomes, func(o store.Outcome) bool { return o.Verb < store.Extend })
	if err := s.submit(ctx, o); err != nil {
		return nil, err
	}
	return o.lost, nil
}

// A settle is one call of Settle.
type settle struct {
	opHead
	q        *queue
	outcomes []store.Outcome
	to       map[string]*change // by name: where messages are moved to
	steps    []step
	lost     []int
}

// A step is what one outcome does in memory, once it is in the file.
type step struct {
	o       *store.Outcome
	it      *item // nil: a reference
	seq     int64
	due     int64
	fresh   bool    // of a reference: it has no due
	size    int64   // of the body
	expired bool    // it comes back past its retention: it is deleted
	to      *change // of a Move
	toSeq   int64
	since   int64 // of a Move: retention counts from here
}

func (o *settle) plan(g *group) error {
	o.to, o.steps, o.lost = nil, nil, nil
	c, err := g.change(o.q)
	if err != nil {
		return err
	}
	// All destinations first: if one is missing, nothing is done.
	for i := range o.outcomes {
		if err := o.destination(g, &o.outcomes[i]); err != nil {
			return err
		}
	}
	for i := range o.outcomes {
		ok, err := o.one(g, c, &o.outcomes[i])
		if err != nil {
			return err
		}
		if !ok {
			o.lost = append(o.lost, i)
		}
	}
	return nil
}

// destination finds the queue that an outcome moves its message to.
func (o *settle) destination(g *group, x *store.Outcome) error {
	if x.Verb != store.Move || o.to[x.To] != nil {
		return nil
	}
	q, err := g.s.records.find(x.To)
	if err != nil {
		return refusal{err}
	}
	c, err := g.change(q)
	if err != nil {
		return err
	}
	if o.to == nil {
		o.to = map[string]*change{}
	}
	o.to[x.To] = c
	return nil
}

// one writes one outcome. It reports false if there is nothing to apply it to.
func (o *settle) one(g *group, c *change, x *store.Outcome) (bool, error) {
	if x.Verb > store.Release {
		return false, nil
	}
	o.q.mu.Lock()
	it := o.q.find(x.Lease)
	if it == nil {
		o.q.mu.Unlock()
		return o.reference(g, c, x)
	}
	if it.settling || it.state == ready && c.removes(it.seq) {
		o.q.mu.Unlock()
		return false, nil
	}
	if x.Verb == store.Extend {
		it.extending++
	} else {
		it.settling = true
	}
	st := step{o: x, it: it, seq: it.seq, size: it.size, since: it.since}
	st.expired = (x.Verb == store.Retry || x.Verb == store.Release) && o.q.expires(it.since) <= g.now
	runsOut, attempts := it.state == ready, it.attempts
	if runsOut {
		c.cutLocked() // it is in line, and somebody may be about to take it
	}
	o.q.mu.Unlock()
	o.steps = append(o.steps, st) // before anything fails: undo needs it
	return true, o.write(g, c, &o.steps[len(o.steps)-1], attempts, runsOut)
}

// write writes a step to the file.
func (o *settle) write(g *group, c *change, st *step, attempts int64, runsOut bool) error {
	switch {
	case st.o.Verb == store.Ack || st.expired:
		c.drop(st.seq, st.size)
	case st.o.Verb == store.Retry:
		if st.o.Delay > 0 {
			st.due = after(g.now, st.o.Delay)
		}
		c.wrote(st.size)
		return g.c.exec(o.q.sql().explicit, st.due, attempts, st.seq)
	case st.o.Verb == store.Release:
		if !runsOut {
			attempts-- // nobody has seen it
		}
		c.wrote(st.size)
		return g.c.exec(o.q.sql().explicit, int64(0), attempts, st.seq)
	case st.o.Verb == store.Move:
		return o.move(g, c, st)
	}
	return nil
}

// move writes a message into another queue, and takes it from this.
func (o *settle) move(g *group, c *change, st *step) error {
	to := o.to[st.o.To]
	// Rows are inserted in the order of seq: what was sent before comes first.
	if err := to.insert(g.c); err != nil {
		return err
	}
	st.to, st.toSeq = to, to.next
	if st.o.Renew {
		st.since = g.now
	}
	var headers any
	if len(st.o.Headers) > 0 {
		headers = st.o.Headers
	}
	replace := int64(0)
	if st.o.Headers != nil {
		replace = 1
	}
	if err := g.c.exec(moving(o.q, to.q), st.seq, st.toSeq, headers, replace, st.since); err != nil {
		return err
	}
	c.drop(st.seq, st.size)
	to.wrote(st.size)
	to.next++
	to.messages++
	to.bytes += st.size
	to.dirty = true
	return nil
}

// undo lets go of what plan has taken.
func (o *settle) undo() {
	o.q.mu.Lock()
	defer o.q.mu.Unlock()
	for i := range o.steps {
		st := &o.steps[i]
		switch it := st.it; {
		case it == nil:
		case st.o.Verb == store.Extend:
			it.extending--
			o.q.holdOn(it)
		default:
			it.settling = false
			if it.state == ready && o.q.over == nil {
				o.q.line(it) // it may have lost its place meanwhile
			}
			o.q.holdOn(it)
		}
	}
}

func (o *settle) abort() {}

// holdOn gives a message back the lease that has run out while a group had it. The caller
// holds mu.
func (q *queue) holdOn(it *item) {
	if it.state == leased && it.lease.over() && q.over == nil {
		q.hold([]*item{it}, it.lease.deadline)
	}
}

func (o *settle) apply(g *group) {
	var released []step
	var extended extension
	o.q.mu.Lock()
	for i := range o.steps {
		st := &o.steps[i]
		switch {
		case st.it == nil:
			o.q.lose(st.seq, st.due, st.fresh)
		case st.o.Verb == store.Extend:
			o.q.extend(&extended, st, g.now)
		case st.o.Verb == store.Release && !st.expired:
			released = append(released, *st)
			o.q.forget(st.it)
		default:
			o.q.settled(st, g.now)
		}
	}
	o.q.hold(extended.items, extended.until)
	// In front of all others and in their old order: nobody has seen them.
	for _, st := range slices.Backward(released) {
		o.q.ready.pushFront(place{seq: st.seq, since: st.it.readyAt})
		o.q.expiry = min(o.q.expiry, o.q.expires(st.since))
	}
	o.q.mu.Unlock()
	for i := range o.steps {
		if st := &o.steps[i]; st.to != nil {
			st.to.q.arrive(st, g.now)
		}
	}
}

// settled brings memory up to date for a message that its lease holds no more. The caller holds
// mu.
func (q *queue) settled(st *step, now int64) {
	q.forget(st.it)
	q.oldest = 0
	switch {
	case st.expired:
		q.expired++
		q.expiredBytes += st.size
	case st.o.Verb != store.Retry:
		return
	case st.due > 0:
		q.delay(st.seq, st.due, now)
	default:
		q.ready.push(place{seq: st.seq, since: now})
	}
	q.expiry = min(q.expiry, q.expires(st.since))
}

// An extension is a lease in the making: messages that one call extends to one deadline.
type extension struct {
	items []*item
	until int64
}

// extend takes a message off its lease and adds it to the extension. The caller holds mu.
func (q *queue) extend(x *extension, st *step, now int64) {
	it := st.it
	if it.extending--; it.state == gone {
		return // it was settled later in the same group
	}
	if it.state == ready {
		it.state = leased
		q.leased++
	}
	if until := after(now, st.o.Delay); until != x.until {
		q.hold(x.items, x.until)
		*x = extension{until: until}
	}
	if !slices.Contains(x.items, it) {
		q.unhold(it)
		x.items = append(x.items, it)
	}
}

// arrive brings memory up to date for a message that was moved here.
func (q *queue) arrive(st *step, now int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.gain(st.toSeq, 0, now)
	q.expiry = min(q.expiry, q.expires(st.since))
	q.oldest = 0
}
