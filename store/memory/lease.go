package memory

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

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

// overtake is how much later than the head of another lane a message may have
// been sent and still be leased before it: lanes are taken in runs.
const overtake = int64(time.Millisecond)

// take leases up to c.Max messages and appends them to buf.
func (q *queue) take(c *store.Claim, now int64, buf []store.Delivery) []store.Delivery {
	// A claim may ask for more than memory could hold. One more than there is, to see
	// that this is all.
	most := int(min(int64(c.Max), q.ready()+1))
	t := taking{q: q, max: most, bytes: int64(c.Bytes), first: len(buf), buf: slices.Grow(buf, most)}
	t.tag = q.leases.tag()
	t.lease = q.openLease(t.tag, ticks(after(now, c.Visibility)), now)
	t.text = q.leases.text[:0]
	for i := range q.lanes {
		q.lanes[i].dry = false
	}
	for more := true; more; {
		// Shards first: the arena's lock comes after theirs.
		for i := range q.lanes {
			l := &q.lanes[i]
			l.dry = l.dry || q.head(i) == nil
		}
		q.arena.mu.Lock()
		more = t.some()
		q.arena.mu.Unlock()
	}
	if !slices.ContainsFunc(q.lanes, func(l lane) bool { return !l.dry }) {
		q.disperse()
	}
	q.leases.text = t.text
	q.lastTake = now
	shared := store.Lease(t.text)
	for i := range t.buf[t.first:] {
		t.buf[t.first+i].Lease = shared[i*leaseSize : (i+1)*leaseSize]
	}
	return t.buf
}

// A taking is one Lease that has found messages.
type taking struct {
	q     *queue
	lease uint32
	tag   uint64
	max   int
	bytes int64 // bound of the bodies; 0: none
	size  int64 // of the bodies taken
	first int   // of this Lease's in buf
	buf   []store.Delivery
	text  []byte // the public forms of the leases
}

func (t *taking) n() int { return len(t.buf) - t.first }

// some takes messages until there are enough, or a lane has come to its end and
// its shard may have more; then it reports true. The caller holds the arena's mu.
func (t *taking) some() bool {
	q := t.q
	for t.n() < t.max {
		l, until, again := q.firstLane()
		if again {
			return true
		}
		r, isReturned := q.firstReturned()
		if isReturned && (l == nil || r.at <= l.peek().born) {
			e := q.slab.at(r.id)
			if !t.add(&e.slot, r.id, e.gen&^inRun) {
				return false
			}
			q.returned.popFront()
			q.unschedule(r.id)
			q.hold(r.id, e, t.lease)
			continue
		}
		if l == nil {
			return false
		}
		if isReturned {
			until = min(until, r.at)
		}
		if !t.run(l, until) {
			return false
		}
	}
	return false
}

// run takes neighbours from the head of a lane, born until then. It reports
// false when one did not fit.
func (t *taking) run(l *lane, until int64) bool {
	l.peek()
	c, at, pos := l.c, l.i, t.n()
	fits := true
	for end := min(c.n, at+int32(t.max-pos)); l.i < end; l.next() {
		s := &c.slots[l.i]
		if s.flags&dead != 0 || s.born > until {
			break
		}
		if fits = t.add(s, t.lease, inRun|uint32(t.n())); !fits {
			break
		}
	}
	n := int32(t.n() - pos)
	if n == 0 {
		return fits
	}
	x := &t.q.leases.all[t.lease]
	x.runs = append(x.runs, run{lane: l, c: c, at: at, n: n, left: n, pos: int32(pos)})
	x.held += n
	x.refs += n
	t.q.leased += int64(n)
	return fits
}

// add hands a message out, with one more attempt, unless it exceeds the bound.
func (t *taking) add(s *slot, a, b uint32) bool {
	t.buf = t.buf[:len(t.buf)+1]
	d := &t.buf[len(t.buf)-1]
	t.q.describe(s, d)
	if t.bytes > 0 {
		if t.size > 0 && t.size+int64(len(d.Body)) > t.bytes {
			t.buf = t.buf[:len(t.buf)-1]
			return false
		}
		t.size += int64(len(d.Body))
	}
	if s.attempts++; s.attempts == 0 {
		s.attempts-- // stays at the largest number
	}
	d.Attempts = int(s.attempts)
	t.text = binary.LittleEndian.AppendUint32(t.text, a)
	t.text = binary.LittleEndian.AppendUint32(t.text, b)
	t.text = binary.LittleEndian.AppendUint64(t.text, t.tag)
	return true
}

// firstLane finds the lane whose head was born first, and until when its
// messages may be taken before those of others. It is nil when all are dry. It
// reports again when one has come to its end and may not be dry.
func (q *queue) firstLane() (l *lane, until int64, again bool) {
	first := int64(never)
	until = never
	for i := range q.lanes {
		x := &q.lanes[i]
		if x.dry {
			continue
		}
		s := x.peek()
		if s == nil {
			return nil, 0, true
		}
		if l == nil || s.born < first {
			l, first, until = x, s.born, first
		} else {
			until = min(until, s.born)
		}
	}
	return l, after(until, time.Duration(overtake)), false
}

// describe fills in what the caller sees of a message, except the lease. The
// caller holds the arena's mu.
func (q *queue) describe(s *slot, d *store.Delivery) {
	d.ID, d.Delay, d.Attempts = s.id, 0, int(s.attempts)
	b := q.arena.frame(s.frame())
	if s.flags&(hasSent|hasType|hasHeaders) == 0 {
		d.Body, d.ContentType, d.Headers, d.Sent = b, common[s.ctype], nil, q.store.time(s.born)
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
