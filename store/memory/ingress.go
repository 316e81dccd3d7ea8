package memory

import (
	"context"
	"sync"

	"github.com/inproq/inproq/store"
)

// A shard takes in fresh messages. As long as senders do not meet, all use the
// first, so that one alone mostly has its messages in order. When it was found
// taken a few times, each uses one of its own: then nothing that a send
// writes is shared by two processors, not even the counts, which a shard adds up
// and passes on when somebody asks. (One lock for all, taken per message, costs
// four times as much with sixteen senders on two cores.)
type shard struct {
	mu    sync.Mutex
	over  error
	last  int64 // born of the newest message: a lane never goes back in time
	list  chunkList
	w     writer
	n     int64 // messages that are not in the queue's count yet
	bytes int64 // of their bodies
	index int   // of the shard
	_     [64]byte
}

// flush passes a shard's counts on. The caller holds its mu.
func (q *queue) flush(sh *shard) (messages, bytes int64) {
	messages, bytes = q.messages.Add(sh.n), q.bytes.Add(sh.bytes)
	sh.n, sh.bytes = 0, 0
	return messages, bytes
}

// collect brings the queue's counts up to date. The caller holds mu.
func (q *queue) collect() {
	if q.crowded.Load() {
		q.flushAll()
	}
}

// collectSome does so without waiting for senders. It reports whether it met none: the
// counts are exact then.
func (q *queue) collectSome() bool {
	if !q.crowded.Load() {
		return true
	}
	all := true
	in := *q.inlets.Load()
	for i := range in {
		if !in[i].mu.TryLock() {
			all = false
			continue
		}
		q.flush(&in[i])
		in[i].mu.Unlock()
	}
	return all
}

// disperse lets senders share the first shard again: one that is alone from now
// on is to have its messages in order. The caller holds mu.
func (q *queue) disperse() {
	// Order: meetings last. Whoever counts the fourth sets crowded, so one of the two is
	// as it was at the beginning.
	if q.crowded.Load() && q.crowded.Swap(false) {
		q.flushAll() // a sender that saw crowded has pushed before, or sees it no more
	}
	if q.meetings.Load() != 0 {
		q.meetings.Store(0)
	}
}

func (q *queue) flushAll() {
	in := *q.inlets.Load()
	for i := range in {
		in[i].mu.Lock()
		q.flush(&in[i])
		in[i].mu.Unlock()
	}
}

// openFirst is open for who does not hold mu.
func (q *queue) openFirst() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open()
}

// open makes the shards and lanes before the first send. The caller holds mu.
func (q *queue) open() {
	if q.inlets.Load() == nil {
		in := make([]shard, q.store.shards)
		for i := range in {
			in[i].index, in[i].over = i, q.over
		}
		q.lanes = make([]lane, len(in))
		for i := range q.lanes {
			q.lanes[i].pool = &q.store.chunks
		}
		q.inlets.Store(&in)
	}
}

// freeShard returns a shard, locked, of a queue that is open.
func (q *queue) freeShard() *shard {
	in := *q.inlets.Load()
	if q.crowded.Load() {
		return crowdedShard(in)
	}
	if !in[0].mu.TryLock() {
		// Taken by another sender, or for a moment by a Lease.
		if q.meetings.Add(1) >= manyMeetings {
			q.crowded.Store(true)
		}
		in[0].mu.Lock()
	}
	return &in[0]
}

// A seat is the shard that a sender used last. A pool keeps what is put back with
// the processor, so processors keep to their shards, and move on when they meet
// another there.
type seat struct{ shard int }

var seats = sync.Pool{New: func() any { return new(seat) }}

func crowdedShard(in []shard) *shard {
	s := seats.Get().(*seat)
	defer seats.Put(s)
	for range in {
		s.shard %= len(in)
		if sh := &in[s.shard]; sh.mu.TryLock() {
			return sh
		}
		s.shard++
	}
	s.shard %= len(in)
	in[s.shard].mu.Lock()
	return &in[s.shard]
}

// Enqueue accepts messages.
func (s *Store) Enqueue(ctx context.Context, name string, msgs []store.Message) (store.Stats, error) {
	q, err := s.queue(ctx, name)
	if err != nil {
		return store.Stats{}, err
	}
	var size int64
	fresh := true
	for i := range msgs {
		size += int64(len(msgs[i].Body))
		fresh = fresh && msgs[i].Delay <= 0
	}
	if !fresh {
		return q.enqueueLocked(msgs)
	}
	if q.inlets.Load() == nil {
		q.openFirst()
	}
	now := s.now()
	sh := q.freeShard()
	if sh.over != nil {
		sh.mu.Unlock()
		return store.Stats{}, sh.over
	}
	q.push(sh, msgs, now)
	r := q.accepted(sh, int64(len(msgs)), size, now)
	before := store.Stats{Messages: r.Messages, Bytes: r.Bytes, Delayed: -1, Leased: -1, Expired: -1, ExpiredBytes: -1}
	if r.Oldest != 0 {
		before.Oldest = s.time(r.Oldest - s.unix)
	}
	return before, nil
}

// push appends the messages without a delay to a shard, which is locked.
func (q *queue) push(sh *shard, msgs []store.Message, now int64) {
	sh.last = max(sh.last, now)
	for i := range msgs {
		if msgs[i].Delay <= 0 {
			fillSlot(sh.list.push(&q.store.chunks), &msgs[i], sh.last, &sh.w, &q.arena)
		}
	}
}

// accepted counts messages that were pushed, unlocks the shard, and wakes whom
// they concern.
func (q *queue) accepted(sh *shard, n, size, now int64) (r store.Receipt) {
	sh.n += n
	sh.bytes += size
	// Order: add, then look whether somebody waits. Who waits first says so and
	// then counts: one of the two sees the other. The count is of what was flushed,
	// and of the shards too only while senders meet; so a message may stay in its
	// shard only if they did before nobody waited.
	wake := int64(never)
	if q.crowded.Load() && sh.n < flushAt && q.wake.Load() == never {
		// What other shards have is left out.
		r.Messages, r.Bytes = q.messages.Load()+sh.n, q.bytes.Load()+sh.bytes
	} else {
		r.Messages, r.Bytes = q.flush(sh)
		wake = q.wake.Load()
	}
	sh.mu.Unlock()

	total := r.Messages
	r.Messages, r.Bytes = max(total-n, 0), max(r.Bytes-size, 0)
	if r.Messages == 0 {
		q.oldest.Store(now)
	} else {
		r.Oldest = q.store.unix + q.oldest.Load()
	}
	switch {
	case q.unarmed.Load():
		now = q.lock()
		q.watch(now, now)
		q.unlock()
	case total >= wake:
		q.mu.Lock()
		q.unlock()
	}
	return r
}

// manyMeetings is how often senders find the first shard taken, between two
// times that the queue is empty, before they leave it. A Lease and an Ack may be met
// too, so with several consumers one sender alone may come to leave it.
const manyMeetings = 4

// flushAt is the number of messages that a shard may keep to itself in its
// count.
const flushAt = 64

// fillSlot stores a message.
func fillSlot(s *slot, m *store.Message, born int64, w *writer, a *arena) {
	ctype, ok := commonType(m.ContentType)
	s.fresh(m.ID, born, ctype)
	if ok && len(m.Headers) == 0 {
		s.setFrame(w.writeBody(a, m.Body))
		return
	}
	f := newFrame(m)
	s.flags = f.flags
	s.setFrame(w.write(a, &f))
}

// enqueueLocked accepts messages of which some have a delay.
func (q *queue) enqueueLocked(msgs []store.Message) (store.Stats, error) {
	now := q.lock()
	defer q.unlock()
	if q.over != nil {
		return store.Stats{}, q.over
	}
	q.open()
	before := q.stats()
	sh := q.freeShard()
	q.push(sh, msgs, now)
	sh.mu.Unlock()
	var size int64
	for i := range msgs {
		size += int64(len(msgs[i].Body))
		if d := msgs[i].Delay; d > 0 {
			var m slot
			fillSlot(&m, &msgs[i], now, q.writer(d), &q.arena)
			id := q.add(&m, delayed)
			q.delayed++
			q.schedule(id, ticks(after(now, d)), now)
		}
	}
	if q.messages.Add(int64(len(msgs))) == int64(len(msgs)) {
		q.oldest.Store(now)
	}
	q.bytes.Add(size)
	q.watch(now, now)
	return before, nil
}
