package storetest

import (
	"context"
	"slices"
	"time"

	"github.com/inproq/inproq/store"
)

var settleChecks = []check{
	{
		name:        "Ack",
		explanation: "Ack removes the message",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("a", "b")...)
			a := t.takeFor("q", 1, 2*t.unit)
			t.ack("q", a...)
			t.counts("q", store.Stats{Messages: 1, Bytes: 1})
			t.pass(3 * t.unit)
			b := t.take("q", 1)
			if string(b[0].Body) == string(a[0].Body) {
				t.Fatalf("%q came again after its Ack", b[0].Body)
			}
			t.nothing("q")
		},
	},
	{
		name:        "Retry",
		explanation: "Retry without a delay makes the message visible again",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("a", "b")...)
			t.retry("q", 0, t.take("q", 2)...)
			t.counts("q", store.Stats{Messages: 2, Bytes: 2})
			t.expect("q", "a", "b")
		},
	},
	{
		name:        "Mixed",
		explanation: "Settle applies each outcome to its own message",
		run: func(t *trial) {
			t.create("q", "other")
			t.send("q", msgs("acked", "retried", "delayed", "moved", "extended", "released", "left")...)
			got := t.expect("q", "acked", "retried", "delayed", "moved", "extended", "released", "left")
			at := map[string]store.Delivery{}
			for _, d := range got {
				at[string(d.Body)] = d
			}
			start := time.Now()
			t.settle("q",
				store.Outcome{Lease: at["acked"].Lease, Verb: store.Ack},
				store.Outcome{Lease: at["retried"].Lease, Verb: store.Retry},
				store.Outcome{Lease: at["delayed"].Lease, Verb: store.Retry, Delay: 2 * t.unit},
				store.Outcome{Lease: at["moved"].Lease, Verb: store.Move, To: "other"},
				store.Outcome{Lease: at["extended"].Lease, Verb: store.Extend, Delay: 6 * t.unit},
				store.Outcome{Lease: at["released"].Lease, Verb: store.Release},
			)
			t.expect("other", "moved")
			t.expect("q", "retried", "released")
			t.due("q", "delayed", start, 2*t.unit)
			t.due("q", "extended", start, 6*t.unit)
			t.ack("q", at["left"])
		},
	},
	{
		name:        "PartOfBatch",
		explanation: "each message of a batch has a lease of its own, and may be settled in a call of its own",
		run: func(t *trial) {
			t.create("q")
			sent := numbered(t.batch(20))
			t.send("q", sent...)
			got := t.take("q", len(sent))
			for i, d := range got {
				if i%2 == 0 {
					t.ack("q", d)
				}
			}
			t.counts("q", store.Stats{Messages: int64(len(sent) / 2), Bytes: int64(len(sent) / 2 * 6), Leased: int64(len(sent) / 2)})
			for i, d := range slices.Backward(got) {
				if i%2 == 1 {
					t.ack("q", d)
				}
			}
			t.counts("q", store.Stats{})
		},
	},
	{
		name:        "Twice",
		explanation: "Settle reports an outcome whose message is gone as lost",
		needs:       needsFenced,
		run: func(t *trial) {
			t.create("q", "other")
			for _, first := range []store.Outcome{
				{Verb: store.Ack},
				{Verb: store.Retry, Delay: 100 * t.unit},
				{Verb: store.Move, To: "other"},
			} {
				t.send("q", msg("m"))
				first.Lease = t.one("q").Lease
				t.settle("q", first)
				for _, verb := range []store.Verb{store.Ack, store.Retry, store.Extend, store.Release, store.Move} {
					t.loses("q", []int{0}, store.Outcome{Lease: first.Lease, Verb: verb, To: "other"})
				}
				t.nothing("q")
			}
			t.expect("other", "m")
			t.counts("q", store.Stats{Messages: 1, Bytes: 1, Delayed: 1})
		},
	},
	{
		name:        "LostAfterRetry",
		explanation: "a settled lease no longer holds, though nobody has leased the message since",
		needs:       needsFenced,
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			for _, verb := range []store.Verb{store.Retry, store.Release} {
				d := t.one("q")
				t.settle("q", store.Outcome{Lease: d.Lease, Verb: verb})
				t.loses("q", []int{0}, store.Outcome{Lease: d.Lease, Verb: store.Ack})
				t.shows("q", "m")
			}
		},
	},
	{
		name:        "TwiceInOneCall",
		explanation: "outcomes apply in their order: the second for a lease that the first has settled is lost",
		needs:       needsFenced,
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("a", "b", "c")...)
			got := t.take("q", 3)
			t.loses("q", []int{1, 3},
				store.Outcome{Lease: got[0].Lease, Verb: store.Ack},
				store.Outcome{Lease: got[0].Lease, Verb: store.Retry},
				store.Outcome{Lease: got[1].Lease, Verb: store.Retry},
				store.Outcome{Lease: got[1].Lease, Verb: store.Ack},
				store.Outcome{Lease: got[2].Lease, Verb: store.Extend, Delay: t.unit},
				store.Outcome{Lease: got[2].Lease, Verb: store.Ack},
			)
			t.expect("q", string(got[1].Body))
			t.counts("q", store.Stats{Messages: 1, Bytes: 1, Leased: 1})
		},
	},
	{
		name:        "LostIndexes",
		explanation: "Settle returns the indexes of the outcomes it left alone, and applies the others",
		needs:       needsFenced,
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("a", "b", "c", "d")...)
			got := t.take("q", 4)
			t.ack("q", got[0], got[2])
			t.loses("q", []int{0, 2, 4},
				store.Outcome{Lease: got[0].Lease, Verb: store.Ack},
				store.Outcome{Lease: got[1].Lease, Verb: store.Ack},
				store.Outcome{Lease: got[2].Lease, Verb: store.Retry},
				store.Outcome{Lease: got[3].Lease, Verb: store.Retry},
				store.Outcome{Lease: "no such lease", Verb: store.Ack},
			)
			t.expect("q", string(got[3].Body))
		},
	},
	{
		name:        "Nothing",
		explanation: "Settle applies outcomes, of which there may be none",
		run: func(t *trial) {
			t.create("q")
			t.settle("q")
			_, err := t.store.Settle(t.ctx, "unknown", nil)
			t.fails("Settle of nothing in a missing queue", err, store.ErrQueueNotFound)
		},
	},
	{
		name:        "UnknownQueue",
		explanation: "every method answers ErrQueueNotFound for a queue that does not exist",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			d := t.one("q")
			_, err := t.store.Settle(t.ctx, "unknown", []store.Outcome{{Lease: d.Lease, Verb: store.Ack}})
			t.fails("Settle", err, store.ErrQueueNotFound)
			t.ack("q", d)
		},
	},
	{
		name:        "OtherQueue",
		explanation: "Settle applies outcomes to messages of one queue: the lease of another's is lost, and its message stays",
		needs:       needsFenced,
		run: func(t *trial) {
			t.create("q", "other", "third")
			t.send("q", msg("m"))
			t.send("other", msg("o"))
			d := t.one("q")
			t.one("other")
			for _, verb := range []store.Verb{store.Ack, store.Retry, store.Extend, store.Release, store.Move} {
				t.loses("other", []int{0}, store.Outcome{Lease: d.Lease, Verb: verb, To: "third"})
			}
			t.nothing("other")
			t.nothing("third")
			t.retry("q", 0, d)
			t.attempt(2, t.expect("q", "m")[0])
		},
	},
	{
		name:        "Cancelled",
		explanation: "a failed Settle may have applied any subset of its outcomes, and repeating the whole call is safe",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("a", "b", "c")...)
			got := t.take("q", 3)
			ctx, cancel := context.WithCancel(t.ctx)
			cancel()
			all := outcomes(store.Outcome{Verb: store.Ack}, got...)
			if _, err := t.store.Settle(ctx, "q", all); err != nil {
				_, err = t.store.Settle(t.ctx, "q", all)
				t.ok("the repeated Settle", err)
			}
			t.nothing("q")
			t.counts("q", store.Stats{})
		},
	},
	{
		name:        "ArgumentsKept",
		explanation: "the outcomes belong to the caller: Settle does not change them",
		run: func(t *trial) {
			t.create("q", "other")
			t.send("q", msgs("a", "b")...)
			got := t.take("q", 2)
			o := []store.Outcome{
				{Lease: got[0].Lease, Verb: store.Retry, Delay: -5},
				{Lease: got[1].Lease, Verb: store.Move, To: "other", Headers: []byte("headers")},
			}
			t.settle("q", o...)
			if o[0].Lease != got[0].Lease || o[0].Delay != -5 || o[1].To != "other" || string(o[1].Headers) != "headers" {
				t.Fatalf("Settle changed its arguments to %+v", o)
			}
		},
	},
}
