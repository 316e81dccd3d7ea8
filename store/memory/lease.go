package memory

import (
	"context"

	"github.com/inproq/inproq/store"
)

// Lease takes messages, and waits for them as the claim says.
func (s *Store) Lease(ctx context.Context, name string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
	q, err := s.queue(ctx, name)
	if err != nil {
		return buf, err
	}
	return q.Lease(ctx, &c, buf, nil)
}

// Lease is Lease of the store. It fills in st, unless that is nil, with the figures of
// the moment at which it ends.
//
// Most goroutines that wait for messages wait here. What is on their stacks is kept
// small, so that a stack need not grow for it: attempt is apart, and c a pointer.
func (q *queue) Lease(ctx context.Context, c *store.Claim, buf []store.Delivery, st *store.Stats) ([]store.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return buf, err
	}
	c.Min = max(c.Min, 1)
	c.Max = max(c.Max, c.Min)
	began := int64(-1)
	for {
		found, w, err := q.attempt(c, &began, buf, st)
		if w == nil {
			return found, err
		}
		err = w.block(ctx)
		q.mu.Lock()
		q.leave(w)
		if err != nil {
			q.unlock() // another waiter may use what this one was woken for
			return buf, err
		}
		q.mu.Unlock()
	}
}

// attempt does what a Lease that began then can do now: that, or it returns a waiter to
// wait for.
func (q *queue) attempt(c *store.Claim, began *int64, buf []store.Delivery, st *store.Stats) ([]store.Delivery, *waiter, error) {
	now := q.lockOnly()
	if !q.collectSome() && q.ready() < int64(c.Max) {
		q.collect() // else there is enough without what busy senders keep to themselves
	}
	if *began < 0 {
		*began = now
	}
	need, until, err := q.wants(c, *began, now)
	if err != nil {
		q.unlock()
		return buf, nil, err
	}
	if need > 0 && until > now {
		w := q.wait(need, until, now)
		q.unlock()
		return buf, w, nil
	}
	var p *parcel
	if need == 0 {
		p = q.take(c, now)
	}
	if st != nil {
		*st = q.stats()
	}
	q.unlock()
	if p != nil {
		buf = p.describe(q.store, buf)
		p.free()
	}
	return buf, nil, nil
}

// wants decides what a Lease does now: take (need is 0), fail, give up (until
// has come), or wait for need ready messages, at most until then.
func (q *queue) wants(c *store.Claim, began, now int64) (need, until int64, err error) {
	waitEnd := int64(never)
	if c.Wait >= 0 {
		waitEnd = after(began, c.Wait)
	}
	switch n, paused := q.ready(), q.paused.Load(); {
	case q.over != nil:
		return 0, 0, q.over
	case paused && c.Wait == 0:
		return 0, 0, store.ErrPaused
	case paused:
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

// readySince is when the message that is next in line became ready.
func (q *queue) readySince(now int64) int64 {
	since := now
	if r, ok := q.firstReturned(); ok {
		since = min(since, r.at)
	}
	for i := range q.lanes {
		if s := q.head(i); s != nil {
			since = min(since, s.born)
		}
	}
	return since
}
