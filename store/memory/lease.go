package memory

import (
	"context"
	"slices"

	"github.com/inproq/inproq/store"
)

// Lease takes messages, and waits for them as the claim says.
func (s *Store) Lease(ctx context.Context, name string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
	q, err := s.queue(ctx, name)
	if err != nil {
		return buf, err
	}
	c.Min = max(c.Min, 1)
	c.Max = max(c.Max, c.Min)
	began := int64(-1)
	for {
		now := q.lock()
		if began < 0 {
			began = now
		}
		need, until, err := q.wants(&c, began, now)
		switch {
		case err != nil:
			q.unlock()
			return buf, err
		case need == 0:
			buf = q.take(&c, now, buf)
			q.unlock()
			return buf, nil
		case until <= now:
			q.unlock()
			return buf, nil
		}
		w := q.wait(need)
		q.unlock()
		err = w.block(ctx, until, now)
		q.mu.Lock()
		q.leave(w)
		if err != nil {
			q.unlock() // another waiter may use what this one was woken for
			return buf, err
		}
		q.mu.Unlock()
	}
}

// wants decides what a Lease does now: take (need is 0), fail, give up (until
// has come), or wait for need ready messages, at most until then.
func (q *queue) wants(c *store.Claim, began, now int64) (need, until int64, err error) {
	waitEnd := int64(never)
	if c.Wait >= 0 {
		waitEnd = after(began, c.Wait)
	}
	switch n := q.ready(); {
	case q.over != nil:
		return 0, 0, q.over
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

// take leases up to c.Max messages and appends them to buf.
func (q *queue) take(c *store.Claim, now int64, buf []store.Delivery) []store.Delivery {
	tag := q.leases.tag()
	l := q.openLease(tag, ticks(after(now, c.Visibility)), now)
	var size int64
	fits := func(s *slot) bool {
		if c.Bytes <= 0 {
			return true
		}
		n := q.bodySize(s)
		if size > 0 && size+n > int64(c.Bytes) {
			return false
		}
		size += n
		return true
	}
	q.wet()
	for len(q.leases.all[l].entries) < c.Max && q.takeNext(l, c.Max, fits) {
	}
	q.lastTake = now
	return q.deliver(l, tag, buf)
}

// takeNext leases the next message, and with it those of the same lane that
// precede all others. It reports whether there was one that fits.
func (q *queue) takeNext(l uint32, most int, fits func(*slot) bool) bool {
	lane, until := q.oldestLane()
	first, isReturned := q.firstReturned()
	if isReturned && (lane == nil || first.at <= lane.peek().born) {
		e := q.slab.at(first.id)
		if !fits(&e.slot) {
			return false
		}
		q.returned.popFront()
		q.unschedule(first.id)
		q.hold(first.id, e, l)
		return true
	}
	if lane == nil {
		return false
	}
	if isReturned {
		until = min(until, first.at)
	}
	for n := len(q.leases.all[l].entries); n < most; n++ {
		s := lane.peek()
		if s == nil || s.born > until {
			return true
		}
		if !fits(s) {
			return false
		}
		id := q.add(s, leased)
		q.hold(id, q.slab.at(id), l)
		lane.next()
	}
	return true
}

// deliver appends the messages of a new lease to buf, with one more attempt.
func (q *queue) deliver(l uint32, tag uint64, buf []store.Delivery) []store.Delivery {
	entries := q.leases.all[l].entries
	text := q.leases.text[:0]
	for _, id := range entries {
		text = appendLease(text, id, tag)
	}
	q.leases.text = text
	shared := store.Lease(text)
	buf = slices.Grow(buf, len(entries))
	q.arena.mu.Lock()
	defer q.arena.mu.Unlock()
	for i, id := range entries {
		e := q.slab.at(id)
		if e.attempts++; e.attempts == 0 {
			e.attempts-- // stays at the largest number
		}
		buf = buf[:len(buf)+1]
		d := &buf[len(buf)-1]
		q.describe(&e.slot, d)
		d.Lease = shared[i*leaseSize : (i+1)*leaseSize]
	}
	return buf
}

// describe fills in what the caller sees of a message, except the lease. The
// caller holds the arena's mu.
func (q *queue) describe(s *slot, d *store.Delivery) {
	*d = store.Delivery{Attempts: int(s.attempts)}
	d.ID = s.id
	b := q.arena.frame(s.frame)
	if s.flags&(hasSent|hasType|hasHeaders) == 0 {
		d.Body, d.ContentType, d.Sent = b, common[s.ctype], q.store.time(s.born)
		return
	}
	f := parse(b, s.flags)
	d.Body, d.ContentType, d.Headers, d.Sent = f.body, f.ctype, f.headers, q.store.time(s.born)
	if s.flags&hasType == 0 {
		d.ContentType = common[s.ctype]
	}
	if s.flags&hasSent != 0 {
		d.Sent = q.store.time(f.sent)
	}
}
