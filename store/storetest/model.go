package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/inproq/inproq/store"
)

var modelChecks = []check{
	{
		name:        "Seeds",
		explanation: "a store behaves as its documentation says, whatever happens in what order",
		run: func(t *trial) {
			seeds, steps := 20, 300
			if !t.harness.Virtual {
				seeds, steps = 3, 100
			}
			for seed := range seeds {
				s := t.harness.Open(t.TB)
				t.Cleanup(func() { s.Close() })
				Model(t.TB, s, Seeded(uint64(seed)), steps)
				t.ok("Close", s.Close())
			}
		},
	},
}

// TB is what Model needs of a testing.TB. A *rapid.T has it, too.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Model does random things to a new store, by itself and one after another, and
// compares what comes back with a plain map after each of steps steps. It ends
// the test at the first difference and prints what led to it. The caller closes
// the store.
//
// In a testing/synctest bubble time takes part: delays, leases and retention
// end, exactly on time and a nanosecond before, and Leases wait and linger. Start
// the bubble for each call anew, with rapid by rapid.SyncTest: to rapid's own
// limits hours that pass at once are hours. Elsewhere all durations are either
// zero or too long to end.
func Model(tb TB, s store.Store, src Source, steps int) {
	tb.Helper()
	m := &model{
		tb: tb, store: s, src: src,
		promised: s.Guarantee(),
		virtual:  inBubble(),
		queues:   map[string]*shadow{},
		replayed: map[string]store.Queue{},
		start:    time.Now(),
	}
	// Everything happens at multiples of beat, and what may collide at different
	// fractions of it, far apart in comparison with the grain.
	m.beat = max(time.Minute, 1000*m.promised.TimerGrain)
	limit := 2 * time.Minute
	if m.virtual {
		limit = time.Duration(steps+1) * 1000 * m.beat
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	m.ctx = ctx
	for range steps {
		m.step()
	}
}

func inBubble() (yes bool) {
	defer func() { yes = recover() == nil }()
	synctest.Wait() // panics elsewhere
	return true
}

type model struct {
	tb       TB
	store    store.Store
	src      Source
	promised store.Guarantee
	virtual  bool
	ctx      context.Context // ends when a call hangs

	start time.Time
	beat  time.Duration

	queues   map[string]*shadow     // those that exist
	leases   []held                 // all there ever were
	refs     []held                 // some of those that Peek gave
	replayed map[string]store.Queue // the feed, applied
	seen     uint64                 // its revision
	trace    []string
}

type held struct {
	queue string
	lease store.Lease
}

// steps and how often they are drawn; the simplest first.
var modelSteps = []struct {
	weight int
	run    func(m *model, queue string, q *shadow)
}{
	{6, (*model).enqueue},
	{7, (*model).lease},
	{8, (*model).settle},
	{4, (*model).sleep},
	{2, (*model).peek},
	{2, (*model).settleReference},
	{1, (*model).purge},
	{3, (*model).put},
	{1, (*model).feed},
	{1, (*model).remove},
}

func (m *model) step() {
	queue := []string{"a", "b", "c"}[m.src.Intn("queue", 3)]
	m.clear()
	if q := m.queues[queue]; q == nil {
		m.missing(queue)
	} else {
		total := 0
		for _, s := range modelSteps {
			total += s.weight
		}
		n := m.src.Intn("step", total)
		for _, s := range modelSteps {
			if n -= s.weight; n < 0 {
				s.run(m, queue, q)
				break
			}
		}
	}
	m.compareStats()
}

// clear lets the grain pass if something is due that the store may not know yet.
func (m *model) clear() {
	for {
		now, unsure := time.Now(), false
		for _, q := range m.queues {
			unsure = unsure || q.unsure(now)
			q.expire(now)
		}
		if !unsure {
			return
		}
		time.Sleep(max(m.promised.TimerGrain, time.Nanosecond))
	}
}

// align lets time pass until the next multiple of beat.
func (m *model) align() {
	if off := time.Since(m.start) % m.beat; m.virtual && off > 0 {
		time.Sleep(m.beat - off)
	}
}

// note adds to the trace.
func (m *model) note(format string, args ...any) {
	at := ""
	if m.virtual {
		at = fmt.Sprintf("%v: ", time.Since(m.start))
	}
	m.trace = append(m.trace, at+fmt.Sprintf(format, args...))
}

func (m *model) fail(format string, args ...any) {
	m.tb.Helper()
	const shown = 60
	trace := m.trace
	if len(trace) > shown {
		trace = append([]string{fmt.Sprintf("… (%d steps before)", len(trace)-shown)}, trace[len(trace)-shown:]...)
	}
	m.tb.Fatalf("%s\n  the contract: what the documentation of package store says, as a plain map\n  the steps were:\n    %s",
		fmt.Sprintf(format, args...), strings.Join(trace, "\n    "))
}

func (m *model) ok(call string, err error) {
	m.tb.Helper()
	if err != nil {
		m.fail("%s: %v, want no error", call, err)
	}
}

func (m *model) fails(call string, err, want error) {
	m.tb.Helper()
	if !errors.Is(err, want) {
		m.fail("%s: error %v, want %v", call, err, want)
	}
}

func (m *model) chance(label string, in int) bool { return m.src.Intn(label, in) == in-1 }

// duration draws a number of beats; where time does not pass, one that never ends.
func (m *model) duration(label string) time.Duration {
	if !m.virtual {
		return 12 * time.Hour
	}
	return []time.Duration{1, 2, 3, 5, 8, 60}[m.src.Intn(label, 6)] * m.beat
}

// delay is a duration, or more often none.
func (m *model) delay(label string) time.Duration {
	if m.src.Intn(label+"?", 3) < 2 {
		return time.Duration(-m.src.Intn(label+" below zero", 2))
	}
	return m.duration(label)
}

// compareStats compares the Stats of all queues.
func (m *model) compareStats() {
	m.tb.Helper()
	m.clear()
	for _, name := range slices.Sorted(maps.Keys(m.queues)) {
		got, err := m.store.Stats(m.ctx, name)
		m.ok("Stats of "+name, err)
		if diff := diffStats(got, m.queues[name].stats(time.Now())); diff != "" {
			m.fail("Stats of %s: %s", name, diff)
		}
	}
}

// compare compares a message that came from a queue with its twin.
func (m *model) compare(call string, w *twin, d store.Delivery, attempts int) {
	m.tb.Helper()
	if diff := diffContent(w.Message, d); diff != "" {
		m.fail("%s: message %q: %s", call, d.Body, diff)
	}
	switch {
	case w.sent.IsZero():
		w.sent = d.Sent
	case !w.sent.Equal(d.Sent):
		m.fail("%s: message %q has Sent %v, and had %v", call, d.Body, d.Sent, w.sent)
	}
	if d.Attempts != attempts && (!w.vague || d.Attempts != attempts+1) {
		m.fail("%s: message %q has Attempts %d, want %d", call, d.Body, d.Attempts, attempts)
	}
}
