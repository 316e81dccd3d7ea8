package storetest

import (
	"github.com/inproq/inproq/store"
)

var attemptChecks = []check{
	{
		name:        "FromOne",
		explanation: "Attempts numbers the delivery: 1 for the first",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("now"), delayed("later", t.unit))
			t.attempt(1, t.one("q"))
			t.pass(t.unit)
			t.attempt(1, t.one("q"))
		},
	},
	{
		name:        "Retry",
		explanation: "each delivery counts: a retried message comes with one attempt more, and the same ID and Sent",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			first := t.one("q")
			d := first
			for n := 2; n < 300; n++ {
				t.retry("q", 0, d)
				d = t.one("q")
				t.attempt(n, d)
				t.again(first, d)
			}
		},
	},
	{
		name:        "RetryDelay",
		explanation: "each delivery counts, after a retry delay too",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			first := t.one("q")
			t.attempt(1, first)
			t.retry("q", t.unit, first)
			t.pass(t.unit)
			second := t.one("q")
			t.attempt(2, second)
			t.again(first, second)
		},
	},
	{
		name:        "Expiry",
		explanation: "a lease that runs out makes its message leasable again, with the attempt counted",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			var first store.Delivery
			for n := 1; n < 5; n++ {
				d := t.takeFor("q", 1, t.unit)[0]
				t.attempt(n, d)
				if n == 1 {
					first = d
				}
				t.again(first, d)
				t.pass(t.unit)
			}
		},
	},
	{
		name:        "Release",
		explanation: "Release makes the message visible again at once; no handler has seen it, so the attempt is uncounted where the engine can do that",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			first := t.expect("q", "m")[0]
			d := first
			for range 3 {
				t.release("q", d)
				d = t.expect("q", "m")[0]
				t.again(first, d)
				if t.promised.Fenced {
					t.attempt(1, d)
				}
			}
		},
	},
	{
		name:        "ReleaseAfterRetry",
		explanation: "Release uncounts its own attempt and none of those before",
		needs:       needsFenced,
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			t.retry("q", 0, t.one("q"))
			d := t.one("q")
			t.attempt(2, d)
			t.release("q", d)
			d = t.one("q")
			t.attempt(2, d)
			t.retry("q", 0, d)
			t.attempt(3, t.one("q"))
		},
	},
	{
		name:        "EachItsOwn",
		explanation: "attempts are counted by message",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("once", "twice")...)
			for _, d := range t.expect("q", "once", "twice") {
				if string(d.Body) == "twice" {
					t.retry("q", 0, d)
				}
			}
			d := t.expect("q", "twice")[0]
			t.attempt(2, d)
			t.send("q", msg("new"))
			t.attempt(1, t.expect("q", "new")[0])
			t.retry("q", 0, d)
			t.attempt(3, t.expect("q", "twice")[0])
		},
	},
	{
		name:        "CountedAtLease",
		explanation: "the attempt was counted when the message was leased, so a process that dies has used it",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			t.takeFor("q", 1, t.unit)
			t.pass(t.unit)
			t.showsAttempts("q", "m", 1)
		},
	},
	{
		name:        "NotByPeek",
		explanation: "Peek does not lease and so counts nothing: its Attempts are the deliveries so far, possibly none",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			for n := range 3 {
				for range 3 {
					t.showsAttempts("q", "m", n)
				}
				d := t.one("q")
				t.attempt(n+1, d)
				t.retry("q", 0, d)
			}
		},
	},
	{
		name:        "NotByExtend",
		explanation: "Extend keeps the lease: it is still the same delivery",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			d := t.one("q")
			t.extend("q", t.hold, d)
			t.extend("q", t.hold, d)
			t.retry("q", 0, d)
			t.attempt(2, t.one("q"))
		},
	},
}

// attempt checks the number of a delivery.
func (t *trial) attempt(want int, d store.Delivery) {
	t.Helper()
	if d.Attempts != want {
		t.Fatalf("%q came with Attempts %d, want %d", brief(d.Body), d.Attempts, want)
	}
}

// showsAttempts checks that Peek shows one message, with these deliveries so far.
func (t *trial) showsAttempts(queue, body string, want int) {
	t.Helper()
	got := t.peek(queue)
	t.same("what Peek shows", got, body)
	if got[0].Attempts != want {
		t.Fatalf("Peek shows %q with Attempts %d, want %d: the deliveries so far", body, got[0].Attempts, want)
	}
}

// again checks that a delivery is of the same message as the first.
func (t *trial) again(first, d store.Delivery) {
	t.Helper()
	t.kept(first.Message, d)
	if !d.Sent.Equal(first.Sent) {
		t.Fatalf("%q came again with Sent %v, want %v as the first time", brief(d.Body), d.Sent, first.Sent)
	}
}
