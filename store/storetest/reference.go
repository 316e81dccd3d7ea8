package storetest

import (
	"slices"

	"github.com/inproq/inproq/store"
)

// The references of Peek, as Settle takes them.
var referenceChecks = []check{
	{
		name:        "Ack",
		explanation: "Settle takes a reference from Peek with Ack while the message is not leased, ready or delayed",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("ready"), delayed("delayed", t.unit), msg("kept"))
			for _, d := range t.peek("q") {
				if string(d.Body) != "kept" {
					t.settle("q", store.Outcome{Lease: d.Lease, Verb: store.Ack})
				}
			}
			t.counts("q", store.Stats{Messages: 1, Bytes: 4})
			t.pass(t.unit)
			t.expect("q", "kept")
		},
	},
	{
		name:        "Move",
		explanation: "Settle takes a reference from Peek with Move while the message is not leased, ready or delayed",
		run: func(t *trial) {
			t.create("q", "other")
			t.send("q", msg("retried"), msg("ready"), delayed("delayed", 100*t.unit))
			t.retry("q", 0, t.take("q", 2)...)
			var first []store.Delivery
			for _, d := range t.peek("q") {
				first = append(first, d)
				t.settle("q", store.Outcome{Lease: d.Lease, Verb: store.Move, To: "other", Headers: []byte("moved"), Renew: true})
			}
			t.nothing("q")
			for _, d := range t.expect("other", "retried", "ready", "delayed") {
				t.attempt(1, d)
				i := slices.IndexFunc(first, func(f store.Delivery) bool { return f.ID == d.ID })
				if i < 0 || !d.Sent.Equal(first[i].Sent) || string(d.Headers) != "moved" {
					t.Fatalf("%+v does not come from %+v", d, first)
				}
			}
		},
	},
	{
		name:        "Repeatable",
		explanation: "an outcome for a message that is gone is lost, and repeating the call is safe",
		run: func(t *trial) {
			t.create("q", "other")
			t.send("q", msgs("a", "b", "c")...)
			got := t.peek("q")
			o := []store.Outcome{
				{Lease: got[0].Lease, Verb: store.Ack},
				{Lease: got[1].Lease, Verb: store.Move, To: "other"},
			}
			t.settle("q", o...)
			t.loses("q", []int{0, 1}, o...)
			t.expect("q", string(got[2].Body))
			t.expect("other", string(got[1].Body))
		},
	},
	{
		name:        "OtherVerbs",
		explanation: "a reference with another verb than Ack and Move is reported as lost",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("a"), delayed("b", 100*t.unit))
			for _, d := range t.peek("q") {
				for _, verb := range []store.Verb{store.Retry, store.Extend, store.Release} {
					t.loses("q", []int{0}, store.Outcome{Lease: d.Lease, Verb: verb, Delay: t.unit})
				}
			}
			t.counts("q", store.Stats{Messages: 2, Bytes: 2, Delayed: 1})
			t.firstDelivery("q", "a")
		},
	},
	{
		name:        "Leased",
		explanation: "a reference to a message that is leased is reported as lost, and its holder keeps it",
		needs:       needsFenced,
		run: func(t *trial) {
			t.create("q", "other")
			t.send("q", msg("m"))
			ref := t.peek("q")[0].Lease
			d := t.one("q")
			for _, verb := range []store.Verb{store.Ack, store.Move, store.Retry, store.Extend, store.Release} {
				t.loses("q", []int{0}, store.Outcome{Lease: ref, Verb: verb, To: "other"})
			}
			t.nothing("other")
			t.counts("q", store.Stats{Messages: 1, Bytes: 1, Leased: 1})
			t.retry("q", 0, d)
			t.attempt(2, t.expect("q", "m")[0])
		},
	},
	{
		name:        "AfterExpiry",
		explanation: "a message whose lease has run out is not leased: its reference is taken, and then the lease is lost",
		needs:       needsFenced,
		run: func(t *trial) {
			d := t.runOut()
			got := t.peek("q")
			t.same("Peek", got, "m")
			t.settle("q", store.Outcome{Lease: got[0].Lease, Verb: store.Ack})
			t.loses("q", []int{0}, store.Outcome{Lease: d.Lease, Verb: store.Ack})
			t.counts("q", store.Stats{})
		},
	},
	{
		name:        "OtherQueue",
		explanation: "Settle applies outcomes to messages of one queue",
		run: func(t *trial) {
			t.create("q", "other")
			t.send("q", msg("m"))
			t.send("other", msg("o"))
			ref := t.peek("q")[0].Lease
			t.move("q", "other", t.one("q"))
			t.loses("q", []int{0}, store.Outcome{Lease: ref, Verb: store.Ack})
			t.expect("other", "m", "o")
		},
	},
}
