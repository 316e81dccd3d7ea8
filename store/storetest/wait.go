package storetest

import (
	"context"
	"time"

	"github.com/inproq/inproq/store"
)

var waitChecks = []check{
	{
		name:        "Zero",
		explanation: "with Wait zero Lease does not wait: it returns without an error and without messages",
		run: func(t *trial) {
			t.create("q")
			t.send("q", delayed("later", 10*t.unit))
			start := time.Now()
			t.nothing("q")
			if took := time.Since(start); took > t.late {
				t.Fatalf("Lease with Wait 0 took %v", took)
			}
		},
	},
	{
		name:        "Passes",
		explanation: "Lease returns without an error and without messages when Wait passed",
		run: func(t *trial) {
			t.create("q")
			t.send("q", delayed("later", 100*t.unit))
			for _, wait := range []time.Duration{t.unit, 3 * t.unit} {
				start := time.Now()
				got := t.lease("q", store.Claim{Wait: wait})
				if took := time.Since(start); len(got) > 0 || took < wait || took > wait+t.late {
					t.Fatalf("Lease with Wait %v: got %q after %v, want nothing after that time", wait, bodies(got), took)
				}
			}
		},
	},
	{
		name:        "NotWhenReady",
		explanation: "Wait bounds the wait for the first message: when that is there, Lease does not wait",
		run: func(t *trial) {
			t.create("q")
			for _, wait := range []time.Duration{0, 10 * t.unit, -1} {
				t.send("q", msg("m"))
				start := time.Now()
				got := t.lease("q", store.Claim{Max: 10, Wait: wait})
				if took := time.Since(start); took > t.late {
					t.Fatalf("Lease with a message ready and Wait %v took %v", wait, took)
				}
				t.same("Lease", got, "m")
			}
		},
	},
	{
		name:        "Negative",
		explanation: "with a negative Wait Lease waits until ctx ends",
		run: func(t *trial) {
			t.create("q")
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.ctx, 5*t.unit)
			defer cancel()
			got, err := t.store.Lease(ctx, "q", store.Claim{Visibility: t.hold, Wait: -1}, nil)
			t.fails("Lease", err, context.DeadlineExceeded)
			if took := time.Since(start); len(got) > 0 || took < 5*t.unit {
				t.Fatalf("Lease got %q after %v, want that it waits %v for ctx", bodies(got), took, 5*t.unit)
			}
		},
	},
	{
		name:        "NegativeForLong",
		explanation: "a wait of any length costs nothing while nothing happens, and the message at its end is not missed",
		needs:       needsVirtualTime,
		run: func(t *trial) {
			t.create("q")
			p := t.waits("q", store.Claim{Wait: -1})
			t.pass(365 * 24 * time.Hour)
			t.blocked(p)
			t.send("q", msg("m"))
			t.same("the Lease", t.result(p), "m")
		},
	},
	{
		name:        "Cancelled",
		explanation: "when ctx ends first, Lease returns ctx's error and leases nothing",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			ctx, cancel := context.WithCancel(t.ctx)
			cancel()
			for _, wait := range []time.Duration{0, t.hold, -1} {
				got, err := t.store.Lease(ctx, "q", store.Claim{Max: 5, Visibility: t.hold, Wait: wait}, nil)
				t.fails("Lease with an ended ctx", err, context.Canceled)
				if len(got) > 0 {
					t.Fatalf("Lease with an ended ctx: got %q", bodies(got))
				}
			}
			t.firstDelivery("q", "m")
		},
	},
	{
		name:        "CancelledMeanwhile",
		explanation: "when ctx ends first, Lease returns ctx's error and leases nothing",
		run: func(t *trial) {
			t.create("q")
			for _, wait := range []time.Duration{t.hold, -1} {
				p := t.waits("q", store.Claim{Max: 5, Wait: wait})
				t.blocked(p)
				p.cancel()
				t.ends(p, context.Canceled)
			}
			t.send("q", msg("m"))
			t.firstDelivery("q", "m")
		},
	},
	{
		name:        "KeepsBufOnError",
		explanation: "when a method returns an error it has done nothing, and buf holds what it held",
		run: func(t *trial) {
			t.create("q")
			buf := []store.Delivery{{Lease: "zero"}}
			ctx, cancel := context.WithTimeout(t.ctx, t.unit)
			defer cancel()
			_, err := t.store.Lease(ctx, "q", store.Claim{Visibility: t.hold, Wait: -1}, buf)
			t.fails("Lease", err, context.DeadlineExceeded)
			if buf[0].Lease != "zero" {
				t.Fatalf("the buffer was changed to %+v", buf[0])
			}
		},
	},
}

// firstDelivery leases the only message and checks that it never was before.
func (t *trial) firstDelivery(queue, body string) store.Delivery {
	t.Helper()
	d := t.expect(queue, body)[0]
	if d.Attempts != 1 {
		t.Fatalf("%q is at attempt %d, want 1: it was not leased before", body, d.Attempts)
	}
	return d
}
