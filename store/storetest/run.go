// Package storetest is the conformance suite for authors of stores: what the
// documentation of package store says, as cases that any [store.Store] can run.
//
// A test file of the store's own is all it takes:
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, storetest.Harness{
//			Open:    func(tb testing.TB) store.Store { return mystore.New() },
//			Virtual: true,
//		})
//	}
//
//	func BenchmarkStore(b *testing.B) {
//		storetest.Benchmark(b, storetest.Harness{Open: …})
//	}
//
// [Run] chooses its assertions by the store's Guarantee: what a store does not
// promise is not asked of it, and a case that asks for nothing else is skipped
// with the reason. Two allowances of package store have no field there. A store
// that is Fenced keeps records of its leases, so the suite expects it to leave
// leased messages out of Peek and to uncount the attempt on a Release. A count
// of -1 in Stats is not compared, nor is a zero Oldest; any other must be right.
//
// A failure names the case, what came, and the sentence of the contract that was
// broken. To repeat one case: go test -run 'TestConformance/Linger/LateMessages'.
//
// A store that is [store.Local] runs the suite a second time, with what can be through
// an Inlet and an Outlet.
//
// [Model] goes beyond cases: it draws operations at random and compares the
// store with a plain map after each. Run includes some fixed seeds of it; a test
// of the store's own can search further, with pgregory.net/rapid for instance.
package storetest

import (
	"testing"
	"testing/synctest"

	"github.com/inproq/inproq/store"
)

// Harness tells the suite how to get a store.
type Harness struct {
	// Open returns a new, empty store. The suite closes it. It is called once
	// for each case, and once before the first to read the Guarantee.
	Open func(tb testing.TB) store.Store
	// Virtual says that the store keeps time with package time and blocks
	// durably, as testing/synctest understands it. Each case then runs in a
	// bubble of its own, and hours pass at once. Otherwise the suite really
	// sleeps, with durations scaled to the store's TimerGrain.
	Virtual bool
	// Reopen closes or kills old, unless it is closed already, and opens the
	// same data again. Nil for a store that survives nothing; then the cases of
	// durability are skipped.
	Reopen func(tb testing.TB, old store.Store) store.Store
}

// A check is one case of the suite.
type check struct {
	name string
	// explanation is the sentence of the contract that the case stands for; it
	// is printed when the case fails.
	explanation string
	// needs says why the case does not apply to a store, and "" when it does.
	// Nil: it always applies.
	needs func(Harness, store.Guarantee) string
	run   func(t *trial)
}

// A topic is a group of cases.
type topic struct {
	name   string
	checks []check
}

// topics are the cases of the suite, in the order of a message's life.
var topics = []topic{
	{"Records", recordChecks},
	{"Watch", watchChecks},
	{"Enqueue", enqueueChecks},
	{"Content", contentChecks},
	{"Delay", delayChecks},
	{"Lease", leaseChecks},
	{"Wait", waitChecks},
	{"Wake", wakeChecks},
	{"Linger", lingerChecks},
	{"Attempts", attemptChecks},
	{"Visibility", visibilityChecks},
	{"Extend", extendChecks},
	{"Settle", settleChecks},
	{"Forgery", forgeryChecks},
	{"Move", moveChecks},
	{"Peek", peekChecks},
	{"Reference", referenceChecks},
	{"Purge", purgeChecks},
	{"Stats", statsChecks},
	{"Retention", retentionChecks},
	{"Pause", pauseChecks},
	{"Lifecycle", lifecycleChecks},
	{"Concurrent", concurrentChecks},
	{"Durable", durableChecks},
	{"Model", modelChecks},
}

// Run runs the suite: a subtest for each topic and in it one for each case.
func Run(t *testing.T, h Harness) {
	var promised store.Guarantee
	var local bool
	h.bubble(t, func(t *testing.T) {
		s := h.Open(t)
		promised = s.Guarantee()
		_, local = s.(store.Local)
		if err := s.Close(); err != nil {
			t.Fatalf("Close of a new store: %v", err)
		}
	})
	run(t, h, promised, topics)
	if local {
		run(t, h, promised, []topic{{"Inlet", inletChecks}, {"Outlet", outletChecks}})
		t.Run("ThroughLocal", func(t *testing.T) { run(t, h.throughLocal(), promised, topics) })
	}
}

func run(t *testing.T, h Harness, promised store.Guarantee, topics []topic) {
	for _, topic := range topics {
		t.Run(topic.name, func(t *testing.T) {
			for _, c := range topic.checks {
				t.Run(c.name, func(t *testing.T) {
					if why := c.inapplicable(h, promised); why != "" {
						t.Skip(why)
					}
					h.bubble(t, func(t *testing.T) { c.against(t, h) })
				})
			}
		})
	}
}

// bubble runs f in virtual time, if the store can do that.
func (h Harness) bubble(t *testing.T, f func(t *testing.T)) {
	if h.Virtual {
		synctest.Test(t, f)
	} else {
		f(t)
	}
}

func (c check) inapplicable(h Harness, g store.Guarantee) string {
	if c.needs == nil {
		return ""
	}
	return c.needs(h, g)
}

// against runs the case on a new store. The caller has provided the bubble.
func (c check) against(tb testing.TB, h Harness) { c.run(newTrial(tb, h, c.explanation)) }

// What a case may need.

func needsFenced(_ Harness, g store.Guarantee) string {
	if !g.Fenced {
		return "the store's leases are not fenced"
	}
	return ""
}

func needsWholeBatches(_ Harness, g store.Guarantee) string {
	if g.Partial {
		return "the store may return before a batch is full"
	}
	return ""
}

func needsIdempotence(_ Harness, g store.Guarantee) string {
	if !g.Idempotent {
		return "the store takes an ID twice"
	}
	return ""
}

func needsVirtualTime(h Harness, _ store.Guarantee) string {
	if !h.Virtual {
		return "the case would take hours"
	}
	return ""
}

func needsReopen(h Harness, _ store.Guarantee) string {
	if h.Reopen == nil {
		return "the harness has no Reopen"
	}
	return ""
}
