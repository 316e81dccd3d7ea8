package sqlite

import (
	"context"
	"slices"
	"time"
)

// A waiter is a Lease that waits: for need messages, or until something happens that it has to
// look at, which it knows beforehand.
type waiter struct {
	ch   chan struct{} // holds one signal
	need int64
}

// wait registers a waiter. The caller holds mu.
func (q *queue) wait(need int64) *waiter {
	w := &waiter{make(chan struct{}, 1), need}
	q.waiters = append(q.waiters, w)
	return w
}

// leave takes a waiter off the list.
func (q *queue) leave(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.waiters, w); i >= 0 {
		q.waiters = slices.Delete(q.waiters, i, i+1)
	}
}

// block waits for a signal, or for d. Only the end of ctx is an error.
func (w *waiter) block(ctx context.Context, d time.Duration) error {
	if d == never {
		select {
		case <-w.ch:
		case <-ctx.Done():
			return ctx.Err()
		}
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-w.ch:
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (w *waiter) signal() {
	select {
	case w.ch <- struct{}{}:
	default:
	}
}

// signal wakes the waiters that can go on, or that wait for something that now happens sooner.
// The caller holds mu.
func (q *queue) signal() {
	n := q.leasable()
	next := q.nextEvent()
	for _, w := range q.waiters {
		if n >= w.need || n < 1 && w.need > 1 || next < q.watched {
			w.signal()
		}
	}
	q.watched = next
}

// wake wakes all waiters. The caller holds mu.
func (q *queue) wake() {
	for _, w := range q.waiters {
		w.signal()
	}
}
