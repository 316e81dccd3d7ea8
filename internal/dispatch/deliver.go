package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/inproq/inproq/store"
)

// errStuck is the outcome of a batch that is settled while its handler still
// runs.
var errStuck = errors.New("handler has not returned")

// A survey is what the messages of a batch add up to.
type survey struct {
	bytes   int64
	units   uint64    // operations that they are billed as
	first   time.Time // when the oldest was sent
	base    int64     // when one of them was, in nanoseconds since 1970
	offsets int64     // how much later the others were, in sum
	retries uint64    // deliveries before this one
	largest int       // body
}

func surveyOf(found []store.Delivery) survey {
	s := survey{first: found[0].Sent, base: found[0].Sent.UnixNano()}
	for i := range found {
		n := len(found[i].Body)
		s.bytes += int64(n)
		s.units += OpUnits(n)
		s.largest = max(s.largest, n)
		s.retries += uint64(found[i].Attempts - 1)
		s.offsets += found[i].Sent.UnixNano() - s.base
		if found[i].Sent.Before(s.first) { // retried, delayed, or moved here
			s.first = found[i].Sent
		}
	}
	return s
}

// ops are the operations of one kind on all n messages, at a time.
func (s *survey) ops(n int, at time.Time) Ops {
	return Ops{
		Count: uint64(n), Units: s.units, Bytes: uint64(s.bytes), Retries: s.retries, Largest: int64(s.largest),
		Lag: max(time.Duration(int64(n)*(at.UnixNano()-s.base)-s.offsets), 0),
	}
}

// backlog is what the queue holds beside a batch that was just leased.
func (e *Engine) backlog(n int, s *survey) store.Stats {
	st, err := e.cfg.Store.Stats(e.base, e.cfg.Queue)
	if err != nil {
		return store.Stats{} // only shown to the handler: best effort
	}
	return remaining(st, n, s)
}

// remaining is what a queue holds beside a batch of n messages.
func remaining(st store.Stats, n int, s *survey) store.Stats {
	if n == 0 {
		return st
	}
	st.Messages, st.Bytes = max(st.Messages-int64(n), 0), max(st.Bytes-s.bytes, 0)
	if st.Messages == 0 || !st.Oldest.Before(s.first) {
		st.Oldest = time.Time{} // the oldest is in the batch: that of the rest is not known
	}
	return st
}

// begin puts a batch among those that run. The caller holds mu.
func (e *Engine) begin(b *Batch) {
	e.cfg.Counters.begin(b)
	b.watched = e.Observer.Watched() // here: who begins to watch and then finds no batch running misses none
	b.place = len(e.live)
	e.live = append(e.live, b)
	e.running++
	e.delivered++
	e.watchOver(b)
}

// run calls the handler with a batch, and settles what it decided. It reports
// whether the calling goroutine is the filler from now on.
func (e *Engine) run(b *Batch) (fill bool) {
	returned, completed := false, false
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.remove(b)
		if completed {
			fill = e.takeRole()
		} else {
			e.fillIfFree() // this goroutine is about to end
		}
		e.notify()
	}()
	defer func() {
		if !returned {
			e.complete(b, errGoexit) // the handler has called runtime.Goexit
		}
	}()
	observeDelivered(e.Observer, b.watched, b.Deliveries)
	err := Protect(func() error { return e.cfg.Handle(&b.ctx, b) })
	returned = true
	e.complete(b, err) // a Backoff may call runtime.Goexit too
	completed = true
	return false
}

// remove takes a batch from those that run. The caller holds mu.
func (e *Engine) remove(b *Batch) {
	last := len(e.live) - 1
	e.live[b.place] = e.live[last]
	e.live[b.place].place = b.place
	e.live[last] = nil
	e.live = e.live[:last]
	e.running--
}

// complete ends an invocation whose handler has returned.
func (e *Engine) complete(b *Batch, err error) {
	err = b.Join(err)
	took := time.Since(b.ctx.began)
	noteMax(&e.Counters.Longest, int64(took))
	overdue := took >= b.settings.MaxDuration
	if overdue {
		e.Observer.Observe(Happening{Kind: Overdue})
	}
	switch {
	case err != nil:
	case overdue:
		err = b.ctx.overdue()
	case b.ctx.base.Err() != nil:
		err = context.Cause(b.ctx.base) // cut short by Cancel
	}
	b.ctx.end()
	if b.Seal() {
		e.conclude(b, took, err)
		b.scratch.free()
	} else {
		e.log.Warn("handler returned after its batch was settled without it", "after", time.Since(b.ctx.began))
	}
}

// conclude settles a sealed batch, whose handler took so long, and lets the autoscaler
// know.
func (e *Engine) conclude(b *Batch, took time.Duration, outcome error) {
	if outcome != nil {
		e.reportFailure(b, outcome)
	}
	e.lastBeat(b)
	activity := Activity{Now: b.ctx.began.Add(took), Way: ByPush, Began: b.ctx.began, Ended: b.ctx.began.Add(took)}
	after, counted := e.settle(b, outcome, &activity)
	if !counted {
		var err error
		after, err = e.figures()
		counted = err == nil
		took = time.Since(b.ctx.began) // the settlement too
	}
	activity.Reads = b.sum.ops(len(b.Deliveries), b.ctx.began)
	activity.sample(counted, &after.Stats)
	e.Counters.Minutes.Add(&activity)
	if counted { // else the autoscaler has nothing to reconsider
		e.scale(b, &after, took, outcome != nil)
	}
}

// sample takes over a queue's figures, if they are known.
func (a *Activity) sample(known bool, st *store.Stats) {
	if known {
		a.Sampled, a.BacklogCount, a.BacklogSum = true, st.Messages, st.Bytes
	}
}

// reportFailure logs a failed invocation, once, with all that is known.
func (e *Engine) reportFailure(b *Batch, outcome error) {
	e.cfg.Counters.FailedBatches.Add(1)
	attrs := []any{"messages", b.Len(), "after", time.Since(b.ctx.began), "err", outcome}
	if p, ok := errors.AsType[*PanicError](outcome); ok {
		attrs = append(attrs, "stack", string(p.Stack))
	}
	e.log.Error("handler failed", attrs...)
	if b.watched.Has(Failed) {
		e.Observer.Observe(Happening{Kind: Failed, Count: int64(b.Len()), Err: outcome})
	}
}
