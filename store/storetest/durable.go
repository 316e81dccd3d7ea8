package storetest

import (
	"time"

	"github.com/inproq/inproq/store"
)

// The cases of durability: what is still there when the store is opened again.
var durableChecks = []check{
	{
		name:        "Messages",
		explanation: "Survives names the worst failure after which a confirmed send is still there",
		needs:       needsReopen,
		run: func(t *trial) {
			t.create("q", "other")
			sent := map[store.ID]store.Message{}
			for _, size := range []int{0, 1, 4096, 4097, 128_000} {
				m := msg("")
				m.Body, m.Headers, m.ContentType = pattern(size), pattern(size%500), "application/x-test"
				sent[m.ID] = m
				t.send("q", m)
			}
			before := map[store.ID]store.Delivery{}
			for _, d := range t.peek("q") {
				before[d.ID] = d
			}
			t.reopen()
			t.counts("q", store.Stats{Messages: 5, Bytes: 0 + 1 + 4096 + 4097 + 128_000})
			for _, d := range t.take("q", len(sent)) {
				t.kept(sent[d.ID], d)
				t.again(before[d.ID], d)
				t.attempt(1, d)
			}
			t.nothing("q")
			t.nothing("other")
		},
	},
	{
		name:        "Order",
		explanation: "messages are leasable in the order of acceptance as far as the engine can tell it, after a restart too",
		needs:       needsReopen,
		run: func(t *trial) {
			t.create("q")
			for i, m := range numbered(40) {
				t.send("q", m)
				if i == 20 {
					t.reopen()
				}
			}
			t.reopen()
			t.ordered(t.take("q", 40))
		},
	},
	{
		name:        "Delays",
		explanation: "a delay counts from acceptance, across a restart too: never earlier, and later by TimerGrain at most",
		needs:       needsReopen,
		run: func(t *trial) {
			t.create("q")
			start := time.Now()
			t.send("q", delayed("delayed", 8*t.unit), delayed("over", t.unit), msg("retried"))
			d := t.expect("q", "retried")[0]
			retried := time.Now()
			t.retry("q", 10*t.unit, d)
			t.pass(t.unit)
			t.reopen()
			t.expect("q", "over")
			t.due("q", "delayed", start, 8*t.unit)
			t.attempt(2, t.due("q", "retried", retried, 10*t.unit))
		},
	},
	{
		name:        "Leased",
		explanation: "a process that dies has used its attempt, and its messages come back when their leases run out, if not before",
		needs:       needsReopen,
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			t.takeFor("q", 1, 4*t.unit)
			t.pass(t.unit) // an engine may write attempts down a little later
			t.reopen()
			t.pass(4 * t.unit)
			t.attempt(2, t.expect("q", "m")[0])
		},
	},
	{
		name:        "Attempts",
		explanation: "attempts were counted when the message was leased, and outlive the process",
		needs:       needsReopen,
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			for n := 1; n < 5; n++ {
				d := t.one("q")
				t.attempt(n, d)
				t.retry("q", 0, d)
				t.reopen()
			}
		},
	},
	{
		name:        "Settlements",
		explanation: "what Settle has applied stays applied: no acknowledged message comes back, a moved one is where it was moved",
		needs:       needsReopen,
		run: func(t *trial) {
			t.create("q", "other")
			t.send("q", msgs("acked", "moved", "purged")...)
			for _, d := range t.expect("q", "acked", "moved", "purged") {
				switch string(d.Body) {
				case "acked":
					t.ack("q", d)
				case "moved":
					t.settle("q", store.Outcome{Lease: d.Lease, Verb: store.Move, To: "other", Headers: []byte("moved")})
				default:
					t.release("q", d)
					t.purge("q")
				}
			}
			t.reopen()
			t.nothing("q")
			t.counts("q", store.Stats{})
			d := t.expect("other", "moved")[0]
			t.attempt(1, d)
			if string(d.Headers) != "moved" {
				t.Fatalf("the headers are %q, want those of the Move", d.Headers)
			}
		},
	},
	{
		name:        "Records",
		explanation: "every durable fact passes through the store: records survive as messages do, and deleted queues stay deleted",
		needs:       needsReopen,
		run: func(t *trial) {
			kept := t.put(store.Queue{Name: "kept", Paused: true, Retention: t.hold, Settings: pattern(5000)})
			t.create("gone")
			t.send("gone", msg("m"))
			gone := t.records["gone"]
			t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "gone"))
			_, newest, err := t.store.Queues(t.ctx, 0, 0)
			t.ok("Queues", err)
			t.reopen()
			all, after, err := t.store.Queues(t.ctx, 0, 0)
			t.ok("Queues", err)
			t.names(all, "kept")
			t.record(all[0], kept)
			if after != newest {
				t.Fatalf("the newest revision is %d, and was %d", after, newest)
			}
			changes, _, err := t.store.Queues(t.ctx, gone.Revision, 0)
			t.ok("Queues", err)
			t.names(changes, "gone")
			if !changes[0].Deleted {
				t.Fatalf("Queues lists %s, want a tombstone", describe(changes[0]))
			}
			_, err = t.store.Lease(t.ctx, "kept", store.Claim{Visibility: t.hold}, nil)
			t.fails("Lease of a queue that was paused", err, store.ErrPaused)
			t.create("gone")
			if again := t.records["gone"]; again.Revision <= newest {
				t.Fatalf("a queue got revision %d after %d, want it to increase", again.Revision, newest)
			}
			t.nothing("gone")
		},
	},
	{
		name:        "Retention",
		explanation: "Retention counts from Sent, across a restart too",
		needs:       needsReopen,
		run: func(t *trial) {
			t.keeping("q", 6*t.unit)
			t.create("from")
			start := time.Now()
			t.send("q", msg("a"), delayed("b", t.hold))
			t.reopen()
			t.keptUntil("q", start.Add(6*t.unit), store.Stats{Messages: 2, Bytes: 2, Delayed: 1})
			t.reopen()
			t.nothing("q")
			t.shows("q")
		},
	},
	{
		name:        "SettlesAgain",
		explanation: "a failed Settle may have applied any subset of its outcomes, and repeating the whole call is safe",
		needs:       needsReopen,
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("a", "b")...)
			got := t.take("q", 2)
			t.ack("q", got[0])
			t.reopen()
			_, err := t.store.Settle(t.ctx, "q", outcomes(store.Outcome{Verb: store.Ack}, got...))
			t.ok("Settle after a restart", err)
		},
	},
}

// reopen closes or kills the store, and opens its data again.
func (t *trial) reopen() {
	t.Helper()
	t.store = t.harness.Reopen(t.TB, t.store)
}
