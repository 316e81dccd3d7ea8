package inproq

import (
	"sync"

	"github.com/inproq/inproq/internal/dispatch"
	"github.com/inproq/inproq/store"
)

// An expiry counts the messages of a queue that retention has deleted since the broker
// was made. The store counts them since it was opened, or since the queue was created.
type expiry struct {
	mu     sync.Mutex
	known  bool  // base is
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
	x.before += uint64(x.count)
	x.beforeOps += x.opsLocked()
	x.known, x.base, x.bytes0, x.count, x.bytes = fresh, 0, 0, 0, 0
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
	if !x.known {
		x.known, x.base, x.bytes0 = true, count, bytes
	}
	if news = count - x.base - x.count; news <= 0 {
		return 0
	}
	x.count, x.bytes = count-x.base, max(bytes-x.bytes0, x.bytes)
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
	return x.before + uint64(x.count), x.beforeOps + x.opsLocked()
}

func (x *expiry) opsLocked() uint64 {
	return max(uint64(x.count), uint64(x.bytes+dispatch.OpSize-1)/dispatch.OpSize)
}

// noteStats keeps what a store's statistics say of expired messages, and tells of those
// that are new.
func (ep *endpoint) noteStats(st *store.Stats) { ep.noteExpired(st.Expired, st.ExpiredBytes) }
