package storetest

import (
	"context"
	"time"

	"github.com/inproq/inproq/store"
)

var enqueueChecks = []check{
	{
		name:        "OneByOne",
		explanation: "messages without a delay are leasable in the order of acceptance, as far as the engine can tell it",
		run: func(t *trial) {
			t.create("q")
			for _, m := range numbered(40) {
				t.send("q", m)
			}
			var got []store.Delivery
			for range 40 {
				got = append(got, t.one("q"))
			}
			t.ordered(got)
			t.nothing("q")
		},
	},
	{
		name:        "Batch",
		explanation: "Enqueue accepts all of the messages, leasable in the order of acceptance as far as the engine can tell it",
		run: func(t *trial) {
			t.create("q")
			sent := numbered(t.batch(100))
			t.send("q", sent...)
			got := t.take("q", len(sent))
			t.ordered(got)
			seen := map[store.ID]bool{}
			for _, d := range got {
				seen[d.ID] = true
			}
			for _, m := range sent {
				if !seen[m.ID] {
					t.Fatalf("of %d messages %q is missing", len(sent), m.Body)
				}
			}
			t.nothing("q")
		},
	},
	{
		name:        "BeyondTheBound",
		explanation: "AtomicSend is the largest number of messages that one Enqueue takes, and Enqueue accepts all or none",
		needs: func(_ Harness, g store.Guarantee) string {
			if g.AtomicSend == 0 {
				return "a batch may have any size"
			}
			return ""
		},
		run: func(t *trial) {
			t.create("q")
			sent := numbered(t.promised.AtomicSend + 1)
			if _, err := t.store.Enqueue(t.ctx, "q", sent); err == nil {
				t.take("q", len(sent))
			}
			t.nothing("q")
		},
	},
	{
		name:        "Nothing",
		explanation: "Enqueue accepts all of the messages, of which there may be none",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("a"))
			before := t.send("q")
			if diff := diffStats(before, store.Stats{Messages: 1, Bytes: 1}); diff != "" {
				t.Fatalf("Enqueue of nothing: before it, %s", diff)
			}
			t.expect("q", "a")
		},
	},
	{
		name:        "UnknownQueue",
		explanation: "every method answers ErrQueueNotFound for a queue that does not exist, and has then done nothing",
		run: func(t *trial) {
			_, err := t.store.Enqueue(t.ctx, "q", msgs("a", "b"))
			t.fails("Enqueue", err, store.ErrQueueNotFound)
			_, err = t.store.Enqueue(t.ctx, "q", nil)
			t.fails("Enqueue of nothing", err, store.ErrQueueNotFound)
			t.create("q")
			t.nothing("q")
		},
	},
	{
		name:        "Cancelled",
		explanation: "when a method returns an error it has done nothing",
		run: func(t *trial) {
			t.create("q")
			ctx, cancel := context.WithCancel(t.ctx)
			cancel()
			if _, err := t.store.Enqueue(ctx, "q", msgs("a", "b", "c")); err == nil {
				t.expect("q", "a", "b", "c")
			} else {
				t.nothing("q")
				t.counts("q", store.Stats{})
			}
		},
	},
	{
		name:        "Before",
		explanation: "Enqueue returns the queue's Stats from before",
		run: func(t *trial) {
			t.create("q")
			for i, want := range []store.Stats{
				{},
				{Messages: 1, Bytes: 3},
				{Messages: 2, Bytes: 6},
			} {
				before := t.send("q", msg("abc"))
				// These two are best effort here.
				before.Delayed, before.Leased = -1, -1
				if diff := diffStats(before, want); diff != "" {
					t.Fatalf("Enqueue %d: before it, %s", i, diff)
				}
			}
		},
	},
	{
		name:        "WhilePaused",
		explanation: "a pause stops deliveries; sends go on",
		run: func(t *trial) {
			t.create("q")
			t.pause("q")
			t.send("q", msg("a"))
			t.resume("q")
			t.send("q", msg("b"))
			t.expect("q", "a", "b")
		},
	},
	{
		name:        "QueuesApart",
		explanation: "each method does one thing to one queue",
		run: func(t *trial) {
			t.create("a", "b", "ab")
			t.send("a", msg("for a"))
			t.send("ab", msg("for ab"))
			t.nothing("b")
			t.expect("a", "for a")
			t.expect("ab", "for ab")
		},
	},
	{
		name:        "Sent",
		explanation: "Sent is the time of acceptance on the store's clock",
		run: func(t *trial) {
			t.create("q")
			for _, m := range []store.Message{msg("now"), delayed("later", t.unit)} {
				earliest := time.Now()
				t.send("q", m)
				latest := time.Now()
				d := t.due("q", string(m.Body), earliest, m.Delay)
				// A store may round, and its clock may be another machine's.
				tolerance := max(t.promised.TimerGrain, time.Millisecond)
				if !t.harness.Virtual {
					tolerance = time.Minute
				}
				if d.Sent.Before(earliest.Add(-tolerance)) || d.Sent.After(latest.Add(tolerance)) {
					t.Fatalf("Sent of %q is %v, want between %v and %v", m.Body, d.Sent, earliest, latest)
				}
			}
		},
	},
	{
		name:        "RepeatedID",
		explanation: "enqueueing an ID that the queue holds is a no-op",
		needs:       needsIdempotence,
		run: func(t *trial) {
			t.create("q")
			start := time.Now()
			sent := []store.Message{msg("ready"), delayed("delayed", 4*t.unit)}
			t.send("q", sent...)
			again := func(now store.Stats) {
				t.Helper()
				repeated := []store.Message{sent[0], sent[1]}
				repeated[0].Body = []byte("impostor")
				t.send("q", repeated...)
				now.Messages, now.Bytes = 2, int64(len("ready")+len("delayed"))
				t.counts("q", now)
			}
			again(store.Stats{Delayed: 1})
			held := t.expect("q", "ready")
			again(store.Stats{Delayed: 1, Leased: 1})
			t.nothing("q")
			retried := time.Now()
			t.retry("q", t.unit, held...)
			again(store.Stats{Delayed: 2})
			t.due("q", "ready", retried, t.unit)
			t.due("q", "delayed", start, 4*t.unit)
			t.nothing("q")
		},
	},
	{
		name:        "RepeatedInPart",
		explanation: "enqueueing an ID that the queue holds is a no-op; the other messages of the batch are accepted",
		needs:       needsIdempotence,
		run: func(t *trial) {
			t.create("q", "other")
			a := msg("a")
			t.send("q", a)
			t.send("q", a, msg("b"))
			t.send("other", a)
			t.expect("q", "a", "b")
			t.expect("other", "a")
		},
	},
}

// batch is n, or less if the store does not take so many at once.
func (t *trial) batch(n int) int {
	if most := t.promised.AtomicSend; most > 0 {
		return min(n, most)
	}
	return n
}
