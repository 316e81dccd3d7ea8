package storetest

import (
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/inproq/inproq/store"
)

// strong promises everything.
var strong = store.Guarantee{Survives: store.ProcessCrash, Fenced: true, AtomicMove: true, Idempotent: true}

// weak promises as little as an engine may.
var weak = store.Guarantee{Partial: true, Shared: true, AtomicSend: 7}

func openReference(promised store.Guarantee) func(testing.TB) store.Store {
	return func(testing.TB) store.Store { return newReference(promised) }
}

func reopenReference(_ testing.TB, old store.Store) store.Store { return old.(*reference).reopen() }

// TestStrong runs every case.
func TestStrong(t *testing.T) {
	Run(t, Harness{Open: openReference(strong), Virtual: true, Reopen: reopenReference})
}

// TestWeak shows that a store is not asked for what it does not promise.
func TestWeak(t *testing.T) {
	Run(t, Harness{Virtual: true, Open: func(testing.TB) store.Store {
		s := newReference(weak)
		s.blind = true
		return s
	}})
}

// TestCoarse shows that a store may be late by its TimerGrain.
func TestCoarse(t *testing.T) {
	coarse := strong
	coarse.TimerGrain = 70 * time.Millisecond
	Run(t, Harness{Open: openReference(coarse), Virtual: true, Reopen: reopenReference})
}

// TestRealTime shows that the suite also works where time does not come for
// nothing. The cases mostly sleep, so several go on at once.
func TestRealTime(t *testing.T) {
	if testing.Short() {
		t.Skip("the cases really sleep")
	}
	h := Harness{Open: openReference(strong), Reopen: reopenReference}
	places := make(chan struct{}, 8)
	var all sync.WaitGroup
	for _, topic := range topics {
		for _, c := range topic.checks {
			if c.inapplicable(h, strong) != "" {
				continue
			}
			places <- struct{}{}
			all.Go(func() {
				defer func() { <-places }()
				if failure := verdict(t, h, func(tb testing.TB) { c.against(tb, h) }); failure != "" {
					t.Errorf("%s/%s: %s", topic.name, c.name, failure)
				}
			})
		}
	}
	all.Wait()
}

// TestModelWithRapid shows how rapid draws the choices of Model. SyncTest starts
// a bubble for each check: in one around all of them, rapid would soon think that
// its time is up.
func TestModelWithRapid(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			s := newReference(strong)
			defer func() { _ = s.Close() }()
			Model(rt, s, rapidSource{rt}, 60)
		})
	})
}

type rapidSource struct{ *rapid.T }

func (r rapidSource) Intn(label string, n int) int {
	return rapid.IntRange(0, n-1).Draw(r.T, label)
}

// TestBenchmarks runs one iteration of each row.
func TestBenchmarks(t *testing.T) {
	for _, row := range benchmarks {
		t.Run(row.name, func(t *testing.T) {
			if strings.HasPrefix(row.name, "Backlog") {
				t.Skip("a reference takes seconds for a backlog")
			}
			w := newWorkload(t, Harness{Open: openReference(strong)})
			if n := row.prepare(w)(); n < 1 {
				t.Errorf("an iteration puts %d messages through", n)
			}
		})
	}
	if speed := channelSpeed(16); speed <= 0 {
		t.Errorf("a message through a channel takes %v ns", speed)
	}
}

func BenchmarkReference(b *testing.B) {
	Benchmark(b, Harness{Open: openReference(strong)})
}
