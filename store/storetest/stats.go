package storetest

import (
	"slices"
	"time"

	"github.com/inproq/inproq/store"
)

var statsChecks = []check{
	{
		name:        "StepByStep",
		explanation: "Messages are all that are not yet acknowledged, dead or expired: ready, delayed and leased",
		run: func(t *trial) {
			t.create("q", "other")
			t.counts("q", store.Stats{})
			t.send("q", msg("1"), msg("22"), delayed("333", t.unit))
			t.counts("q", store.Stats{Messages: 3, Bytes: 6, Delayed: 1})
			got := t.take("q", 2)
			t.counts("q", store.Stats{Messages: 3, Bytes: 6, Delayed: 1, Leased: 2})
			t.retry("q", 100*t.unit, got[0])
			t.counts("q", store.Stats{Messages: 3, Bytes: 6, Delayed: 2, Leased: 1})
			t.extend("q", t.hold, got[1])
			t.counts("q", store.Stats{Messages: 3, Bytes: 6, Delayed: 2, Leased: 1})
			t.release("q", got[1])
			t.counts("q", store.Stats{Messages: 3, Bytes: 6, Delayed: 2})
			t.pass(t.unit)
			t.counts("q", store.Stats{Messages: 3, Bytes: 6, Delayed: 1})
			got = t.take("q", 2)
			t.counts("q", store.Stats{Messages: 3, Bytes: 6, Delayed: 1, Leased: 2})
			t.ack("q", got...)
			t.counts("q", store.Stats{Messages: 1, Bytes: 6 - int64(len(got[0].Body)+len(got[1].Body)), Delayed: 1})
			t.purge("q")
			t.counts("q", store.Stats{})
			t.send("q", msg("4444"))
			t.move("q", "other", t.one("q"))
			t.counts("q", store.Stats{})
			t.counts("other", store.Stats{Messages: 1, Bytes: 4})
		},
	},
	{
		name:        "RunOut",
		explanation: "a message whose lease has run out is ready, not leased",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			t.takeFor("q", 1, t.unit)
			t.pass(t.unit)
			t.counts("q", store.Stats{Messages: 1, Bytes: 1})
		},
	},
	{
		name:        "BytesOfBodies",
		explanation: "Bytes is the sum of the bodies; headers do not count",
		run: func(t *trial) {
			t.create("q", "other")
			m := msg("0123456789")
			m.Headers = pattern(1000)
			t.send("q", m, msg(""))
			t.counts("q", store.Stats{Messages: 2, Bytes: 10})
			for _, d := range t.take("q", 2) {
				t.settle("q", store.Outcome{Lease: d.Lease, Verb: store.Move, To: "other", Headers: pattern(5000)})
			}
			t.counts("other", store.Stats{Messages: 2, Bytes: 10})
		},
	},
	{
		name:        "Oldest",
		explanation: "Oldest is the earliest Sent among Messages, leased and delayed ones too; zero when there are none",
		run: func(t *trial) {
			t.create("q")
			var sent []time.Time
			send := func(m store.Message) {
				t.send("q", m)
				shown := t.peek("q")
				i := slices.IndexFunc(shown, func(d store.Delivery) bool { return d.ID == m.ID })
				if i < 0 {
					t.Fatalf("Peek shows %q, want %q too, which was just sent", bodies(shown), m.Body)
				}
				sent = append(sent, shown[i].Sent)
				t.pass(t.unit)
			}
			send(delayed("a", t.hold))
			send(msg("b"))
			send(msg("c"))
			t.counts("q", store.Stats{Messages: 3, Bytes: 3, Delayed: 1, Oldest: sent[0]})
			for _, d := range t.peek("q") {
				if string(d.Body) == "a" {
					t.settle("q", store.Outcome{Lease: d.Lease, Verb: store.Ack})
				}
			}
			t.counts("q", store.Stats{Messages: 2, Bytes: 2, Oldest: sent[1]})
			got := t.expect("q", "b", "c")
			t.counts("q", store.Stats{Messages: 2, Bytes: 2, Leased: 2, Oldest: sent[1]})
			for _, d := range got {
				if string(d.Body) == "b" {
					t.ack("q", d)
				} else {
					t.retry("q", t.unit, d)
				}
			}
			t.counts("q", store.Stats{Messages: 1, Bytes: 1, Delayed: 1, Oldest: sent[2]})
			t.purge("q")
			t.counts("q", store.Stats{})
		},
	},
	{
		name:        "Large",
		explanation: "Stats counts what the queue holds, however much that is",
		run: func(t *trial) {
			t.create("q")
			sent := numbered(1000)
			for i := range sent {
				sent[i].Delay = time.Duration(i%2) * t.hold
			}
			t.sendAll("q", sent, 100)
			t.counts("q", store.Stats{Messages: 1000, Bytes: 6000, Delayed: 500})
			got := t.take("q", 300)
			t.counts("q", store.Stats{Messages: 1000, Bytes: 6000, Delayed: 500, Leased: 300})
			t.ack("q", got...)
			t.counts("q", store.Stats{Messages: 700, Bytes: 4200, Delayed: 500})
		},
	},
	{
		name:        "WhilePaused",
		explanation: "a pause stops deliveries only",
		run: func(t *trial) {
			t.create("q")
			t.pause("q")
			t.send("q", msg("a"), delayed("b", t.hold))
			t.counts("q", store.Stats{Messages: 2, Bytes: 2, Delayed: 1})
		},
	},
	{
		name:        "UnknownQueue",
		explanation: "every method answers ErrQueueNotFound for a queue that does not exist",
		run: func(t *trial) {
			_, err := t.store.Stats(t.ctx, "q")
			t.fails("Stats", err, store.ErrQueueNotFound)
		},
	},
}
