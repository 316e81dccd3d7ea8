package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inproq/inproq/store"
)

var pauseChecks = []check{
	{
		name:        "ErrPaused",
		explanation: "with Wait zero a Lease of a paused queue answers ErrPaused",
		run: func(t *trial) {
			t.create("q")
			t.pause("q")
			for _, sent := range []string{"with nothing there", "with a message there"} {
				for _, c := range []store.Claim{{}, {Min: 5, Max: 10, Linger: t.hold}} {
					c.Visibility = t.hold
					got, err := t.store.Lease(t.ctx, "q", c, nil)
					t.fails("Lease "+sent, err, store.ErrPaused)
					if len(got) > 0 {
						t.Fatalf("Lease of a paused queue: got %q", bodies(got))
					}
				}
				t.send("q", msg("m"))
			}
			t.purge("q")
			t.send("q", msg("m"))
			t.resume("q")
			t.firstDelivery("q", "m")
		},
	},
	{
		name:        "FromTheStart",
		explanation: "a queue may be created paused",
		run: func(t *trial) {
			t.put(store.Queue{Name: "q", Paused: true})
			t.send("q", msg("m"))
			_, err := t.store.Lease(t.ctx, "q", store.Claim{Visibility: t.hold}, nil)
			t.fails("Lease", err, store.ErrPaused)
			t.resume("q")
			t.expect("q", "m")
		},
	},
	{
		name:        "SatOut",
		explanation: "a Lease that waits sits a pause out, and returns no message that was there or is sent meanwhile",
		run: func(t *trial) {
			t.create("q")
			t.pause("q")
			t.send("q", msg("before"))
			p := t.waits("q", store.Claim{Max: 5, Wait: -1})
			t.send("q", msg("meanwhile"))
			t.pass(t.unit)
			t.blocked(p)
			t.resume("q")
			got := t.result(p)
			t.same("both Leases", append(got, t.take("q", 2-len(got))...), "before", "meanwhile")
		},
	},
	{
		name:        "SatOutByWaiters",
		explanation: "a Lease that waits sits a pause out that began after it",
		run: func(t *trial) {
			t.create("q")
			start := time.Now()
			t.send("q", delayed("due meanwhile", 4*t.unit))
			p := t.waits("q", store.Claim{Max: 5, Wait: -1})
			t.pause("q")
			if p.over() {
				t.Fatalf("the Lease ended before the pause, after %v", time.Since(start))
			}
			t.send("q", msg("sent meanwhile"))
			t.pass(4 * t.unit)
			t.blocked(p)
			t.resume("q")
			got := t.result(p)
			t.same("both Leases", append(got, t.take("q", 2-len(got))...), "sent meanwhile", "due meanwhile")
		},
	},
	{
		name:        "WaitPasses",
		explanation: "a Lease that waits returns without an error and without messages when Wait passed, in a pause too",
		run: func(t *trial) {
			t.create("q")
			t.pause("q")
			t.send("q", msg("m"))
			start := time.Now()
			got := t.lease("q", store.Claim{Wait: 2 * t.unit})
			if took := time.Since(start); len(got) > 0 || took < 2*t.unit || took > 2*t.unit+t.late {
				t.Fatalf("Lease of a paused queue: got %q after %v, want nothing after %v", bodies(got), took, 2*t.unit)
			}
		},
	},
	{
		name:        "Cancelled",
		explanation: "when ctx ends first, Lease returns ctx's error, in a pause too",
		run: func(t *trial) {
			t.create("q")
			t.pause("q")
			t.send("q", msg("m"))
			p := t.waits("q", store.Claim{Wait: -1})
			p.cancel()
			t.ends(p, context.Canceled)
		},
	},
	{
		name:        "SettlementsGoOn",
		explanation: "a pause stops deliveries; settlements go on",
		run: func(t *trial) {
			t.create("q", "other")
			t.send("q", msgs("a", "b", "c", "d", "e")...)
			got := t.take("q", 5)
			t.pause("q")
			t.ack("q", got[0])
			t.retry("q", 0, got[1])
			t.release("q", got[2])
			t.move("q", "other", got[3])
			t.extend("q", t.hold, got[4])
			t.counts("q", store.Stats{Messages: 3, Bytes: 3, Leased: 1})
			t.expect("other", string(got[3].Body))
			t.resume("q")
			t.expect("q", string(got[1].Body), string(got[2].Body))
			t.ack("q", got[4])
		},
	},
	{
		name:        "LeasesRunOut",
		explanation: "a pause stops deliveries; leases still run out",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			t.takeFor("q", 1, t.unit)
			t.pause("q")
			t.pass(t.unit)
			t.counts("q", store.Stats{Messages: 1, Bytes: 1})
			t.resume("q")
			t.attempt(2, t.expect("q", "m")[0])
		},
	},
	{
		name:        "OneQueueOnly",
		explanation: "a pause stops the deliveries of its own queue",
		run: func(t *trial) {
			t.create("q", "other")
			t.pause("q")
			t.send("other", msg("m"))
			t.expect("other", "m")
		},
	},
	{
		name:        "StopsLaterLeases",
		explanation: "no Lease that starts after PutQueue returned hands out a message",
		run: func(t *trial) {
			t.create("q")
			t.sendAll("q", numbered(20), 50)
			ctx, stop := context.WithCancel(t.ctx)
			var paused atomic.Int64 // even: deliveries go on; odd: a pause has begun
			errs := make([]error, 4)
			var all sync.WaitGroup
			for i := range errs {
				all.Go(func() { errs[i] = t.leaseThroughPauses(ctx, "q", &paused) })
			}
			for range 25 {
				time.Sleep(time.Millisecond)
				t.pause("q")
				paused.Add(1)
				time.Sleep(time.Millisecond)
				paused.Add(1)
				t.resume("q")
			}
			stop()
			all.Wait()
			for _, err := range errs {
				t.ok("a lessee", err)
			}
		},
	},
}

// leaseThroughPauses leases and releases until ctx ends. While paused is odd, and
// the same before and after, Lease must hand out nothing.
func (t *trial) leaseThroughPauses(ctx context.Context, queue string, paused *atomic.Int64) error {
	for ctx.Err() == nil {
		before := paused.Load()
		got, err := t.store.Lease(ctx, queue, store.Claim{Max: 3, Visibility: t.hold, Wait: time.Duration(before%2) * 100 * time.Microsecond}, nil)
		if err != nil && !errors.Is(err, store.ErrPaused) && ctx.Err() == nil {
			return err
		}
		if len(got) > 0 && before%2 == 1 && paused.Load() == before {
			return fmt.Errorf("a Lease that began after the pause got %q", bodies(got))
		}
		if _, err = t.store.Settle(t.ctx, queue, outcomes(store.Outcome{Verb: store.Release}, got...)); err != nil {
			return err
		}
		time.Sleep(100 * time.Microsecond)
	}
	return nil
}
