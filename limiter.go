package inproq

import (
	"sync/atomic"
	"time"
)

// A limiter admits messages at a rate, with a burst of one second's worth. It is
// the generic cell rate algorithm: one number, the time at which the queue would
// be through with what it has admitted.
type limiter struct {
	interval time.Duration // of one message
	busy     atomic.Int64  // until then, in nanoseconds since 1970
}

func newLimiter(perSecond int) *limiter {
	return &limiter{interval: time.Second / time.Duration(perSecond)}
}

// allow admits n messages, all or none, at a time since 1970. More than a second's
// worth at once are admitted after a second without any.
func (l *limiter) allow(now time.Duration, n int) bool {
	for {
		old := l.busy.Load()
		until := max(time.Duration(old), now) + time.Duration(n)*l.interval
		if until-now > time.Second && time.Duration(old) > now {
			return false
		}
		if l.busy.CompareAndSwap(old, int64(until)) {
			return true
		}
	}
}
