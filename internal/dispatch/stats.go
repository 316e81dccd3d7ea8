package dispatch

import (
	"sync/atomic"
	"time"

	"github.com/inproq/inproq/internal/autoscale"
	"github.com/inproq/inproq/store"
)

// Counters count what happened to a queue's messages on the consuming side. They
// outlive the engines of their queue. Each is added to once a batch.
type Counters struct {
	Delivered, Acked, Retried, DeadLettered, Dropped atomic.Uint64
	Undecodable, LeasesLost                          atomic.Uint64
	Batches, FailedBatches, Stuck                    atomic.Uint64
	WriteOps, ReadOps, DeleteOps                     atomic.Uint64
	Lag                                              atomic.Int64 // of the latest batch's oldest message, in nanoseconds
}

// OpSize is the number of bytes that Cloudflare bills as one operation.
const OpSize = 64_000

// OpUnits is the number of operations that a body of n bytes counts for: one for
// each started 64 KB.
func OpUnits(n int) uint64 { return uint64(max(1, (n+OpSize-1)/OpSize)) }

// begin counts a batch that goes to the handler.
func (c *Counters) begin(b *Batch) {
	c.Batches.Add(1)
	c.Delivered.Add(uint64(len(b.Deliveries)))
	c.ReadOps.Add(b.sum.units)
	c.Lag.Store(int64(b.ctx.began.Sub(b.sum.first)))
}

// account counts outcomes that were applied, which those in lost were not, and
// logs what is not delivered again: the messages in dead, moved or deleted.
func (e *Engine) account(ds []store.Delivery, list []store.Outcome, dead []spent, lost []int) {
	var acked, retried, moved, dropped, writes, deletes uint64
	for i := range list {
		var x *spent
		if len(dead) > 0 && dead[0].i == i {
			x, dead = &dead[0], dead[1:]
		}
		if len(lost) > 0 && lost[0] == i {
			lost = lost[1:]
			e.cfg.Counters.LeasesLost.Add(1)
			e.log.Warn("lease lost: the message is delivered again", "message_id", idText(ds[i].ID), "attempts", ds[i].Attempts)
			continue
		}
		units := OpUnits(len(ds[i].Body))
		switch {
		case list[i].Verb == store.Retry:
			retried++
		case list[i].Verb == store.Move:
			moved++
			writes += units
			e.log.Warn("message dead-lettered", append(x.describe(&ds[i]), "dead_letter_queue", list[i].To)...)
		case x != nil:
			dropped++
			deletes += units
			e.log.Warn("message deleted: it has no attempts left and the consumer no dead-letter queue", x.describe(&ds[i])...)
		default:
			acked++
			deletes += units
		}
	}
	c := e.cfg.Counters
	addTo(&c.Acked, acked)
	addTo(&c.Retried, retried)
	addTo(&c.DeadLettered, moved)
	addTo(&c.Dropped, dropped)
	addTo(&c.WriteOps, writes)
	addTo(&c.DeleteOps, deletes)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.flow.left += int64(acked + moved + dropped)
	e.flow.back += int64(retried)
}

// describe returns what the log says of a spent message.
func (x *spent) describe(d *store.Delivery) []any {
	attrs := []any{"message_id", idText(d.ID), "attempts", d.Attempts, "reason", x.reason}
	if x.cause != nil {
		attrs = append(attrs, "err", x.cause)
	}
	return attrs
}

func addTo(c *atomic.Uint64, n uint64) {
	if n > 0 {
		c.Add(n)
	}
}

// flow counts messages since the engine started, to tell arrivals from the
// backlog's change: what came is what there is more of, and what left or came
// back. So a process that only consumes knows the rate of the producers. A
// backlog found at the start counts as arrived, which makes it urgent.
type flow struct {
	left, back int64 // through settlements of this engine
	known      int64 // left + back + backlog + expired at the previous sample
}

// arrived returns how many messages came since the previous call.
func (f *flow) arrived(st store.Stats) int64 {
	before := f.known
	f.known = f.left + f.back + st.Messages + max(st.Expired, 0)
	return max(f.known-before, 0)
}

// scale lets the autoscaler reconsider the number of handlers.
func (e *Engine) scale(b *Batch, failed bool) {
	st, err := e.cfg.Store.Stats(e.base, e.cfg.Queue)
	if err != nil {
		return // without figures there is nothing to reconsider
	}
	now := time.Now()
	e.mu.Lock()
	waiting := st.Messages - max(st.Delayed, 0)
	if st.Leased >= 0 {
		waiting -= st.Leased
	}
	d := e.scaler.Observe(autoscale.Sample{
		Now:       now,
		Arrived:   e.flow.arrived(st),
		Ready:     max(waiting, 0),
		Service:   now.Sub(b.ctx.began),
		Failed:    failed,
		BatchSize: e.settings.BatchSize,
		Max:       e.settings.MaxConcurrency,
	})
	e.lastScale = d
	e.fillIfFree()
	e.mu.Unlock()
	if d.From != d.To {
		e.log.Debug("concurrency changed", "from", d.From, "to", d.To, "rule", d.Rule, "arrival_rate", d.ArrivalRate,
			"service_seconds", d.ServiceSeconds, "failure_rate", d.FailureRate, "ready", d.Ready)
	}
}

// State is a snapshot of an engine.
type State struct {
	Running, Limit int
	LastScale      autoscale.Decision
}

// State returns what runs now, and how much may.
func (e *Engine) State() State {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := State{Running: e.running, LastScale: e.lastScale}
	if e.scaler != nil {
		s.Limit = e.limit()
	}
	return s
}
