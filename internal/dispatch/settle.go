package dispatch

import "github.com/inproq/inproq/store"

// settle gives every message of a batch its verdict, in one call of the store. It
// returns what the queue holds then, if the store has told.
func (e *Engine) settle(b *Batch, outcome error) (after store.Stats, counted bool) {
	record := b.Record()
	if e.out != nil && !b.watched.Has(Acked) && record.AllAcked(outcome) {
		lost, after, err := e.out.Ack(e.base, b.Deliveries)
		if err == nil {
			e.acked(b, lost)
			return after, true
		} // else it is tried again, and logged
	}
	r := ruling{list: b.scratch.list, units: b.sum.units, watched: b.watched, at: beginning(b.watched)}
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
	lost, unsure, err := e.apply(ctx, r.list)
	if err == nil {
		r.unsure = unsure
		e.flowed(e.account(b.Deliveries, &r, lost))
	}
	return store.Stats{}, false
}

// acked does the books of a batch that was acknowledged as a whole.
func (e *Engine) acked(b *Batch, lost []int) {
	if len(lost) == 0 && b.sum.units > 0 {
		e.Counters.acked(len(b.Deliveries), b.sum.units)
		e.flowed(Tally{Acked: len(b.Deliveries)})
		return
	}
	r := ruling{watched: b.watched, at: beginning(b.watched)}
	for i := range b.Deliveries {
		r.ack(b.Deliveries[i].Lease)
	}
	e.flowed(e.account(b.Deliveries, &r, lost))
}

// bury is that of the settler, for the engine's own flow.
func (e *Engine) bury(s *Settings, found []store.Delivery) []store.Delivery {
	alive, t := e.Settler.bury(e.base, s, found)
	if len(alive) < len(found) {
		e.flowed(t)
	}
	return alive
}

// flowed adds what was settled to what went through.
func (e *Engine) flowed(t Tally) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.flow.left += int64(t.Acked + t.Moved + t.Dropped)
	e.flow.back += int64(t.Retried)
}
