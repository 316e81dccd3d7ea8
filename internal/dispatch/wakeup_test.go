package dispatch

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/store"
)

// TestNothingWakesTooLate drives an engine through random schedules of all that
// can disturb its filler. Whatever the schedule, every message is delivered in
// the end, and each delivery that a handler saw, and no other, counts as an attempt.
func TestNothingWakesTooLate(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) { disturbAtRandom(rt) })
	})
}

func disturbAtRandom(rt *rapid.T) {
	slow := rapid.SampledFrom([]time.Duration{0, 10 * time.Millisecond, 7 * time.Second}).Draw(rt, "slow")
	partial := rapid.Bool().Draw(rt, "partial")
	h := func(_ context.Context, b *Batch) error {
		time.Sleep(slow)
		for i := range b.Deliveries {
			if d := &b.Deliveries[i]; number(d)%5 == 0 && d.Attempts < 4 {
				b.Retry(i, settlement.Retry{Delay: time.Duration(number(d)) * time.Second, HasDelay: true})
			}
		}
		return nil
	}
	r := start(rt, h, func(c *Config) {
		c.Settings.MaxRetries = 100
		c.Settings.MaxConcurrency = 3
		if partial {
			s := c.Store.(*spy)
			s.guarantee.Partial = true
			s.onLease(chopped(s.Store))
		}
	})
	r.grow(3)
	ctx, held := context.Background(), 0
	rt.Repeat(map[string]func(*rapid.T){
		"send":  func(rt *rapid.T) { r.send(rapid.IntRange(1, 25).Draw(rt, "n")) },
		"later": func(rt *rapid.T) { r.sendDelayed(rapid.IntRange(1, 5).Draw(rt, "n"), 3*time.Second) },
		"sleep": func(rt *rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(1, 6000).Draw(rt, "ms")) * time.Millisecond)
		},
		"hold": func(rt *rapid.T) {
			held++
			require.NoError(rt, r.Hold(ctx))
			synctest.Wait()
			r.seen.mu.Lock()
			defer r.seen.mu.Unlock()
			require.EqualValues(rt, r.seen.latest(), r.stats().Leased, "only running batches hold leases")
		},
		"resume": func(rt *rapid.T) {
			if held == 0 {
				rt.Skip("not held")
			}
			held--
			r.Resume()
		},
		"update": func(rt *rapid.T) {
			size, most := rapid.IntRange(1, 12).Draw(rt, "size"), rapid.IntRange(1, 3).Draw(rt, "handlers")
			timeout := time.Duration(rapid.IntRange(0, 5).Draw(rt, "timeout")) * time.Second
			r.change(func(s *Settings) { s.BatchSize, s.BatchTimeout, s.MaxConcurrency = size, timeout, most })
		},
		"pause":   func(*rapid.T) { r.pause(true) },
		"unpause": func(*rapid.T) { r.pause(false) },
	})
	for ; held > 0; held-- {
		r.Resume()
	}
	r.pause(false)
	time.Sleep(24 * time.Hour)

	require.Zero(rt, r.stats().Messages)
	_, most := r.spy.fillers()
	require.LessOrEqual(rt, most, 1, "goroutines in Lease at once")
	last := make(map[int]int)
	for _, x := range r.seen.batches() {
		require.NotEmpty(rt, x.numbers)
		for i, n := range x.numbers {
			last[n]++
			require.Equal(rt, last[n], x.attempts[i], "attempts of message %d", n)
		}
	}
	assert.Len(rt, last, r.sent)
}

// pause sets Paused in the queue's record.
func (r *rig) pause(paused bool) {
	qs, _, err := r.store.Queues(context.Background(), 0, 0)
	require.NoError(r.t, err)
	for _, q := range qs {
		if q.Name == "q" && q.Paused != paused {
			q.Paused = paused
			_, err := r.store.PutQueue(context.Background(), q)
			require.NoError(r.t, err)
		}
	}
}

// chopped leases as a store does that returns early: what is there at once, and
// never more than two.
func chopped(of store.Store) leaseFunc {
	return func(ctx context.Context, queue string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
		c.Min, c.Max, c.Linger = 1, min(c.Max, 2), 0
		return of.Lease(ctx, queue, c, buf)
	}
}
