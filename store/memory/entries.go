package memory

import (
	"math/bits"
	"time"
)

// returned is a place in the ring of entries that are ready: retried, released,
// moved here, or with their delay or lease over. It is stale when the entry has
// left it other than from the ring's head: settled by a lease that had run out,
// or by reference.
type returned struct {
	at    int64 // since when it has been ready
	id    uint32
	stamp uint32
}

// stamp tells the messages that an entry has been, and the places that each has
// had in the ring.
func (e *entry) stamp() uint32 { return e.gen<<16 | uint32(e.turn) }

// holds reports whether the entry is ready, and this its place.
func (r *returned) holds(s *slab) bool {
	if r.id >= s.used {
		return false
	}
	e := s.at(r.id)
	return e.state() == ready && e.stamp() == r.stamp
}

// place returns a place for an entry, which makes an older one stale.
func (q *queue) place(id uint32, at int64) returned {
	e := q.slab.at(id)
	e.turn++
	return returned{at: at, id: id, stamp: e.stamp()}
}

// firstReturned returns the first entry in the ring, or false.
func (q *queue) firstReturned() (returned, bool) {
	for q.returned.len() > 0 {
		r := q.returned.at(q.returned.head)
		if r.holds(&q.slab) {
			return *r, true
		}
		q.returned.popFront()
	}
	return returned{}, false
}

// add makes an entry of a message.
func (q *queue) add(m *slot, state uint8) uint32 {
	id, e := q.slab.add(m, state)
	q.ages.add(q.slab.sent(id), ageRef{id, e.gen}, &q.slab)
	return id
}

// giveBack makes an entry ready, at the end of the ring.
func (q *queue) giveBack(id uint32, now int64) {
	q.slab.at(id).setState(ready)
	q.returned.pushBack(q.place(id, now))
	q.schedule(id, never, now) // for its retention
}

// remove deletes an entry with its body, and returns the body's size. The
// lease, if any, must have let go of it.
func (q *queue) remove(id uint32) int64 {
	e := q.slab.at(id)
	n := q.bodySize(&e.slot)
	switch e.state() {
	case delayed:
		q.delayed--
		q.unschedule(id)
	case ready:
		q.unschedule(id)
	}
	q.letGo(e)
	q.dropped.drop(e.frame())
	q.gone(1, n)
	flood := len(q.slab.chunks) > slabKept
	q.slab.remove(id)
	if q.slab.live == 0 {
		q.returned.clear()
		q.ages.clear()
		if flood {
			q.timers = nil // its nodes are as many
		}
	}
	return n
}

// postpone puts an entry on the wheel for a delay.
func (q *queue) postpone(id uint32, d time.Duration, now int64) {
	e := q.slab.at(id)
	e.setState(delayed)
	q.delayed++
	q.rehome(e, d)
	q.schedule(id, ticks(after(now, d)), now)
}

// delayClasses is the number of powers of two of milliseconds that a delay can
// have, and one for none.
const delayClasses = 45

// writer returns the writer for bodies that wait about d. Messages with similar
// delays die at similar times: a block of theirs holds little that is dead,
// while one message of twelve hours among many of seconds would hold its block
// for all that time.
func (q *queue) writer(d time.Duration) *writer {
	if q.writers == nil {
		q.writers = new([delayClasses]*writer)
	}
	w := &q.writers[bits.Len64(uint64(d/time.Millisecond))]
	if *w == nil {
		*w = new(writer)
	}
	return *w
}

// rehome moves the body of an entry to where it may wait for d.
func (q *queue) rehome(e *entry, d time.Duration) {
	if e.n == 0 || e.n > smallFrame {
		return // none, or in a block of its own
	}
	f := parse(q.arena.frame(e.frame()), e.flags)
	q.dropped.drop(e.frame())
	e.setFrame(q.writer(d).write(&q.arena, &f))
}

// bodySize is what a message counts in Stats.Bytes.
func (q *queue) bodySize(s *slot) int64 {
	n := int64(s.n)
	if s.flags&(hasSent|hasType|hasHeaders) != 0 {
		n -= int64(prefix(q.arena.frame(s.frame()), s.flags))
	}
	return n
}
