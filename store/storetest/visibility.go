package storetest

import (
	"time"

	"github.com/inproq/inproq/store"
)

var visibilityChecks = []check{
	{
		name:        "RunsOut",
		explanation: "a lease holds for Visibility and then makes its message leasable again: never earlier, and later by TimerGrain at most",
		run: func(t *trial) {
			t.create("q")
			for _, visibility := range t.delays() {
				t.send("q", msg("m"))
				start := time.Now()
				t.takeFor("q", 1, visibility)
				t.ack("q", t.due("q", "m", start, visibility))
			}
		},
	},
	{
		name:        "Together",
		explanation: "leases of one batch run out together",
		run: func(t *trial) {
			t.create("q")
			sent := numbered(t.batch(20))
			t.send("q", sent...)
			t.takeFor("q", len(sent), 2*t.unit)
			t.pass(2 * t.unit)
			t.take("q", len(sent))
		},
	},
	{
		name:        "ForgottenByRetry",
		explanation: "a settled lease is over: when it would have run out, nothing happens",
		run: forgets(func(t *trial, d store.Delivery) {
			t.retry("q", 0, d)
		}),
	},
	{
		name:        "ForgottenByRelease",
		explanation: "a settled lease is over: when it would have run out, nothing happens",
		run: forgets(func(t *trial, d store.Delivery) {
			t.release("q", d)
		}),
	},
	{
		name:        "ForgottenByMove",
		explanation: "a settled lease is over: when it would have run out, nothing happens",
		run: forgets(func(t *trial, d store.Delivery) {
			t.create("other")
			t.move("q", "other", d)
			t.move("other", "q", t.one("other"))
		}),
	},
	{
		name:        "ForgottenByExtend",
		explanation: "Extend keeps the lease for its Delay from now: when it would have run out before, nothing happens",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			d := t.takeFor("q", 1, 4*t.unit)[0]
			t.extend("q", 100*t.unit, d)
			t.pass(5 * t.unit)
			t.nothing("q")
			t.ack("q", d)
		},
	},
	{
		name:        "AckAfter",
		explanation: "a lease that has run out holds until somebody else leases the message",
		run: func(t *trial) {
			d := t.runOut()
			t.ack("q", d)
			t.nothing("q")
			t.counts("q", store.Stats{})
		},
	},
	{
		name:        "RetryAfter",
		explanation: "a lease that has run out holds until somebody else leases the message: a Retry delays it",
		run: func(t *trial) {
			d := t.runOut()
			start := time.Now()
			t.retry("q", 2*t.unit, d)
			t.attempt(2, t.due("q", "m", start, 2*t.unit))
		},
	},
	{
		name:        "ReleaseAfter",
		explanation: "a lease that has run out holds until somebody else leases the message",
		run: func(t *trial) {
			d := t.runOut()
			t.release("q", d)
			t.expect("q", "m")
		},
	},
	{
		name:        "ExtendAfter",
		explanation: "a lease that has run out holds until somebody else leases the message: an Extend hides it again",
		run: func(t *trial) {
			d := t.runOut()
			start := time.Now()
			t.extend("q", 2*t.unit, d)
			t.nothing("q")
			t.attempt(2, t.due("q", "m", start, 2*t.unit))
			if t.promised.Fenced {
				t.loses("q", []int{0}, store.Outcome{Lease: d.Lease, Verb: store.Ack})
			}
		},
	},
	{
		name:        "MoveAfter",
		explanation: "a lease that has run out holds until somebody else leases the message",
		run: func(t *trial) {
			d := t.runOut()
			t.create("other")
			t.move("q", "other", d)
			t.nothing("q")
			t.attempt(1, t.expect("other", "m")[0])
		},
	},
	{
		name:        "LostToAnother",
		explanation: "an outcome for a lease that somebody else has taken over is refused, reported as lost, and does not touch the message",
		needs:       needsFenced,
		run: func(t *trial) {
			stale := t.runOut()
			t.create("other")
			held := t.one("q")
			t.attempt(2, held)
			for _, o := range []store.Outcome{
				{Verb: store.Ack},
				{Verb: store.Retry},
				{Verb: store.Retry, Delay: t.unit},
				{Verb: store.Move, To: "other"},
				{Verb: store.Extend, Delay: 0},
				{Verb: store.Extend, Delay: t.unit},
				{Verb: store.Release},
			} {
				o.Lease = stale.Lease
				t.loses("q", []int{0}, o)
				t.nothing("q")
				t.nothing("other")
			}
			t.counts("q", store.Stats{Messages: 1, Bytes: 1, Leased: 1})
			t.pass(2 * t.unit)
			t.nothing("q")
			t.retry("q", 0, held)
			t.attempt(3, t.one("q"))
		},
	},
	{
		name:        "LostAfterManyHolders",
		explanation: "every lease but the newest of a message is lost",
		needs:       needsFenced,
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			var stale []store.Delivery
			for range 6 {
				stale = append(stale, t.takeFor("q", 1, t.unit)[0])
				t.pass(t.unit)
			}
			newest := t.one("q")
			t.loses("q", []int{0, 1, 2, 3, 4, 5}, outcomes(store.Outcome{Verb: store.Ack}, stale...)...)
			t.ack("q", newest)
			t.nothing("q")
		},
	},
	{
		name:        "StaleIsHarmless",
		explanation: "settling a lease that no longer holds is no error",
		run: func(t *trial) {
			stale := t.runOut()
			t.one("q")
			for _, verb := range []store.Verb{store.Extend, store.Retry, store.Release, store.Ack} {
				_, err := t.store.Settle(t.ctx, "q", []store.Outcome{{Lease: stale.Lease, Verb: verb}})
				t.ok("Settle of a stale lease", err)
			}
		},
	},
}

// runOut is a delivery of "m" in queue "q" whose lease has run out.
func (t *trial) runOut() store.Delivery {
	t.Helper()
	t.create("q")
	t.send("q", msg("m"))
	d := t.takeFor("q", 1, t.unit)[0]
	t.pass(t.unit)
	return d
}

// forgets is a case in which settle makes a leased message leasable; it is leased
// anew, and must stay hidden beyond the end of the first lease.
func forgets(settle func(t *trial, d store.Delivery)) func(t *trial) {
	return func(t *trial) {
		t.create("q")
		t.send("q", msg("m"))
		settle(t, t.takeFor("q", 1, 4*t.unit)[0])
		d := t.one("q")
		t.pass(5 * t.unit)
		t.nothing("q")
		t.ack("q", d)
		t.nothing("q")
	}
}
