package sqlite

import (
	"math"
	"sync"
	"time"

	"github.com/inproq/inproq/internal/invariant"
	"github.com/inproq/inproq/store"
)

const never = math.MaxInt64 // a time that does not come

// A queue is what memory has of a queue: what waits where is in its table, what is
// leased and what is about to be due is here. Everything is behind mu; the committer alone
// changes the figures that are in the file, and may read those without it.
type queue struct {
	s      *Store
	number int64
	name   string
	table  string
	sql    func() *statements // made at the first use

	taking chan struct{} // has one place: one Lease at a time reads

	mu        sync.Mutex
	over      error // why the queue is no more
	paused    bool
	retention int64 // 0: for ever
	loaded    bool  // what depends on the table's rows is known; see load

	// As in the file, table inproq_counts.
	next            int64
	messages, bytes int64
	seen            int64

	// Fresh messages were never delayed, leased or returned. They are in the file alone, and
	// taken in the order of seq.
	fresh      int64 // how many are at cursor and behind
	cursor     int64 // seq
	freshSince int64 // the first of them became ready then, or a little later
	seenBefore int64 // seen when the file was opened: those at or below have been leased by another process, once

	// Messages that were due, returned or have lost their lease, in the order in which they
	// became ready.
	ready fifo
	waits delays

	out     map[int64]*item // messages that are leased, or may still be settled by a lease that has run out
	leases  leaseHeap
	delayed int64 // messages that are not due yet
	leased  int64

	// While cutting is above zero somebody takes away messages that nobody has leased,
	// and cut counts how often that was. What a Lease has read holds if neither has
	// changed.
	cutting  int
	applying bool // the figures are those after a group, the rest is about to be
	cut      uint64

	head                  int64 // seq: before it are only messages that came by a Move
	expiry                int64 // about when retention ends for the next message
	expired, expiredBytes int64

	oldest      int64 // sent of the oldest message; 0: to be looked up
	waiters     []*waiter
	watched     int64 // the next event, as those who wait know it
	lastTake    int64 // end of the last Lease that returned messages
	generations int64 // of places in ready
}

func newQueue(s *Store, number int64, rec *store.Queue, table string) *queue {
	return &queue{
		s: s, number: number, name: rec.Name, table: table,
		paused: rec.Paused, retention: max(int64(rec.Retention), 0),
		sql:    sync.OnceValue(func() *statements { return newStatements(table) }),
		taking: make(chan struct{}, 1),
		out:    map[int64]*item{}, expiry: never, lastTake: math.MinInt64,
	}
}

// leasable is the number of messages that a Lease could take.
func (q *queue) leasable() int64 { return q.messages - q.delayed - q.leased }

// expires is when retention ends for a message, counted from since.
func (q *queue) expires(since int64) int64 {
	if q.retention == 0 {
		return never
	}
	return after(since, time.Duration(q.retention))
}

// after is now + d, without overflow.
func after(now int64, d time.Duration) int64 {
	if at := now + max(int64(d), 0); at >= now {
		return at
	}
	return never
}

// end makes the queue answer err to everything from now on.
func (q *queue) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over == nil {
		q.over = err
	}
	q.ready, q.waits, q.leases = fifo{}, delays{}, nil
	clear(q.out)
	q.wake()
}

// check verifies the figures in builds that check invariants.
func (q *queue) check() {
	if !invariant.On || q.over != nil || !q.loaded {
		return
	}
	invariant.Check(q.delayed >= 0 && q.leased >= 0 && q.fresh >= 0 && q.messages >= 0 && q.bytes >= 0 && q.cutting >= 0,
		"queue %s: %d messages, %d bytes, %d delayed, %d leased, %d fresh, %d cutting",
		q.name, q.messages, q.bytes, q.delayed, q.leased, q.fresh, q.cutting)
	invariant.Check(q.leasable() >= 0, "queue %s: %d messages, %d delayed, %d leased", q.name, q.messages, q.delayed, q.leased)
}

// A fifo has messages that are ready, in their order.
type fifo struct {
	front []place // those put back, the first last
	all   []place
	at    int // of the first in all
}

// A place is that of a message in a fifo.
type place struct {
	seq   int64
	since int64 // it became ready then
	item  *item // it has lost its lease; nil: it has none
	gen   int64 // the item's, else the message has another place by now, or none
}

func (f *fifo) len() int { return len(f.front) + len(f.all) - f.at }

func (f *fifo) push(p place) { f.all = append(f.all, p) }

func (f *fifo) pushFront(p place) { f.front = append(f.front, p) }

func (f *fifo) first() (p place, ok bool) {
	switch {
	case len(f.front) > 0:
		return f.front[len(f.front)-1], true
	case f.at < len(f.all):
		return f.all[f.at], true
	}
	return place{}, false
}

func (f *fifo) pop() {
	if n := len(f.front); n > 0 {
		f.front[n-1] = place{}
		f.front = f.front[:n-1]
		return
	}
	f.all[f.at] = place{}
	if f.at++; f.at == len(f.all) {
		f.all, f.at = f.all[:0], 0
	} else if f.at > 1024 && f.at > len(f.all)/2 {
		f.all = append(f.all[:0], f.all[f.at:]...)
		f.at = 0
	}
}

// valid reports whether the message is still there, as far as memory knows: it was
// neither leased anew nor settled by who had it before.
func (p *place) valid() bool {
	return p.item == nil || p.item.state == ready && p.item.gen == p.gen && !p.item.settling
}
