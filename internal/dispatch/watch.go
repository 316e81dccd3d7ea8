package dispatch

import (
	"time"

	"github.com/inproq/inproq/store"
)

// An alarm is one timer for all invocations of an engine, set for the first
// moment at which one of them needs attention. It is not set back when that one
// is over: it fires, finds nothing, and is set anew by who comes next.
type alarm struct {
	ring  func()
	timer *time.Timer
	at    time.Time // zero: not set
}

func (a *alarm) set(at time.Time) {
	if !a.at.IsZero() && !at.Before(a.at) {
		return
	}
	a.at = at
	if a.timer == nil {
		a.timer = time.AfterFunc(time.Until(at), a.ring)
	} else {
		a.timer.Reset(time.Until(at))
	}
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
	a.at = time.Time{}
}

// watchOver sets the timers for a batch that begins. The caller holds mu.
func (e *Engine) watchOver(b *Batch) {
	e.watch.set(b.ctx.deadline.Add(e.cfg.Grace))
	if e.guarantee.Shared {
		e.beat.set(b.ctx.began.Add(sharedVisibility / 3))
	}
}

// onWatch settles batches whose handlers are stuck: longer than MaxDuration and
// the grace. They keep their places until they return.
func (e *Engine) onWatch() {
	now := time.Now()
	e.mu.Lock()
	e.watch.at = time.Time{}
	stuck := e.abandon(func(b *Batch) bool { return !now.Before(b.ctx.deadline.Add(e.cfg.Grace)) })
	for _, b := range e.live {
		// One whose time has come is stuck, or being settled by its own handler.
		if at := b.ctx.deadline.Add(e.cfg.Grace); now.Before(at) {
			e.watch.set(at)
		}
	}
	for _, b := range stuck {
		e.wg.Go(func() { e.concludeStuck(b) }) // its handler keeps wg from zero
	}
	e.mu.Unlock()
}

// abandon seals batches that run, so that what their handlers still call does
// nothing. The caller holds mu and then concludes them.
func (e *Engine) abandon(which func(*Batch) bool) []*Batch {
	var sealed []*Batch
	for _, b := range e.live {
		if which(b) && b.Seal() {
			b.close()
			sealed = append(sealed, b)
		}
	}
	return sealed
}

func (e *Engine) concludeStuck(b *Batch) {
	e.cfg.Counters.Stuck.Add(1)
	if b.watched.Has(Stuck) {
		e.Observer.Observe(Happening{Kind: Stuck, Count: int64(b.Len())})
	}
	e.conclude(b, time.Since(b.ctx.began), errStuck)
}

// onBeat renews the leases of all batches that run, in a store that other
// processes use too.
func (e *Engine) onBeat() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.beat.at = time.Time{}
	var renewals []store.Outcome
	for _, b := range e.live {
		if b.settled {
			continue
		}
		for i := range b.Deliveries {
			renewals = append(renewals, store.Outcome{Lease: b.Deliveries[i].Lease, Verb: store.Extend, Delay: sharedVisibility})
		}
	}
	if len(renewals) == 0 {
		return // the next batch sets the alarm
	}
	e.beat.set(time.Now().Add(sharedVisibility / 3))
	if e.beating {
		return // the store is slow; the leases outlast two renewals
	}
	e.beating = true
	e.wg.Go(func() { // a handler that runs keeps wg from zero
		ctx := new(invocation)
		ctx.begin(e.base, settleTime)
		defer ctx.end()
		lost, _, err := e.apply(ctx, renewals)
		if err == nil && len(lost) > 0 {
			e.log.Warn("leases were lost while their handlers run", "messages", len(lost))
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.beating = false
		e.notify()
	})
}

// lastBeat returns when no renewal for b is under way and none will follow: one
// that came after the settlement could take back what another holds by now, in a
// store that is not fenced.
func (e *Engine) lastBeat(b *Batch) {
	if !e.guarantee.Shared {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	b.settled = true
	_ = e.await(e.base, func() bool { return !e.beating }) // base never ends
}
