package dispatch

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/inproq/inproq/store"
)

// sharedVisibility is how long the leases of a shared store hold. They are
// renewed three times as often, so that messages of a process that died come
// back within a minute. Other stores have one process: its leases simply cover
// the longest life of a handler.
const sharedVisibility = time.Minute

// The waits between attempts to reach a store that does not answer.
const (
	firstWait = 50 * time.Millisecond
	lastWait  = 5 * time.Second
)

// fillAndRun is the life of a goroutine of the engine, which was started to take
// the role of the filler.
func (e *Engine) fillAndRun() {
	e.mu.Lock()
	e.pending = false
	fill := e.takeRole()
	e.notify()
	e.mu.Unlock()
	for fill {
		b := e.next()
		fill = b != nil && e.run(b)
	}
}

// next leases the next batch and hands the role of the filler on. It returns
// nil when there is to be no filler, or no batch, any more.
//
// The goroutine of an idle queue waits below. What it needs is in its scratch, not on
// its stack, which then is the smallest that there is.
func (e *Engine) next() *Batch {
	for {
		x := e.turn()
		if x == nil {
			return nil
		}
		err := e.collect(x)
		if b, done := e.handOn(x, e.dry(x, err)); done {
			return b
		}
	}
}

// turn begins a turn of the filler, or ends the role and returns nil.
func (e *Engine) turn() *scratch {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.mayFill() {
		e.filling = false
		e.notify()
		return nil
	}
	x := newScratch()
	x.settings, x.fetch, x.drain = e.settings, e.fetch, e.phase == draining
	return x
}

// dry looks how a lease went. It reports whether finding nothing means that nothing is
// left to drain.
func (e *Engine) dry(x *scratch, err error) bool {
	switch {
	case err == nil:
		e.trouble.over(e.log, "Lease")
	case x.fetch.Err() != nil:
		// Interrupted: look again.
	case errors.Is(err, store.ErrQueueNotFound), errors.Is(err, store.ErrClosed):
		e.end(err)
	case errors.Is(err, store.ErrPaused):
		// Only a Lease that does not wait says so: as good as empty.
	default:
		e.trouble.pause(x.fetch, e.log, "Lease", err)
		return false // nobody knows
	}
	return x.drain
}

// handOn makes a batch of what was leased, unless the filler was interrupted
// meanwhile, and hands its role on. It reports whether the caller is the filler
// no more; then it has a batch, or nothing is left to drain: dry says that an empty
// x means that.
func (e *Engine) handOn(x *scratch, dry bool) (b *Batch, done bool) {
	if len(x.found) > 0 {
		b = e.newBatch(x.settings, x)
	}
	fetch := x.fetch
	e.mu.Lock()
	defer e.mu.Unlock()
	interrupted := fetch.Err() != nil
	if b != nil && interrupted {
		e.mu.Unlock()
		e.release(x)
		e.mu.Lock()
	}
	if b == nil || interrupted {
		x.free()
		b = nil
	}
	if b != nil {
		e.begin(b)
	}
	if done = b != nil || dry && !interrupted; done {
		e.filling = false
		if b != nil {
			e.fillIfFree()
		}
		e.notify()
	}
	return b, done
}

// collect leases a batch and takes out the messages that have no attempt left.
// It finds none when the engine drains and none is ready.
func (e *Engine) collect(x *scratch) error {
	for {
		if err := e.fill(x); err != nil || len(x.found) == 0 {
			return err
		}
		n := len(x.found)
		if x.found = e.bury(x.settings, x.found); len(x.found) < n {
			x.counted = false // not as it was then
		}
		if len(x.found) > 0 {
			return nil
		}
	}
}

// ask says what a full batch asks of the store.
func (e *Engine) ask(x *scratch) {
	c, s := &x.claim, x.settings
	c.Min, c.Max, c.Bytes = s.BatchSize, s.BatchSize, 0
	c.Visibility, c.Wait, c.Linger = e.visibility(s), -1, s.BatchTimeout
	if x.drain || s.BatchTimeout <= 0 {
		c.Min, c.Linger = 1, 0
	}
	if x.drain {
		c.Wait = 0
	}
	if e.guarantee.Partial {
		c.Visibility += c.Linger // the batch fills while its first messages are leased
	}
}

// visibility is how long a lease must hold.
func (e *Engine) visibility(s *Settings) time.Duration {
	if e.guarantee.Shared {
		return sharedVisibility
	}
	return s.MaxDuration + e.cfg.Grace + 2*settleTime
}

// end stops the engine because there is nothing to deliver from any more.
func (e *Engine) end(err error) {
	e.mu.Lock()
	was := e.phase
	e.stop()
	e.mu.Unlock()
	if was != stopped {
		e.cfg.Ended(err)
	}
}

// An outage is a time during which a call to the store fails. It is logged once
// when it begins and once when it is over.
type outage struct {
	err  error
	wait time.Duration
	most time.Duration // the longest wait; zero: lastWait
}

// pause waits before the next attempt, longer each time. It reports false when
// ctx ended.
func (o *outage) pause(ctx context.Context, log *slog.Logger, doing string, err error) bool {
	if o.err == nil {
		o.wait = firstWait
		log.Error("store call failed, trying again", "call", doing, "err", err)
	}
	o.err = err
	t := time.NewTimer(o.wait)
	defer t.Stop()
	o.wait = min(2*o.wait, cmp.Or(o.most, lastWait))
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// over notes a success.
func (o *outage) over(log *slog.Logger, doing string) {
	if o.err != nil {
		log.Info("store call works again", "call", doing)
		o.err = nil
	}
}
