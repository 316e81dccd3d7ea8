package storetest

import (
	"time"

	"github.com/inproq/inproq/store"
)

var extendChecks = []check{
	{
		name:        "Longer",
		explanation: "Extend keeps the lease for Delay from now",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			d := t.takeFor("q", 1, 10*t.unit)[0]
			t.pass(t.unit)
			start := time.Now()
			t.extend("q", 14*t.unit, d)
			t.due("q", "m", start, 14*t.unit)
		},
	},
	{
		name:        "Shorter",
		explanation: "Extend keeps the lease for Delay from now, which may be less than it had",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			d := t.one("q")
			start := time.Now()
			t.extend("q", 2*t.unit, d)
			t.nothing("q")
			t.due("q", "m", start, 2*t.unit)
		},
	},
	{
		name:        "Again",
		explanation: "Extend keeps the lease for Delay from now: the last one counts",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			d := t.one("q")
			t.extend("q", 50*t.unit, d)
			t.extend("q", 100*t.unit, d)
			start := time.Now()
			t.extend("q", 3*t.unit, d)
			t.due("q", "m", start, 3*t.unit)
		},
	},
	{
		name:        "ForEver",
		explanation: "a lease can be extended as often as one likes: its holder keeps the message",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			d := t.takeFor("q", 1, 8*t.unit)[0]
			for range 8 {
				t.pass(2 * t.unit)
				t.extend("q", 8*t.unit, d)
				t.nothing("q")
			}
			t.ack("q", d)
			t.counts("q", store.Stats{})
		},
	},
	{
		name:        "Part",
		explanation: "each message of a batch has a lease of its own: extending some leaves the others",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("a", "b", "c", "d")...)
			got := t.takeFor("q", 4, 4*t.unit)
			t.extend("q", t.hold, got[:2]...)
			t.pass(4 * t.unit)
			t.expect("q", bodies(got[2:])...)
			t.ack("q", got[:2]...)
			t.nothing("q")
		},
	},
	{
		name:        "ByNothing",
		explanation: "in an Extend a delay of zero and less means none: the lease runs out now, and still holds until somebody leases the message",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("a", "b")...)
			a, b := t.one("q"), t.one("q")
			t.extend("q", 0, a)
			t.extend("q", -t.unit, b)
			t.pass(0)
			t.shows("q", "a", "b")
			t.ack("q", a)
			d := t.expect("q", string(b.Body))[0]
			t.attempt(2, d)
			t.ack("q", d)
			t.counts("q", store.Stats{})
		},
	},
	{
		name:        "OldLeaseHolds",
		explanation: "Extend keeps the lease: it is settled with the same Lease as before",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("a", "b")...)
			a, b := t.one("q"), t.one("q")
			t.extend("q", t.hold, a, b)
			t.ack("q", a)
			t.retry("q", 0, b)
			t.expect("q", string(b.Body))
		},
	},
}
