package inproq

import (
	"context"
	"errors"
	"time"

	"github.com/inproq/inproq/store"
)

// The waits between attempts to follow the changes in a store that does not answer.
const (
	firstWatchWait = 50 * time.Millisecond
	lastWatchWait  = 5 * time.Second
)

// watch follows the changes that others make in the store, until ctx ends.
func (b *Broker) watch(ctx context.Context) {
	wait := firstWatchWait
	for {
		err := b.catalog.await(ctx, -1)
		switch {
		case ctx.Err() != nil || errors.Is(err, store.ErrClosed):
			return
		case err == nil:
			if wait > firstWatchWait {
				b.log.Info("store call works again", "call", "Queues")
			}
			wait = firstWatchWait
			continue
		case wait == firstWatchWait:
			b.log.Error("store call failed, trying again", "call", "Queues", "err", err)
		}
		if !sleep(ctx, wait) {
			return
		}
		wait = min(2*wait, lastWatchWait)
	}
}

// sleep waits, and reports false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
