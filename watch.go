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
	patience := time.Duration(0) // first a list: what comes after it is a change
	for {
		err := b.catalog.await(ctx, patience)
		switch {
		case ctx.Err() != nil || errors.Is(err, store.ErrClosed):
			return
		case err == nil:
			if wait > firstWatchWait {
				b.log.Info("store call works again", "call", "Queues")
			}
			wait, patience = firstWatchWait, -1
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
