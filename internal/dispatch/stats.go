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
	leaving    int64 // in settlements under way: gone from the store or not, and not in left yet
	known      int64 // left + back + backlog + expired, as far as it is certain
}

// A mark is what a flow knew before the store was asked for its figures.
type mark struct{ left, known int64 }

func (f *flow) mark() mark { return mark{f.left, f.known} }

// arrived returns how many messages came since the previous call. The store was asked
// for the figures after m was taken.
//
// Handlers that return together settle and ask at the same time, in any order, so
// nobody knows which of the messages that are being settled the figures still have.
// One that is missing from them, and is counted among left only later, would pass for
// an arrival then; one that they still have, and that is in left already, would now.
// So what left after m does not count yet, and a total that has fallen is believed only
// as far as settlements cannot explain it: that was a purge, or another process.
func (f *flow) arrived(m mark, st store.Stats) int64 {
	least := m.left + f.back + st.Messages + max(st.Expired, 0)
	most := least + f.left - m.left + f.leaving
	if most < m.known { // f.known may be from a younger answer
		f.known = min(f.known, most)
	}
	before := f.known
	f.known = max(before, least)
	return f.known - before
}

// scale lets the autoscaler reconsider the number of handlers, after a batch that took
// so long. What its settlement has done is in the flow.
func (e *Engine) scale(b *Batch, after *figures, took time.Duration, failed bool) {
	st := &after.Stats
	e.mu.Lock()
	waiting := st.Messages - max(st.Delayed, 0)
	if st.Leased >= 0 {
		waiting -= st.Leased
	}
	d := e.scaler.Observe(autoscale.Sample{
		Now:       b.ctx.began.Add(took),
		Arrived:   e.flow.arrived(after.mark, *st),
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

// figures are those of the queue, and what the flow knew when the store was asked.
type figures struct {
	store.Stats
	mark mark
}

// figures asks the store.
func (e *Engine) figures() (f figures, err error) {
	e.mu.Lock()
	f.mark = e.flow.mark()
	e.mu.Unlock()
	f.Stats, err = e.cfg.Store.Stats(e.base, e.cfg.Queue)
	return f, err
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
