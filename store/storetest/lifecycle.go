package storetest

import (
	"errors"
	"sync"

	"github.com/inproq/inproq/store"
)

var lifecycleChecks = []check{
	{
		name:        "Guarantee",
		explanation: "Guarantee says what this store promises, and never changes",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			if now := t.store.Guarantee(); now != t.promised {
				t.Fatalf("Guarantee is %+v, and was %+v", now, t.promised)
			}
			if t.promised.TimerGrain < 0 || t.promised.AtomicSend < 0 {
				t.Fatalf("Guarantee is %+v, want nothing negative", t.promised)
			}
		},
	},
	{
		name:        "DeleteEndsLease",
		explanation: "a queue that is deleted meanwhile ends the wait with ErrQueueNotFound",
		run: func(t *trial) {
			t.create("q", "paused", "lingering", "other")
			t.pause("paused")
			t.send("paused", msg("m"))
			calls := []*pending{
				t.waits("q", store.Claim{Wait: -1}),
				t.waits("q", store.Claim{Wait: t.hold}),
				t.waits("q", store.Claim{Min: 5, Wait: -1, Linger: t.hold}),
				t.waits("paused", store.Claim{Wait: -1}),
			}
			if !t.promised.Partial {
				t.send("lingering", msg("m"))
				calls = append(calls, t.waits("lingering", store.Claim{Min: 5, Wait: -1, Linger: t.hold}))
			}
			other := t.waits("other", store.Claim{Wait: -1})
			for _, name := range []string{"q", "paused", "lingering"} {
				t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, name))
			}
			for _, call := range calls {
				t.ends(call, store.ErrQueueNotFound)
			}
			t.blocked(other)
		},
	},
	{
		name:        "DeletedQueue",
		explanation: "every method answers ErrQueueNotFound for a queue that does not exist",
		run: func(t *trial) {
			t.create("q", "other")
			t.send("q", msgs("a", "b")...)
			d := t.one("q")
			t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "q"))
			t.refused(store.ErrQueueNotFound, d.Lease)
			t.send("other", msg("o"))
			t.expect("other", "o")
		},
	},
	{
		name:        "CreatedAgain",
		explanation: "DeleteQueue deletes the queue with its messages: one that is created again under its name starts empty",
		run: func(t *trial) {
			t.put(store.Queue{Name: "q", Paused: true, Retention: t.hold, Settings: []byte("old")})
			t.send("q", msg("ready"), delayed("delayed", t.unit))
			t.resume("q")
			t.takeFor("q", 1, t.unit)
			t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "q"))
			t.create("q")
			t.record(t.listed("q"), store.Queue{Name: "q"})
			t.counts("q", store.Stats{})
			t.pass(2 * t.unit)
			t.nothing("q")
			t.shows("q")
			t.send("q", msg("new"))
			t.expect("q", "new")
		},
	},
	{
		name:        "CloseEndsCalls",
		explanation: "Close ends every blocked call with ErrClosed",
		run: func(t *trial) {
			t.create("q", "paused", "lingering")
			t.pause("paused")
			watch, _ := t.watches(t.records["paused"].Revision, -1)
			bounded, _ := t.watches(t.records["paused"].Revision, t.hold)
			calls := []*pending{
				watch, bounded,
				t.waits("q", store.Claim{Wait: -1}),
				t.waits("q", store.Claim{Wait: t.hold}),
				t.waits("paused", store.Claim{Wait: -1}),
			}
			if !t.promised.Partial {
				t.send("lingering", msg("m"))
				calls = append(calls, t.waits("lingering", store.Claim{Min: 5, Wait: -1, Linger: t.hold}))
			}
			for _, call := range calls {
				t.blocked(call)
			}
			t.ok("Close", t.store.Close())
			for _, call := range calls {
				t.ends(call, store.ErrClosed)
			}
		},
	},
	{
		name:        "AfterClose",
		explanation: "every method answers ErrClosed after Close",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("a", "b")...)
			d := t.one("q")
			t.ok("Close", t.store.Close())
			t.refused(store.ErrClosed, d.Lease)
			_, _, err := t.store.Queues(t.ctx, 0, 0)
			t.fails("Queues", err, store.ErrClosed)
			_, _, err = t.store.Queues(t.ctx, 1<<60, -1)
			t.fails("Queues", err, store.ErrClosed)
			_, err = t.store.PutQueue(t.ctx, store.Queue{Name: "new"})
			t.fails("PutQueue", err, store.ErrClosed)
			if now := t.store.Guarantee(); now != t.promised {
				t.Fatalf("Guarantee after Close is %+v, and was %+v", now, t.promised)
			}
		},
	},
	{
		name:        "CloseTwice",
		explanation: "closing twice is fine",
		run: func(t *trial) {
			t.create("q")
			for range 3 {
				t.ok("Close", t.store.Close())
			}
		},
	},
	{
		name:        "CloseUnderLoad",
		explanation: "all methods are safe for concurrent use, Close too: calls under way succeed or answer ErrClosed",
		run: func(t *trial) {
			t.create("q")
			const users, warm = 4, 50
			var all sync.WaitGroup
			errs := make([]error, users)
			warmed := make(chan struct{}, 2*users)
			for i := range users {
				all.Go(func() {
					for n := 0; errs[i] == nil; n++ {
						if n == warm {
							warmed <- struct{}{}
						}
						errs[i] = t.roundTrip("q")
					}
					if !errors.Is(errs[i], store.ErrClosed) {
						warmed <- struct{}{}
					}
				})
			}
			for range users {
				<-warmed
			}
			t.ok("Close", t.store.Close())
			all.Wait()
			for _, err := range errs {
				t.fails("a call during or after Close", err, store.ErrClosed)
			}
		},
	},
}

// roundTrip sends some messages, leases as many and acknowledges them.
func (t *trial) roundTrip(queue string) error {
	if _, err := t.store.Enqueue(t.ctx, queue, msgs("a", "b")); err != nil {
		return err
	}
	got, err := t.store.Lease(t.ctx, queue, store.Claim{Max: 2, Visibility: t.hold, Wait: t.unit}, nil)
	if err != nil {
		return err
	}
	_, err = t.store.Settle(t.ctx, queue, outcomes(store.Outcome{Verb: store.Ack}, got...))
	return err
}

// refused checks that every method of queue "q" answers want.
func (t *trial) refused(want error, lease store.Lease) {
	t.Helper()
	_, err := t.store.Enqueue(t.ctx, "q", msgs("a"))
	t.fails("Enqueue", err, want)
	for _, c := range []store.Claim{{}, {Max: 5, Wait: t.hold}, {Wait: -1}, {Min: 5, Linger: t.hold}} {
		c.Visibility = t.hold
		got, err := t.store.Lease(t.ctx, "q", c, nil)
		t.fails("Lease", err, want)
		if len(got) > 0 {
			t.Fatalf("Lease failed, and returned %q", bodies(got))
		}
	}
	for _, verb := range []store.Verb{store.Ack, store.Retry, store.Move, store.Extend, store.Release} {
		_, err = t.store.Settle(t.ctx, "q", []store.Outcome{{Lease: lease, Verb: verb, To: "other"}})
		t.fails("Settle", err, want)
	}
	_, err = t.store.Peek(t.ctx, "q", "", 10)
	t.fails("Peek", err, want)
	t.fails("Purge", t.store.Purge(t.ctx, "q"), want)
	_, err = t.store.Stats(t.ctx, "q")
	t.fails("Stats", err, want)
	_, err = t.store.PutQueue(t.ctx, t.records["q"])
	t.fails("PutQueue", err, want)
	t.fails("DeleteQueue", t.store.DeleteQueue(t.ctx, "q"), want)
}
