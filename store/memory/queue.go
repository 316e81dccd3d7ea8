package memory

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inproq/inproq/internal/invariant"
	"github.com/inproq/inproq/internal/timingwheel"
	"github.com/inproq/inproq/store"
)

const (
	tick  = time.Millisecond // of the wheels: Linux wakes a sleeping process no finer
	never = math.MaxInt64    // a time or a count that does not come

	// budget bounds the timers that are handled in one hold of a queue's lock:
	// 1024 take about 0.2 ms.
	budget = 1024
)

// A queue is one queue of a Store. Senders of fresh messages touch the first
// two groups of fields and a shard, everything else is behind mu.
type queue struct {
	// What every send reads, and little writes.
	store   *Store
	name    string
	seq     uint64                  // order in which two queues are locked
	inlets  atomic.Pointer[[]shard] // nil before the first send
	crowded atomic.Bool             // senders meet: see shard
	unarmed atomic.Bool             // no fresh message, so no expiry, was pending when last looked at
	paused  atomic.Bool             // in force before anybody can read of it, so not behind mu
	wake    atomic.Int64            // the number of messages from which a sender must signal; never: nobody waits

	_ [64]byte
	// What sends write, and many read, as long as they do not meet.
	messages atomic.Int64 // not yet acknowledged, and collected from the shards
	bytes    atomic.Int64 // of their bodies
	oldest   atomic.Int64 // when the oldest was sent, for Enqueue; exact after each Stats and Settle
	meetings atomic.Int64 // of senders, at the first shard
	_        [64]byte

	mu        sync.Mutex
	over      error  // why the queue is no more
	revision  uint64 // of the record that it goes by
	retention int64  // zero: for ever

	lanes    []lane
	slab     slab
	returned ring[returned] // entries that are ready, about in that order
	ages     ages
	arena    arena
	dropped  dropper                // frames of removed messages, until unlock
	writers  *[delayClasses]*writer // for bodies that change their place, by delay

	timers *timingwheel.Wheel // by entry: the end of a delay, or of retention
	leases leaseTable
	late   map[uint32]uint64 // by entry: the end of a delay that retention precedes, or that never comes
	expiry uint64            // tick at which the next fresh message may expire
	timer  *time.Timer       // runs onTimer
	armed  uint64            // tick for which timer is set: nothing is due before

	waiters  []*waiter
	spare    *waiter // kept for the next Lease that waits
	lastTake int64   // end of the last Lease that returned messages

	delayed, leased       int64
	expired, expiredBytes int64
}

func newQueue(s *Store, rec *store.Queue, seq uint64) *queue {
	q := &queue{store: s, name: rec.Name, seq: seq, expiry: never, armed: never, lastTake: math.MinInt64}
	q.slab.arena, q.dropped.arena = &q.arena, &q.arena
	q.wake.Store(never)
	q.unarmed.Store(true)
	q.revision, q.retention = rec.Revision, max(int64(rec.Retention), 0)
	q.paused.Store(rec.Paused)
	return q
}

// lock takes mu, brings the counts up to date, and does what has become due. It
// returns the time.
func (q *queue) lock() int64 {
	now := q.lockOnly()
	q.collect()
	return now
}

// lockOnly is lock without the counts.
func (q *queue) lockOnly() int64 {
	q.mu.Lock()
	for {
		now := q.store.now()
		if q.advance(now) {
			return now
		}
		q.mu.Unlock() // let others in between two budgets
		q.mu.Lock()
	}
}

// unlock ends a section that may have changed what is ready.
func (q *queue) unlock() {
	q.dropped.flush()
	q.signal()
	q.check()
	q.mu.Unlock()
}

// ready is the number of leasable messages, not counting any whose Enqueue has
// not returned.
func (q *queue) ready() int64 { return q.messages.Load() - q.delayed - q.leased }

// gone takes n messages with b bytes of bodies out of the counts.
func (q *queue) gone(n, b int64) {
	q.messages.Add(-n)
	q.bytes.Add(-b)
}

// configure applies a changed record, unless it knows a newer one: it may take long, so
// the store's lock is not held.
func (q *queue) configure(revision uint64, retention time.Duration) {
	now := q.lock()
	defer q.unlock()
	if q.over != nil || revision <= q.revision {
		return
	}
	q.revision = revision
	for _, w := range q.waiters {
		w.signal() // to look again
	}
	old := q.retention
	q.retention = max(int64(retention), 0)
	if q.retention == old {
		return
	}
	for !q.expireFresh(now) {
	}
	q.retime()
	q.rearm(now)
}

// end makes the queue answer err to everything from now on.
func (q *queue) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = err
	if in := q.inlets.Load(); in != nil {
		for i := range *in {
			sh := &(*in)[i]
			sh.mu.Lock()
			sh.over = err
			sh.list, sh.w, sh.n, sh.bytes = chunkList{}, writer{}, 0, 0
			sh.mu.Unlock()
		}
	}
	if q.timer != nil {
		q.timer.Stop()
	}
	for _, w := range q.waiters {
		w.signal()
	}
	q.clear()
}

// clear forgets all messages and what was made to keep them.
func (q *queue) clear() {
	q.lanes, q.slab, q.returned, q.ages = nil, slab{}, ring[returned]{}, ages{}
	q.writers, q.timers, q.leases, q.late = nil, nil, leaseTable{}, nil
	q.dropped = dropper{}
	q.arena.clear()
}

// stats counts what is there. The caller holds mu, and has collected what shards have. Of
// senders that are at it some messages may be leased before they are counted.
func (q *queue) stats() store.Stats {
	st := store.Stats{
		Messages:     max(q.messages.Load(), q.delayed+q.leased),
		Bytes:        max(q.bytes.Load(), 0),
		Delayed:      q.delayed,
		Leased:       q.leased,
		Expired:      q.expired,
		ExpiredBytes: q.expiredBytes,
	}
	q.refreshOldest()
	if st.Messages > 0 {
		st.Oldest = q.store.time(q.oldest.Load())
	}
	return st
}

// refreshOldest notes when the oldest message was sent.
func (q *queue) refreshOldest() {
	oldest := int64(never)
	if id, ok := q.ages.oldest(&q.slab); ok {
		oldest = q.slab.sent(id)
	}
	for i := range q.lanes {
		l := &q.lanes[i]
		if l.list.head == nil {
			q.gather(i)
		}
		if s := l.oldest(); s != nil {
			oldest = min(oldest, s.born)
		}
	}
	if oldest != never {
		q.oldest.Store(oldest)
	}
}

// check verifies the counts in builds that check invariants.
func (q *queue) check() {
	if !invariant.On || q.over != nil {
		return
	}
	invariant.Check(q.delayed >= 0 && q.leased >= 0, "queue %s: %d delayed, %d leased", q.name, q.delayed, q.leased)
	invariant.Check(int64(q.slab.live) >= q.delayed, "queue %s: %d entries, %d delayed", q.name, q.slab.live, q.delayed)
}
