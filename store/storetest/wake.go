package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/inproq/inproq/store"
)

var wakeChecks = []check{
	{
		name:        "BySend",
		explanation: "a Lease that waits returns when a message is sent",
		run:         wakes(func(*trial) {}, func(t *trial) { t.send("q", msg("m")) }),
	},
	{
		name:        "ByDelay",
		explanation: "a Lease that waits returns when a delay ends",
		run: wakes(
			func(t *trial) { t.send("q", delayed("m", 4*t.unit)) },
			func(t *trial) { t.pass(4 * t.unit) }),
	},
	{
		name:        "ByEarlierDelay",
		explanation: "a Lease that waits for a delay returns earlier when a message with a shorter one is sent",
		run: wakes(
			func(t *trial) { t.send("q", delayed("not this", 1000*t.unit)) },
			func(t *trial) { t.send("q", delayed("m", t.unit)); t.pass(t.unit) }),
	},
	{
		name:        "ByRetry",
		explanation: "a Lease that waits returns when a message is retried",
		run:         wakesAfterLease(func(t *trial, d store.Delivery) { t.retry("q", 0, d) }),
	},
	{
		name:        "ByRetryDelay",
		explanation: "a Lease that waits returns when a retry delay ends",
		run:         wakesAfterLease(func(t *trial, d store.Delivery) { t.retry("q", t.unit, d); t.pass(t.unit) }),
	},
	{
		name:        "ByRelease",
		explanation: "a Lease that waits returns when a message is released",
		run:         wakesAfterLease(func(t *trial, d store.Delivery) { t.release("q", d) }),
	},
	{
		name:        "ByExtend",
		explanation: "a Lease that waits returns when a lease is cut short and then runs out",
		run:         wakesAfterLease(func(t *trial, d store.Delivery) { t.extend("q", t.unit, d); t.pass(t.unit) }),
	},
	{
		name:        "ByExtendToNothing",
		explanation: "an Extend by zero and less means none: the lease runs out at once",
		run:         wakesAfterLease(func(t *trial, d store.Delivery) { t.extend("q", 0, d) }),
	},
	{
		name:        "ByMoveHome",
		explanation: "a Lease that waits returns when a message is moved into its own queue",
		run:         wakesAfterLease(func(t *trial, d store.Delivery) { t.move("q", "q", d) }),
	},
	{
		name:        "ByExpiry",
		explanation: "a lease that runs out makes its message leasable, for a Lease that waits too",
		run: wakes(
			func(t *trial) { t.send("q", msg("m")); t.takeFor("q", 1, 4*t.unit) },
			func(t *trial) { t.pass(4 * t.unit) }),
	},
	{
		name:        "ByMove",
		explanation: "a Lease that waits returns when a message is moved into its queue",
		run: wakes(
			func(t *trial) { t.create("from"); t.send("from", msg("m")) },
			func(t *trial) { t.move("from", "q", t.one("from")) }),
	},
	{
		name:        "ByResume",
		explanation: "a Lease that waits sits a pause out",
		run: wakes(
			func(t *trial) { t.pause("q"); t.send("q", msg("m")) },
			func(t *trial) { t.resume("q") }),
	},
	{
		name:        "NotByOthers",
		explanation: "each method does one thing to one queue: a Lease goes on waiting while others have messages",
		run: func(t *trial) {
			t.create("q", "other")
			p := t.waits("q", store.Claim{Wait: -1})
			t.send("other", msg("not this"))
			t.edit("q", func(q *store.Queue) { q.Settings = []byte("new") })
			t.purge("q")
			t.blocked(p)
			t.send("q", msg("m"))
			t.same("the Lease", t.result(p), "m")
		},
	},
	{
		name:        "EachOfSeveral",
		explanation: "as many Leases that wait return as there are messages for them: no wake-up is lost",
		run:         wakesAll(func(t *trial, sent []store.Message) { t.sendAll("q", sent, 1) }),
	},
	{
		name:        "AllByOneBatch",
		explanation: "as many Leases that wait return as there are messages for them: no wake-up is lost",
		run:         wakesAll(func(t *trial, sent []store.Message) { t.sendAll("q", sent, 100) }),
	},
	{
		name:        "AllByOneTime",
		explanation: "as many Leases that wait return as there are delays that end: no wake-up is lost",
		run: wakesAll(func(t *trial, sent []store.Message) {
			for i := range sent {
				sent[i].Delay = t.unit
			}
			t.sendAll("q", sent, 100)
			t.pass(t.unit)
		}),
	},
	{
		name:        "AllByResume",
		explanation: "as many Leases that wait return as there are messages for them when a pause ends: no wake-up is lost",
		run: wakesAll(func(t *trial, sent []store.Message) {
			t.pause("q")
			t.sendAll("q", sent, 100)
			t.resume("q")
		}),
	},
	{
		name:        "PastThePatient",
		explanation: "a message wakes the Lease that it is enough for, though one that wants more has waited longer",
		needs:       needsWholeBatches,
		run: func(t *trial) {
			t.create("q")
			patient := t.waits("q", store.Claim{Min: 10, Wait: -1, Linger: t.hold})
			modest := t.waits("q", store.Claim{Min: 1, Wait: -1})
			t.send("q", msg("m"))
			t.same("the Lease with Min 1", t.result(modest), "m")
			t.blocked(patient)
		},
	},
	{
		name:        "NotSwallowed",
		explanation: "a Lease that ends with ctx's error leases nothing, and the message wakes another that waits",
		run: func(t *trial) {
			t.create("q")
			for i := range 30 {
				quitter := t.waits("q", store.Claim{Wait: -1})
				other := t.waits("q", store.Claim{Wait: -1})
				body := fmt.Sprint(i)
				quitted := make(chan struct{})
				t.background.Go(func() { quitter.cancel(); close(quitted) })
				t.send("q", msg(body))
				<-quitted
				t.await(quitter)
				if len(quitter.got) == 0 {
					t.ends(quitter, context.Canceled)
					t.same("the Lease that was not cancelled", t.result(other), body)
				} else {
					t.same("the Lease that was about to be cancelled", t.result(quitter), body)
					t.blocked(other)
					other.cancel()
					t.ends(other, context.Canceled)
				}
				t.nothing("q")
			}
		},
	},
	{
		name:        "AfterTheQuitter",
		explanation: "a Lease that has ended with ctx's error takes no further wake-up",
		run: func(t *trial) {
			t.create("q")
			quitter := t.waits("q", store.Claim{Wait: -1})
			other := t.waits("q", store.Claim{Wait: -1})
			quitter.cancel()
			t.ends(quitter, context.Canceled)
			t.send("q", msg("m"))
			t.same("the Lease that was not cancelled", t.result(other), "m")
		},
	},
}

// wakes is a case in which event makes the message "m" leasable, and a Lease that
// waits returns with it: not before, and not much later.
func wakes(before, event func(t *trial)) func(t *trial) {
	return func(t *trial) {
		t.create("q")
		before(t)
		p := t.waits("q", store.Claim{Wait: -1})
		t.blocked(p)
		event(t)
		at := time.Now()
		t.same("the Lease that waited", t.result(p), "m")
		if late := p.at.Sub(at); late > t.late {
			t.Fatalf("the Lease that waited returned %v late", late)
		}
	}
}

// wakesAfterLease is the same, where the event starts from a leased message.
func wakesAfterLease(event func(t *trial, d store.Delivery)) func(t *trial) {
	var d store.Delivery
	return wakes(
		func(t *trial) { t.send("q", msg("m")); d = t.one("q") },
		func(t *trial) { event(t, d) })
}

// wakesAll is a case in which event sends as many messages as there are Leases
// that wait for one each.
func wakesAll(event func(t *trial, sent []store.Message)) func(t *trial) {
	return func(t *trial) {
		t.create("q")
		var calls []*pending
		for range 8 {
			calls = append(calls, t.waits("q", store.Claim{Wait: -1}))
		}
		event(t, numbered(len(calls)))
		seen := map[string]bool{}
		for _, call := range calls {
			for _, d := range t.result(call) {
				if seen[string(d.Body)] {
					t.Fatalf("%q was leased twice", d.Body)
				}
				seen[string(d.Body)] = true
			}
		}
		if len(seen) != len(calls) {
			t.Fatalf("%d Leases got %d messages, want one each", len(calls), len(seen))
		}
	}
}

// sendAll sends messages in batches of up to n.
func (t *trial) sendAll(queue string, all []store.Message, n int) {
	t.Helper()
	for n = t.batch(n); len(all) > 0; {
		n = min(n, len(all))
		t.send(queue, all[:n]...)
		all = all[n:]
	}
}
