package memory

import (
	"context"
	"slices"
	"time"
)

// A waiter is a Lease that waits for messages.
type waiter struct {
	ch    chan struct{} // holds one signal
	timer *time.Timer   // for until
	until time.Duration // the longest wait; never: without end
	need  int64         // ready messages to be woken for
	woken bool
}

// wait registers the calling Lease, to be woken once need messages are ready.
func (q *queue) wait(need, until, now int64) *waiter {
	w := q.spare
	q.spare = nil
	if w == nil {
		w = &waiter{ch: make(chan struct{}, 1)}
	}
	w.need, w.woken, w.until = need, false, never
	if until != never {
		w.until = time.Duration(until - now)
	}
	q.waiters = append(q.waiters, w)
	return w
}

// block waits for a signal or until the time is over. Only the end of ctx is an error.
func (w *waiter) block(ctx context.Context) error {
	if w.until != never {
		return w.blockUntil(ctx)
	}
	select {
	case <-w.ch:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (w *waiter) blockUntil(ctx context.Context) error {
	if w.timer == nil {
		w.timer = time.NewTimer(w.until)
	} else {
		w.timer.Reset(w.until)
	}
	defer w.timer.Stop()
	select {
	case <-w.ch:
	case <-w.timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// leave takes a waiter off the list.
func (q *queue) leave(w *waiter) {
	i := slices.Index(q.waiters, w)
	q.waiters = slices.Delete(q.waiters, i, i+1)
	select {
	case <-w.ch: // signalled and timed out at once
	default:
	}
	q.spare = w
}

func (w *waiter) signal() {
	w.woken = true
	select {
	case w.ch <- struct{}{}:
	default:
	}
}

// signal wakes the waiters that can go on, the first come first, and tells
// senders at which number of messages the next one can.
func (q *queue) signal() {
	if len(q.waiters) == 0 {
		if q.wake.Load() != never { // a store would cost senders as much as a meeting
			q.wake.Store(never)
		}
		return
	}
	for {
		// Those woken already will take theirs when they get the lock.
		spoken, next := int64(0), int64(never)
		ready := q.ready()
		for _, w := range q.waiters {
			switch {
			case w.need == never:
			case w.woken:
				spoken += w.need
			case ready-spoken >= w.need:
				w.signal()
				spoken += w.need
			case w.need > 1 && ready < 1:
				w.signal() // it lingers for others to join a message that is gone
			default:
				next = min(next, spoken+w.need)
			}
		}
		if next != never {
			next += q.delayed + q.leased
		}
		q.wake.Store(next)
		// Order: say what is waited for, then count once more. See accepted.
		if q.collect(); q.messages.Load() < next {
			return
		}
	}
}
