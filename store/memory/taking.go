package memory

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/inproq/inproq/store"
)

// overtake is how much later than the head of another lane a message may have
// been sent and still be leased before it: lanes are taken in runs.
const overtake = int64(time.Millisecond)

// take leases up to c.Max messages.
func (q *queue) take(c *store.Claim, now int64) *parcel {
	t := taking{q: q, parcel: parcels.Get().(*parcel), bytes: int64(c.Bytes)}
	// A claim may ask for more than memory could hold. One more than there is, to see
	// that this is all.
	t.max = int(min(int64(c.Max), q.ready()+1))
	t.taken = slices.Grow(t.taken, t.max)
	t.tag = q.leases.tag()
	t.lease = q.openLease(t.tag, ticks(after(now, c.Visibility)), now)
	for i := range q.lanes {
		q.lanes[i].dry = false
	}
	for t.some() {
	}
	if !slices.ContainsFunc(q.lanes, func(l lane) bool { return !l.dry }) {
		q.disperse()
	}
	q.lastTake = now
	return t.parcel
}

// A taking is one Lease that has found messages. While it holds the queue's lock it
// only copies their slots; what the caller sees is made of them afterwards, because
// that takes several times as long, and others wait.
type taking struct {
	*parcel
	q     *queue
	lease uint32
	max   int
	bytes int64 // bound of the bodies; 0: none
	size  int64 // of the bodies taken, if they are bounded
}

// A parcel holds the buffers of a taking.
type parcel struct {
	tag    uint64 // of the lease
	taken  []taken
	blocks []frames
	text   []byte // the public forms of the leases
}

// taken is a message that was leased.
type taken struct {
	slot
	a, b uint32 // of the public form of its lease
}

// frames are where those of the messages up to one are.
type frames struct {
	end   int // in taken
	block uint32
	buf   []byte
}

// keptTaken bounds what a parcel keeps: 200 KB.
const keptTaken = 4 << 10

// parcels are shared by all queues; they are plain memory.
var parcels = sync.Pool{New: func() any { return new(parcel) }}

func (p *parcel) free() {
	if cap(p.taken) > keptTaken {
		return
	}
	clear(p.blocks)
	p.taken, p.blocks, p.text = p.taken[:0], p.blocks[:0], p.text[:0]
	parcels.Put(p)
}

// some takes messages from one place. It reports false when there are enough, or no
// more.
func (t *taking) some() bool {
	q := t.q
	if len(t.taken) == t.max {
		return false
	}
	l, until := q.firstLane()
	if r, ok := q.firstReturned(); ok {
		if l == nil || r.at <= l.peek().born {
			return t.entry(r)
		}
		until = min(until, r.at)
	}
	return l != nil && t.run(l, until)
}

// entry takes the first entry of the ring.
func (t *taking) entry(r returned) bool {
	e := t.q.slab.at(r.id)
	if !t.add(&e.slot, r.id, e.gen&^inRun) {
		return false
	}
	t.q.returned.popFront()
	t.q.unschedule(r.id)
	t.q.hold(r.id, e, t.lease)
	return true
}

// run takes neighbours from the head of a lane, born until then. It reports
// false when one did not fit.
func (t *taking) run(l *lane, until int64) bool {
	c, at, pos := l.c, l.i, len(t.taken)
	end := min(c.n, at+int32(t.max-pos))
	fits := true
	i := at
	for ; i < end; i++ {
		s := &c.slots[i]
		if s.flags&dead != 0 || s.born > until {
			break
		}
		if fits = t.add(s, t.lease, inRun|uint32(len(t.taken))); !fits {
			break
		}
	}
	n := i - at
	l.i, l.seq = i, l.seq+uint64(n)
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

// add takes a message, with one more attempt, unless it exceeds the bound.
func (t *taking) add(s *slot, a, b uint32) bool {
	if t.bytes > 0 {
		n := t.q.bodySize(s)
		if t.size > 0 && t.size+n > t.bytes {
			return false
		}
		t.size += n
	}
	if s.n > 0 && (len(t.blocks) == 0 || t.blocks[len(t.blocks)-1].block != s.block) {
		t.turn(s.block)
	}
	if s.attempts++; s.attempts == 0 {
		s.attempts-- // stays at the largest number
	}
	t.taken = append(t.taken, taken{*s, a, b})
	return true
}

// turn notes that the next frames are in another block. Blocks are looked up while
// the messages are sure to be there.
func (t *taking) turn(block uint32) {
	if n := len(t.blocks); n > 0 {
		t.blocks[n-1].end = len(t.taken)
	}
	t.blocks = append(t.blocks, frames{math.MaxInt, block, t.q.arena.block(block)})
}

// firstLane finds the lane whose head was born first, and until when its
// messages may be taken before those of others. It is nil when all are dry.
func (q *queue) firstLane() (l *lane, until int64) {
	first := int64(never)
	until = never
	for i := range q.lanes {
		x := &q.lanes[i]
		if x.dry {
			continue
		}
		s := q.head(i)
		if s == nil {
			x.dry = true
			continue
		}
		if l == nil || s.born < first {
			l, first, until = x, s.born, first
		} else {
			until = min(until, s.born)
		}
	}
	return l, after(until, time.Duration(overtake))
}

// describe appends what was taken to buf.
func (p *parcel) describe(s *Store, buf []store.Delivery) []store.Delivery {
	p.text = slices.Grow(p.text, len(p.taken)*leaseSize)
	for i := range p.taken {
		x := &p.taken[i]
		p.text = appendLease(p.text, x.a, x.b, p.tag)
	}
	leases := store.Lease(p.text)
	at := len(buf)
	buf = slices.Grow(buf, len(p.taken))[:at+len(p.taken)]
	blocks, clock := p.blocks, dial{s: s}
	for i := range p.taken {
		x, d := &p.taken[i], &buf[at+i]
		var f []byte
		if x.n > 0 {
			if i >= blocks[0].end {
				blocks = blocks[1:]
			}
			f = x.frame().in(blocks[0].buf)
		}
		describe(&x.slot, f, &clock, d)
		d.Lease = leases[i*leaseSize : (i+1)*leaseSize]
	}
	return buf
}

// describe fills in what the caller sees of a message with this frame, except the
// lease.
func describe(m *slot, b []byte, clock *dial, d *store.Delivery) {
	d.ID, d.Delay, d.Attempts = m.id, 0, int(m.attempts)
	if m.flags&(hasSent|hasType|hasHeaders) == 0 {
		d.Body, d.ContentType, d.Headers, d.Sent = b, common[m.ctype], nil, clock.time(m.born)
		return
	}
	f := parse(b, m.flags)
	d.Body, d.ContentType, d.Headers, d.Sent = f.body, f.ctype, f.headers, clock.time(m.born)
	if m.flags&hasType == 0 {
		d.ContentType = common[m.ctype]
	}
	if m.flags&hasSent != 0 {
		d.Sent = clock.time(f.sent)
	}
}
