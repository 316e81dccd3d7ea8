package dispatch

import (
	"time"

	"github.com/inproq/inproq/internal/autoscale"
	"github.com/inproq/inproq/store"
)

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

// scale lets the autoscaler reconsider the number of handlers, after a batch that took
// so long and left the queue with st.
func (e *Engine) scale(b *Batch, st *store.Stats, took time.Duration, failed bool) {
	e.mu.Lock()
	waiting := st.Messages - max(st.Delayed, 0)
	if st.Leased >= 0 {
		waiting -= st.Leased
	}
	d := e.scaler.Observe(autoscale.Sample{
		Now:       b.ctx.began.Add(took),
		Arrived:   e.flow.arrived(*st),
		Ready:     max(waiting, 0),
		Service:   took,
		Failed:    failed,
		BatchSize: e.settings.BatchSize,
		Max:       e.settings.MaxConcurrency,
	})
	e.lastScale = d
	e.fillIfFree()
	e.mu.Unlock()
	if b.watched.Has(Counted) {
		e.Observer.Observe(Happening{Kind: Counted, Count: st.Expired, Size: st.ExpiredBytes})
	}
	if d.From != d.To {
		if b.watched.Has(Scaled) {
			e.Observer.Observe(Happening{Kind: Scaled, Scale: d})
		}
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
