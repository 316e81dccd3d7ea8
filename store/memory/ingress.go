package memory

import (
	"context"
	"sync"
	"time"

	"github.com/inproq/inproq/store"
)

// A shard takes in fresh messages. A sender uses the first whose lock is free:
// one alone always meets the first, so its messages stay in order, and many do
// not wait for each other. (One lock for all, taken per message, costs four
// times as much with sixteen senders.)
type shard struct {
	mu   sync.Mutex
	over error
	last int64 // born of the newest message: a lane never goes back in time
	list chunkList
	w    writer
	_    [48]byte // a cache line each
}

// open makes the shards and lanes at the first send. The caller holds mu.
func (q *queue) open() {
	if q.inlets.Load() == nil && q.over == nil {
		in := make([]shard, q.store.shards)
		q.lanes = make([]lane, len(in))
		q.inlets.Store(&in)
	}
}

// inlet returns a shard, locked, of a queue that is open.
func (q *queue) inlet() *shard {
	in := *q.inlets.Load()
	for i := range in {
		if in[i].mu.TryLock() {
			return &in[i]
		}
	}
	sh := &in[len(in)-1]
	sh.mu.Lock()
	return sh
}

// Enqueue accepts messages.
func (s *Store) Enqueue(ctx context.Context, name string, msgs []store.Message) (before store.Stats, err error) {
	err = s.enqueue(ctx, name, msgs, s.now(), &before)
	return before, err
}

// EnqueueAt accepts messages at a time that the caller has just read.
func (s *Store) EnqueueAt(ctx context.Context, name string, msgs []store.Message, now time.Time, before *store.Stats) error {
	return s.enqueue(ctx, name, msgs, int64(now.Sub(s.epoch)), before)
}

func (s *Store) enqueue(ctx context.Context, name string, msgs []store.Message, now int64, before *store.Stats) error {
	q, err := s.queue(ctx, name)
	if err != nil {
		return err
	}
	fresh := true
	for i := range msgs {
		fresh = fresh && msgs[i].Delay <= 0
	}
	if !fresh || q.inlets.Load() == nil {
		return q.enqueueLocked(msgs, before)
	}
	if err := q.push(msgs, now); err != nil {
		return err
	}
	total := q.count(msgs, now, before)
	// Order: count, then look whether somebody waits for that many or for the
	// expiry to be watched. Who waits first says so and then counts, so that one
	// of the two sees the other.
	if q.unarmed.Load() {
		now = q.lock()
		q.watch(now, now)
		q.unlock()
	} else if total >= q.wake.Load() {
		q.mu.Lock()
		q.unlock()
	}
	return nil
}

// push appends the messages without a delay to a shard.
func (q *queue) push(msgs []store.Message, now int64) error {
	sh := q.inlet()
	defer sh.mu.Unlock()
	if sh.over != nil {
		return sh.over
	}
	sh.last = max(sh.last, now)
	for i := range msgs {
		if msgs[i].Delay > 0 {
			continue
		}
		fillSlot(sh.list.push(), &msgs[i], sh.last, &sh.w, &q.arena)
	}
	return nil
}

// fillSlot stores a message.
func fillSlot(s *slot, m *store.Message, born int64, w *writer, a *arena) {
	s.id, s.born, s.attempts, s.turn = m.ID, born, 0, 0
	ctype, ok := commonType(m.ContentType)
	s.ctype = ctype
	if ok && len(m.Headers) == 0 {
		s.flags = 0
		s.setFrame(w.writeBody(a, m.Body))
		return
	}
	f := newFrame(m)
	s.flags = f.flags
	s.setFrame(w.write(a, &f))
}

// count counts messages that were just added, and returns how many there are
// now. The stats from before are exact: adding and reading are one step.
func (q *queue) count(msgs []store.Message, now int64, before *store.Stats) int64 {
	var size int64
	for i := range msgs {
		size += int64(len(msgs[i].Body))
	}
	n := int64(len(msgs))
	total := q.messages.Add(n)
	before.Messages = max(total-n, 0)
	before.Bytes = max(q.bytes.Add(size)-size, 0)
	before.Delayed, before.Leased = -1, -1
	before.Expired, before.ExpiredBytes = -1, -1
	if before.Messages == 0 {
		q.oldest.Store(now)
		before.Oldest = time.Time{}
	} else {
		before.Oldest = q.store.time(q.oldest.Load())
	}
	return total
}

// enqueueLocked accepts messages of which some have a delay, and the first ones
// ever.
func (q *queue) enqueueLocked(msgs []store.Message, before *store.Stats) error {
	now := q.lock()
	defer q.unlock()
	if q.over != nil {
		return q.over
	}
	q.open()
	stats := q.stats()
	if err := q.push(msgs, now); err != nil {
		return err
	}
	for i := range msgs {
		if d := msgs[i].Delay; d > 0 {
			var m slot
			fillSlot(&m, &msgs[i], now, q.writer(d), &q.arena)
			id := q.add(&m, delayed)
			q.delayed++
			q.schedule(id, ticks(after(now, d)), now)
		}
	}
	q.count(msgs, now, before)
	*before = stats
	q.watch(now, now)
	return nil
}
