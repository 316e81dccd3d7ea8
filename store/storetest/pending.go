package storetest

import (
	"context"
	"time"

	"github.com/inproq/inproq/store"
)

// later runs a call in the background and returns when that blocks or has ended.
func (t *trial) later(call func(ctx context.Context) ([]store.Delivery, error)) *pending {
	ctx, cancel := context.WithCancel(t.ctx)
	p := &pending{cancel: cancel, done: make(chan struct{})}
	t.background.Go(func() {
		defer cancel()
		p.got, p.err = call(ctx)
		p.at = time.Now()
		close(p.done)
	})
	t.idle()
	return p
}

// waits is a Lease in the background. Without a Visibility it takes hold.
func (t *trial) waits(queue string, c store.Claim) *pending {
	if c.Visibility == 0 {
		c.Visibility = t.hold
	}
	return t.later(func(ctx context.Context) ([]store.Delivery, error) {
		return t.store.Lease(ctx, queue, c, nil)
	})
}

// A pending is a call in the background.
type pending struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when the fields below are set
	got    []store.Delivery
	err    error
	at     time.Time
}

// over says whether the call has ended.
func (p *pending) over() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// await waits until the call has ended.
func (t *trial) await(p *pending) {
	t.Helper()
	select {
	case <-p.done:
	case <-t.ctx.Done():
		t.Fatalf("a call still blocks, want that it has ended")
	}
}

// result is what the Lease returned. It waits for that.
func (t *trial) result(p *pending) []store.Delivery {
	t.Helper()
	t.await(p)
	t.ok("a call in the background", p.err)
	return p.got
}

// blocked checks that the call has not ended.
func (t *trial) blocked(p *pending) {
	t.Helper()
	t.idle()
	if p.over() {
		t.Fatalf("a call that should wait has ended, with %q and error %v", bodies(p.got), p.err)
	}
}

// ends checks that the call ends with the error want.
func (t *trial) ends(p *pending, want error) {
	t.Helper()
	t.await(p)
	if len(p.got) > 0 {
		t.Fatalf("a call ended with %q, want error %v and no messages", bodies(p.got), want)
	}
	t.fails("a blocked call", p.err, want)
}
