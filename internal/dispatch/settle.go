package dispatch

import "github.com/inproq/inproq/store"

// settle gives every message of a batch its verdict, in one call of the store.
func (e *Engine) settle(b *Batch, outcome error) {
	r := ruling{list: b.scratch.list, units: b.sum.units, watched: b.watched, at: beginning(b.watched)}
	record := b.Record()
	for i := range b.Deliveries {
		d := &b.Deliveries[i]
		if !record.Acked(i, outcome) {
			e.retry(&r, &b.settings, d, record.Verdict(i, outcome))
			continue
		}
		if r.watched.Has(Acked) {
			r.markImplicit(i, &record)
		}
		r.ack(d.Lease)
	}
	b.scratch.list = r.list
	b.settling.begin(e.base, settleTime)
	defer b.settling.end()
	lost, unsure, err := e.apply(&b.settling, r.list)
	if err == nil {
		r.unsure = unsure
		e.flowed(e.account(b.Deliveries, &r, lost))
	}
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
