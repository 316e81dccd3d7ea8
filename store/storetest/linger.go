package storetest

import (
	"context"
	"time"

	"github.com/inproq/inproq/store"
)

// The cases of Linger: how long a Lease waits for Min messages once there is one.
var lingerChecks = []check{
	{
		name:        "FromFirst",
		explanation: "Linger bounds the wait for Min messages and counts from the moment the first became leasable",
		needs:       needsWholeBatches,
		run: func(t *trial) {
			t.create("q")
			p := t.waits("q", store.Claim{Min: 5, Wait: -1, Linger: 4 * t.unit})
			t.pass(2 * t.unit)
			t.blocked(p)
			start := time.Now()
			t.send("q", msgs("a", "b")...)
			t.lingers(p, start, 4*t.unit, "a", "b")
		},
	},
	{
		name:        "FromDue",
		explanation: "a delayed message becomes leasable when it is due, and Linger counts from there",
		needs:       needsWholeBatches,
		run: func(t *trial) {
			t.create("q")
			start := time.Now()
			t.send("q", delayed("a", 2*t.unit))
			p := t.waits("q", store.Claim{Min: 5, Wait: -1, Linger: 3 * t.unit})
			t.lingers(p, start, 5*t.unit, "a")
		},
	},
	{
		name:        "FromBeforeTheCall",
		explanation: "Linger counts from the moment the first message became leasable, though Lease was called later",
		needs:       needsWholeBatches,
		run: func(t *trial) {
			t.create("q")
			start := time.Now()
			t.send("q", msg("a"))
			t.pass(3 * t.unit)
			p := t.waits("q", store.Claim{Min: 5, Wait: -1, Linger: 8 * t.unit})
			t.lingers(p, start, 8*t.unit, "a")
		},
	},
	{
		name:        "OverBeforeTheCall",
		explanation: "Lease returns at once when the first message has been leasable for longer than Linger",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("a"))
			t.pass(4 * t.unit)
			start := time.Now()
			got := t.lease("q", store.Claim{Min: 5, Wait: -1, Linger: 2 * t.unit})
			t.same("Lease", got, "a")
			if took := time.Since(start); took > t.late {
				t.Fatalf("Lease took %v after the message was leasable for longer than Linger", took)
			}
		},
	},
	{
		name:        "FromPreviousLease",
		explanation: "Linger counts from the end of the previous Lease that returned messages, if that was later",
		needs:       needsWholeBatches,
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("a", "b", "c")...)
			t.pass(10 * t.unit)
			t.take("q", 2)
			start := time.Now()
			p := t.waits("q", store.Claim{Min: 5, Wait: -1, Linger: 8 * t.unit})
			t.blocked(p)
			t.pass(t.unit)
			t.blocked(p)
			t.await(p)
			if took := p.at.Sub(start); took > 8*t.unit+t.late || t.harness.Virtual && took < 8*t.unit {
				t.Fatalf("Lease returned %v after the previous one, want %v", took, 8*t.unit)
			}
			if got := t.result(p); len(got) != 1 {
				t.Fatalf("Lease: got %q, want the message that was left", bodies(got))
			}
		},
	},
	{
		name:        "NotFromEmptyLease",
		explanation: "only a previous Lease that returned messages counts, not one that ended without",
		needs:       needsWholeBatches,
		run: func(t *trial) {
			t.create("q")
			start := time.Now()
			t.send("q", msg("a"))
			quitter := t.waits("q", store.Claim{Min: 5, Wait: -1, Linger: 8 * t.unit})
			t.pass(3 * t.unit)
			quitter.cancel()
			t.ends(quitter, context.Canceled)
			p := t.waits("q", store.Claim{Min: 5, Wait: -1, Linger: 8 * t.unit})
			t.lingers(p, start, 8*t.unit, "a")
		},
	},
	{
		name:        "FullReturns",
		explanation: "Lease returns once Min messages are leasable",
		run: func(t *trial) {
			t.create("q")
			p := t.waits("q", store.Claim{Min: 3, Wait: -1, Linger: 100 * t.unit})
			t.send("q", msg("a"))
			t.send("q", msg("b"))
			if !t.promised.Partial {
				t.blocked(p)
			}
			start := time.Now()
			t.send("q", msg("c"))
			got := t.result(p)
			if took := p.at.Sub(start); took > t.late {
				t.Fatalf("Lease returned %v after it had Min messages", took)
			}
			if !t.promised.Partial {
				t.same("Lease", got, "a", "b", "c")
			}
		},
	},
	{
		name:        "FullAlready",
		explanation: "Lease returns once Min messages are leasable, which may be at once, and takes up to Max",
		run: func(t *trial) {
			t.create("q")
			t.send("q", numbered(10)...)
			start := time.Now()
			got := t.lease("q", store.Claim{Min: 3, Max: 8, Linger: t.hold})
			if took := time.Since(start); took > t.late {
				t.Fatalf("Lease took %v with Min messages leasable", took)
			}
			if len(got) != 8 && !t.promised.Partial {
				t.Fatalf("Lease with Min 3 and Max 8 of 10: got %d messages", len(got))
			}
		},
	},
	{
		name:        "FullByDelay",
		explanation: "Lease returns once Min messages are leasable, also by a delay that ends",
		needs:       needsWholeBatches,
		run: func(t *trial) {
			t.create("q")
			start := time.Now()
			t.send("q", msg("a"), delayed("b", 2*t.unit))
			p := t.waits("q", store.Claim{Min: 2, Wait: -1, Linger: 100 * t.unit})
			t.lingers(p, start, 2*t.unit, "a", "b")
		},
	},
	{
		name:        "TakesUpToMax",
		explanation: "when Linger is over, Lease takes up to Max messages",
		needs:       needsWholeBatches,
		run: func(t *trial) {
			t.create("q")
			start := time.Now()
			p := t.waits("q", store.Claim{Min: 4, Max: 6, Wait: -1, Linger: 2 * t.unit})
			t.send("q", msgs("a", "b", "c")...)
			t.lingers(p, start, 2*t.unit, "a", "b", "c")
		},
	},
	{
		name:        "LateMessages",
		explanation: "Linger counts from the first message: those that come later do not extend it",
		needs:       needsWholeBatches,
		run: func(t *trial) {
			t.create("q")
			p := t.waits("q", store.Claim{Min: 10, Wait: -1, Linger: 6 * t.unit})
			start := time.Now()
			t.send("q", msg("a"))
			t.pass(2 * t.unit)
			t.send("q", msg("b"))
			t.pass(2 * t.unit)
			t.send("q", msg("c"))
			t.lingers(p, start, 6*t.unit, "a", "b", "c")
		},
	},
	{
		name:        "BeyondWait",
		explanation: "Wait bounds the wait for the first message only: once there is one, Linger does",
		needs:       needsWholeBatches,
		run: func(t *trial) {
			t.create("q")
			for _, wait := range []time.Duration{0, t.unit} {
				start := time.Now()
				t.send("q", msg("a"))
				p := t.waits("q", store.Claim{Min: 5, Wait: wait, Linger: 4 * t.unit})
				t.lingers(p, start, 4*t.unit, "a")
			}
		},
	},
	{
		name:        "NoLeaseHeld",
		explanation: "while a Lease lingers no lease is held: the messages are in the queue, and others may take them",
		needs:       needsWholeBatches,
		run: func(t *trial) {
			t.create("q")
			p := t.waits("q", store.Claim{Min: 5, Wait: -1, Linger: t.hold})
			t.send("q", msgs("a", "b")...)
			t.blocked(p)
			t.counts("q", store.Stats{Messages: 2, Bytes: 2})
			t.shows("q", "a", "b")
			for _, d := range t.expect("q", "a", "b") {
				if d.Attempts != 1 {
					t.Fatalf("%q is at attempt %d, want 1", d.Body, d.Attempts)
				}
			}
			t.blocked(p)
		},
	},
	{
		name:        "Purged",
		explanation: "while a Lease lingers, Purge takes the messages; it then waits for a first one again",
		needs:       needsWholeBatches,
		run: func(t *trial) {
			t.create("q")
			p := t.waits("q", store.Claim{Min: 5, Wait: -1, Linger: 6 * t.unit})
			t.send("q", msgs("a", "b")...)
			t.pass(2 * t.unit)
			t.purge("q")
			t.pass(6 * t.unit)
			t.blocked(p)
			start := time.Now()
			t.send("q", msg("c"))
			t.lingers(p, start, 6*t.unit, "c")
		},
	},
	{
		name:        "Cancelled",
		explanation: "when ctx ends while Lease lingers, it returns ctx's error and leases nothing",
		needs:       needsWholeBatches,
		run: func(t *trial) {
			t.create("q")
			p := t.waits("q", store.Claim{Min: 5, Wait: -1, Linger: t.hold})
			t.send("q", msg("a"))
			t.blocked(p)
			p.cancel()
			t.ends(p, context.Canceled)
			t.firstDelivery("q", "a")
		},
	},
	{
		name:        "VisibilityFromReturn",
		explanation: "the leases hold for Visibility, counted from the return: the time spent lingering does not shorten them",
		needs:       needsWholeBatches,
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("a"))
			got := t.lease("q", store.Claim{Min: 5, Wait: -1, Linger: 6 * t.unit, Visibility: 4 * t.unit})
			t.same("Lease", got, "a")
			if t.harness.Virtual {
				t.due("q", "a", time.Now(), 4*t.unit)
			} else {
				// How long before now the Lease returned is unknown.
				t.nothing("q")
			}
		},
	},
}

// lingers checks that a Lease returns with these messages after d from start:
// not earlier, and not much later.
func (t *trial) lingers(p *pending, start time.Time, d time.Duration, want ...string) {
	t.Helper()
	got := t.result(p)
	if took := p.at.Sub(start); took < d || took > d+2*t.late {
		t.Fatalf("Lease returned %q after %v, want it after %v", bodies(got), took, d)
	}
	t.same("Lease", got, want...)
}
