package dispatch

import "github.com/inproq/inproq/store"

// settle gives every message of a batch its verdict, in one call of the store. It
// returns what the queue holds then, if the store has told, and adds what has ended to
// the activity.
//
// Order: leave, the store, flowed, whatever else happens; see flow.
func (e *Engine) settle(b *Batch, outcome error, a *Activity) (after figures, counted bool) {
	record := b.Record()
	if e.out != nil && !b.watched.Has(Acked) && record.AllAcked(outcome) {
		if after, counted = e.ackAll(b, a); counted {
			return after, true
		} // else it is tried again, and logged
	}
	r := ruling{list: b.scratch.list, sum: &b.sum, watched: b.watched, at: beginning(b.watched), now: a.Now}
	for i := range b.Deliveries {
		d := &b.Deliveries[i]
		if !record.Acked(i, outcome) {
			e.retry(&r, b.settings, d, record.Verdict(i, outcome))
			continue
		}
		if r.watched.Has(Acked) {
			r.markImplicit(i, &record)
		}
		r.ack(d.Lease)
	}
	b.scratch.list = r.list
	ctx := new(invocation) // which the store may keep
	ctx.begin(e.base, settleTime)
	defer ctx.end()
	leaving := r.acked + len(r.dead)
	e.leave(leaving)
	lost, unsure, err := e.apply(ctx, r.list)
	var t Tally
	if err == nil {
		r.unsure = unsure
		t = e.account(b.Deliveries, &r, lost)
		a.Outs = r.outs
	}
	e.flowed(t, leaving)
	return figures{}, false
}

// ackAll acknowledges a whole batch. It reports false when the store has failed.
func (e *Engine) ackAll(b *Batch, a *Activity) (after figures, ok bool) {
	n := len(b.Deliveries)
	after.mark = e.leave(n)
	lost, st, err := e.out.Ack(e.base, b.Deliveries)
	if err != nil {
		e.flowed(Tally{}, n)
		return figures{}, false
	}
	t := Tally{Acked: n}
	if len(lost) == 0 {
		e.Counters.acked(n, b.sum.units)
		a.Outs[Succeeded] = b.sum.ops(n, a.Now)
	} else {
		r := ruling{watched: b.watched, at: beginning(b.watched), now: a.Now}
		for i := range b.Deliveries {
			r.ack(b.Deliveries[i].Lease)
		}
		t = e.account(b.Deliveries, &r, lost)
		a.Outs = r.outs
	}
	e.flowed(t, n)
	after.Stats = st
	after.mark.left += int64(t.Acked) // which the figures have without doubt
	return after, true
}

// bury is that of the settler, for the engine's own flow.
func (e *Engine) bury(s *Settings, found []store.Delivery) []store.Delivery {
	if !anySpent(found, s.MaxRetries+1) {
		return found
	}
	e.leave(len(found)) // at most
	alive, t := e.Settler.bury(e.base, s, found)
	e.flowed(t, len(found))
	return alive
}

// leave notes that the store is about to be told to let n messages go. It returns what
// the flow knew before.
func (e *Engine) leave(n int) mark {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.flow.leaving += int64(n)
	return e.flow.mark()
}

// flowed adds what was settled to what went through. Leaving is what leave was called
// with, also if nothing was settled.
func (e *Engine) flowed(t Tally, leaving int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.flow.leaving -= int64(leaving)
	e.flow.left += int64(t.Acked + t.Moved + t.Dropped)
	e.flow.back += int64(t.Retried)
}
