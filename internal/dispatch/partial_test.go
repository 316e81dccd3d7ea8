package dispatch

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

// partial makes the store one that returns early, with two messages at most.
func partial(c *Config) {
	s := c.Store.(*spy)
	s.guarantee.Partial = true
	s.onLease(chopped(s.Store))
}

func TestPartialLeasesMakeOneBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed, partial)
		for range 5 {
			r.send(1)
			time.Sleep(500 * time.Millisecond)
		}
		assert.Empty(t, r.seen.batches())
		assert.EqualValues(t, 5, r.stats().Leased)
		r.send(5)
		synctest.Wait()
		assert.Equal(t, []int{10}, r.seen.sizes(), "it leaves when it is full")

		time.Sleep(time.Minute)
		first := time.Now()
		r.send(7)
		time.Sleep(time.Minute)
		require.Equal(t, []int{10, 7}, r.seen.sizes())
		assert.Equal(t, 5*time.Second, r.seen.batches()[1].at.Sub(first), "or when the time is over")
		assert.Zero(t, r.stats().Messages)
		assert.Empty(t, r.spy.calls(store.Release))
	})
}

func TestPartialBatchWithoutATimeoutLeavesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed, partial, with(func(s *Settings) { s.BatchTimeout = 0 }))
		r.send(3)
		synctest.Wait()
		assert.Equal(t, []int{2, 1}, r.seen.sizes())
		assert.Equal(t, 1, r.spy.lastClaim().Min)
	})
}

func TestPartialBatchThatFillsIsGivenBack(t *testing.T) {
	for name, end := range map[string]func(*rig) error{
		"on Hold": func(r *rig) error { return r.Hold(context.Background()) },
		"on Stop": func(r *rig) error { return r.Stop(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, succeed, partial)
				r.send(3)
				time.Sleep(time.Second)
				require.EqualValues(t, 3, r.stats().Leased)
				require.NoError(t, end(r))
				assert.Zero(t, r.stats().Leased)
				assert.Equal(t, []int{0, 0, 0}, attemptsOf(r.peek("q")))
				time.Sleep(time.Minute)
				assert.Empty(t, r.seen.batches())
				assert.Len(t, r.spy.calls(store.Release), 1, "in one call")
			})
		})
	}
}

func TestPartialBatchLeavesWhenADrainBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed, partial)
		r.send(3)
		time.Sleep(time.Second)
		_, took := r.drain()
		assert.Zero(t, took)
		assert.Zero(t, r.stats().Messages)
	})
}

func TestPartialBatchSurvivesAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, succeed, partial)
		calls := 0 // only the filler's
		r.spy.onLease(func(ctx context.Context, queue string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
			if calls++; calls == 2 {
				return nil, store.ErrUnavailable
			}
			return chopped(r.store)(ctx, queue, c, buf)
		})
		r.Start(t.Context())
		r.send(3)
		synctest.Wait()
		assert.Equal(t, []int{2}, r.seen.sizes(), "what is here is delivered")
		time.Sleep(time.Minute)
		assert.Equal(t, []int{2, 1}, r.seen.sizes())
	})
}

func TestPartialBatchAsksForTheRestOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed, partial, with(func(s *Settings) { s.BatchTimeout = time.Minute }))
		r.send(2)
		time.Sleep(20 * time.Second)
		r.send(2)
		time.Sleep(time.Second)
		c := r.spy.lastClaim()
		assert.Equal(t, 6, c.Min)
		assert.Equal(t, 6, c.Max)
		assert.Equal(t, 40*time.Second, c.Wait.Round(10*time.Millisecond))
		assert.Equal(t, c.Wait, c.Linger)
		assert.Equal(t, r.visibility(&r.cfg.Settings)+c.Wait, c.Visibility)
	})
}

// TestPartialLeasesOutlastTheFilling: the first messages of such a batch are held
// while it fills, and then as long as those of any other batch.
func TestPartialLeasesOutlastTheFilling(t *testing.T) {
	for name, shared := range map[string]bool{"own": false, "shared": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, takes(50*time.Second), partial, func(c *Config) {
					c.Store.(*spy).guarantee.Shared = shared
					c.Settings.BatchTimeout, c.Settings.MaxDuration, c.Grace = time.Minute, time.Minute, 0
				})
				r.send(1)
				for range 109 {
					time.Sleep(time.Second)
					ds, err := r.store.Lease(t.Context(), "q", store.Claim{Visibility: time.Hour}, nil)
					require.NoError(t, err)
					require.Empty(t, ds, "nobody else gets hold of it")
				}
				time.Sleep(time.Minute)
				assert.EqualValues(t, 1, r.cfg.Counters.Acked.Load())
				assert.Equal(t, []int{1}, r.seen.attempts())
			})
		})
	}
}
