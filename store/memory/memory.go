// Package memory is the default store: queues in the memory of the process,
// gone when it ends.
//
// # How it works
//
// A message is a 40-byte slot without a pointer, and a frame (its body and what
// else has variable length) in an arena of blocks. Fresh messages wait in lanes:
// senders append to one shard as long as they do not meet there, and each to one of
// its own when they do, and a Lease takes what the shards have gathered and merges it by time. A message keeps
// its place in the lane while it is on its first lease, so one that is then
// acknowledged is never copied. One that is delayed, retried or moved becomes an
// entry of a slab and keeps that place until it is gone. Delays, retry delays, the
// retention of entries and the expiry of leases are on timing wheels, driven by one
// runtime timer for each queue; fresh messages expire from the head of their lane.
//
//	Send ─▶ shard ─▶ lane ────────────────┐
//	   └──▶ slab (delayed) ─▶ ring ───────┴▶ Lease ─▶ Settle ─▶ gone
//	                           ▲                        │
//	                           └── slab ◀── retry, release, expiry of the lease
//
// Nothing polls and there is no goroutine: a blocked Lease waits on a channel,
// the rest is done by whoever calls, or in the timer's callback.
//
// # Costs
//
// A queue that was never used is its record alone, which costs 250 bytes beside its
// settings; the queue itself, 700 bytes, comes with the first use, shards and lanes
// with the first message, slab and wheels when they are needed. A waiting message costs
// 40 bytes beside its body, one that is delayed 72. A store keeps up to 5 MB of the
// memory of past backlogs for the next. Purge, DeleteQueue and changing a
// retention take time in proportion to the backlog, Peek to how far it looks, and hold
// the queue's lock; all else is constant, but for timers that are due, which
// whoever comes first handles, some at a time. The records of deleted queues are kept as tombstones, of
// about 250 bytes each, until Close.
//
// Time is the process's monotonic clock: after the machine was suspended or its
// clock was set, timestamps of new messages are off by as much.
package memory

import (
	"context"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inproq/inproq/store"
)

// Store is a [store.Store] in memory. Make one with New.
type Store struct {
	epoch  time.Time // with a monotonic reading; now counts from here
	unix   int64     // the same in nanoseconds since 1970
	shards int       // ingress shards of a queue

	records sync.Map // name → *record, the last of that name
	chunks  chunkPool

	mu      sync.Mutex    // guards the records; taken before a queue's mu
	names   int           // that are in records
	changes []change      // of records, in the order of revisions
	last    uint64        // newest revision
	seq     uint64        // queues made so far
	changed chan struct{} // closed at the next change; nil: nobody waits
	closed  atomic.Bool
}

var (
	_ store.Store = (*Store)(nil)
	_ store.Local = (*Store)(nil)
)

// New returns an empty store. It starts no goroutine.
func New() *Store {
	now := time.Now()
	procs := uint(runtime.GOMAXPROCS(0))
	return &Store{
		epoch: now,
		unix:  now.UnixNano(),
		// Two cores are served best by two shards; beyond eight, draining them
		// costs more than contention does.
		shards: min(max(1<<(bits.Len(procs)-1), 2), 8),
	}
}

// Guarantee says that nothing survives the process, and everything else holds.
func (s *Store) Guarantee() store.Guarantee {
	return store.Guarantee{
		Survives:   store.Nothing,
		Fenced:     true,
		AtomicMove: true,
		TimerGrain: tick,
	}
}

// Close drops all messages and ends every blocked call.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Swap(true) {
		return nil
	}
	s.records.Range(func(_, v any) bool {
		v.(*record).end(store.ErrClosed)
		return true
	})
	s.records.Clear()
	s.changes = nil
	s.announce()
	return nil
}

// now is the time since the store was made, in nanoseconds.
func (s *Store) now() int64 { return int64(time.Since(s.epoch)) }

// time turns a reading of now into a time.
func (s *Store) time(now int64) time.Time { return time.Unix(0, s.unix+now) }

// A dial turns readings of now into times, most of them of the same second: it divides
// once.
type dial struct {
	s            *Store
	second, from int64 // since 1970, and as a reading; 0, 0: not set
}

func (d *dial) time(now int64) time.Time {
	ns := now - d.from
	if uint64(ns) >= uint64(time.Second) || d.second == 0 {
		d.second = (d.s.unix + now) / int64(time.Second)
		d.from = d.second*int64(time.Second) - d.s.unix
		ns = now - d.from
	}
	return time.Unix(d.second, ns)
}

// queue finds a queue for a call with ctx.
func (s *Store) queue(ctx context.Context, name string) (*queue, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, err := s.record(name)
	if err != nil {
		return nil, err
	}
	return r.open()
}
