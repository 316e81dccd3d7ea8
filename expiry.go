package inproq

import (
	"sync"

	"github.com/inproq/inproq/internal/dispatch"
	"github.com/inproq/inproq/store"
)

// An expiry counts the messages of a queue that retention has deleted since the broker
// was made. The store counts them since it was opened, or since the queue was created.
type expiry struct {
	mu    sync.Mutex
	known bool     // where the count begins
	tally *expired // nil: the store has counted none, now or of queues of this name before
}

type expired struct {
	base   int64 // the store's count when the broker began to count
	bytes0 int64 // and that of bytes
	count  int64 // since then
	bytes  int64

	// Of queues of this name that were deleted.
	before    uint64
	beforeOps uint64
}

// begin begins to count a queue anew. One that is fresh has come to be after the
// broker, so all that ever expired in it counts.
func (x *expiry) begin(fresh bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.known = fresh
	if t := x.tally; t != nil {
		*t = expired{before: t.before + uint64(t.count), beforeOps: t.beforeOps + t.ops()}
	}
}

// note takes over what the store says, and returns how many messages are new. The first
// answer about a queue that was there before the broker is where the count begins; a
// smaller one than before is out of date.
func (x *expiry) note(count, bytes int64) (news int64) {
	if count < 0 {
		return 0 // the store cannot tell
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	bytes = max(bytes, 0)
	t := x.tally
	if t == nil {
		if count == 0 && bytes == 0 {
			x.known = true
			return 0
		}
		t = new(expired)
		x.tally = t
	}
	if !x.known {
		x.known, t.base, t.bytes0 = true, count, bytes
	}
	if news = count - t.base - t.count; news <= 0 {
		return 0
	}
	t.count, t.bytes = count-t.base, max(bytes-t.bytes0, t.bytes)
	return news
}

// isKnown reports whether it has begun to count.
func (x *expiry) isKnown() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.known
}

// totals are the messages, and what they are billed as: one operation for each, or for
// each 64 KB of their sum if that is more.
func (x *expiry) totals() (count, ops uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := x.tally
	if t == nil {
		return 0, 0
	}
	return t.before + uint64(t.count), t.beforeOps + t.ops()
}

func (t *expired) ops() uint64 {
	return max(uint64(t.count), uint64(t.bytes+dispatch.OpSize-1)/dispatch.OpSize)
}

// noteStats keeps what a store's statistics say of expired messages, and tells of those
// that are new.
func (ep *endpoint) noteStats(st *store.Stats) { ep.noteExpired(st.Expired, st.ExpiredBytes) }
