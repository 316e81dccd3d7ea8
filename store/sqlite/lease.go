package sqlite

import (
	"context"
	"slices"
	"time"

	"github.com/inproq/inproq/store"
)

// Lease takes messages, and waits for them as the claim says. Before it returns, the file says
// that they were delivered once more.
func (s *Store) Lease(ctx context.Context, name string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
	q, err := s.queue(ctx, name)
	if err != nil {
		return buf, err
	}
	c.Min = max(c.Min, 1)
	c.Max = max(c.Max, c.Min)
	began := s.now()
	for {
		if err := ctx.Err(); err != nil {
			return buf, err
		}
		now, err := s.current(ctx, q)
		if err != nil {
			return buf, err
		}
		need, end, err := q.wants(&c, began, now)
		switch {
		case err != nil || need > 0 && end <= now:
			q.mu.Unlock()
			return buf, err
		case need > 0:
			w := q.wait(need)
			q.watched = q.nextEvent()
			d := until(min(end, q.watched), now)
			q.mu.Unlock()
			err = w.block(ctx, d)
			q.leave(w)
			if err != nil {
				return buf, err
			}
		default:
			q.mu.Unlock()
			found, err := s.take(ctx, q, &c, buf)
			if err != nil || len(found) > len(buf) {
				return found, err
			}
		}
	}
}

// wants decides what a Lease does now: take (need is 0), fail, give up (end has come), or
// wait for need messages, at most until then. The caller holds mu.
func (q *queue) wants(c *store.Claim, began, now int64) (need, end int64, err error) {
	waitEnd := int64(never)
	if c.Wait >= 0 {
		waitEnd = after(began, c.Wait)
	}
	switch n := q.leasable(); {
	case q.paused && c.Wait == 0:
		return 0, 0, store.ErrPaused
	case q.paused:
		return never, waitEnd, nil
	case n >= int64(c.Min):
		return 0, 0, nil
	case n < 1:
		return 1, waitEnd, nil
	default:
		lingerEnd := after(max(q.readySince(now), q.lastTake), c.Linger)
		if lingerEnd <= now {
			return 0, 0, nil
		}
		return int64(c.Min), lingerEnd, nil
	}
}

// readySince is when the message that is next in line became ready, or before the last Lease.
// The caller holds mu.
func (q *queue) readySince(now int64) int64 {
	since := now
	if p, ok := q.firstReady(); ok {
		since = p.since
	}
	if q.fresh > 0 {
		since = min(since, q.freshSince)
	}
	return since
}

// firstReady is the first place in line that is valid. The caller holds mu.
func (q *queue) firstReady() (place, bool) {
	for {
		p, ok := q.ready.first()
		if !ok || p.valid() {
			return p, ok
		}
		q.ready.pop()
	}
}

// take takes messages, having them read and marked. It may find none.
func (s *Store) take(ctx context.Context, q *queue, c *store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
	t, err := s.pick(ctx, q, c, buf)
	if err != nil || len(t.items) == 0 {
		return buf, err
	}
	o := &leasing{opHead: opHead{quick: true}, q: q, items: t.items, visibility: c.Visibility}
	if err := s.submit(ctx, o); err != nil {
		clear(t.found[len(buf):])
		return buf, err
	}
	return t.found, nil
}

// leasing writes that messages are delivered once more.
type leasing struct {
	opHead
	q          *queue
	items      []*item
	visibility time.Duration
}

func (o *leasing) plan(g *group) error {
	c, err := g.change(o.q)
	if err != nil {
		return err
	}
	for _, it := range o.items {
		if !it.fresh || it.attempts > 1 {
			c.wrote(it.size)
		}
		switch {
		case !it.fresh:
			err = g.c.exec(o.q.sql().attempt, it.attempts, it.seq)
		case it.seq > o.q.seenBefore && it.attempts == 1:
			// All up to the last one are seen with one number.
			c.seen = max(c.seen, it.seq)
			c.dirty = true
		default:
			// It was seen before: from now on its row says how often. Zero is due at once.
			err = g.c.exec(o.q.sql().explicit, int64(0), it.attempts, it.seq)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *leasing) apply(*group) {
	q := o.q
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range o.items {
		if !it.fresh || it.seq > q.seenBefore && it.attempts == 1 {
			continue
		}
		it.fresh = false
	}
	now := q.s.now()
	q.lastTake = now
	q.hold(o.items, after(now, o.visibility))
}

func (o *leasing) undo() {}

// abort puts the messages back in line, as if they had never been taken. Others behind
// them may have been taken, and then the file says that these were, too: that is put
// right.
func (o *leasing) abort() {
	if o.putBack() {
		o.q.s.post(&unsee{opHead: opHead{quick: true}, q: o.q, items: o.items})
	}
}

// putBack reports whether any of the messages was fresh.
func (o *leasing) putBack() (fresh bool) {
	q := o.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over != nil {
		return false
	}
	for _, it := range slices.Backward(o.items) {
		it.state, it.token = ready, 0
		it.attempts--
		q.leased--
		q.ready.pushFront(q.place(it))
		fresh = fresh || it.fresh
	}
	q.signal()
	return fresh
}

// unsee writes that messages have never been delivered.
type unsee struct {
	opHead
	q     *queue
	items []*item
	done  []*item
}

func (o *unsee) plan(g *group) error {
	o.done = nil
	c, err := g.change(o.q)
	if err != nil {
		return err
	}
	for _, it := range o.items {
		o.q.mu.Lock()
		// Order: whoever leases it from here on goes by what its row says.
		unseen := it.state == ready && it.fresh && it.attempts == 0 && !it.settling
		if unseen {
			it.fresh = false
			o.done = append(o.done, it)
		}
		o.q.mu.Unlock()
		if !unseen {
			continue // leased again, or gone
		}
		c.wrote(it.size)
		if err := g.c.exec(o.q.sql().explicit, int64(0), int64(0), it.seq); err != nil {
			return err
		}
	}
	return nil
}

func (o *unsee) undo() {
	o.q.mu.Lock()
	defer o.q.mu.Unlock()
	for _, it := range o.done {
		it.fresh = true
	}
}

func (*unsee) abort()       {}
func (*unsee) apply(*group) {}
