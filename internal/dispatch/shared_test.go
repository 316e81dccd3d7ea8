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

// shared makes the store one that several processes use.
func shared(c *Config) { c.Store.(*spy).guarantee.Shared = true }

func TestLeasesOfASharedStoreAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(30*time.Minute+10*time.Second), shared, with(func(s *Settings) {
			s.BatchSize, s.MaxConcurrency, s.MaxDuration = 5, 2, time.Hour
		}))
		r.grow(2)
		began := time.Now()
		r.send(10)
		synctest.Wait()
		assert.Equal(t, time.Minute, r.spy.lastClaim().Visibility)
		time.Sleep(time.Hour)

		beats := r.spy.calls(store.Extend)
		require.Len(t, beats, 90, "every 20 seconds, for all batches in one call, and none when they are settled")
		for i, beat := range beats {
			assert.Equal(t, time.Duration(i+1)*20*time.Second, beat.at.Sub(began))
			assert.Len(t, beat.outcomes, 10)
			for _, o := range beat.outcomes {
				assert.Equal(t, store.Extend, o.Verb)
				assert.Equal(t, time.Minute, o.Delay)
			}
		}
		assert.Equal(t, []int{5, 5}, r.seen.sizes(), "nothing is delivered again")
		assert.EqualValues(t, 10, r.cfg.Counters.Acked.Load())
		assert.Zero(t, r.cfg.Counters.LeasesLost.Load())
	})
}

func TestRenewalBeginsAnewAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(30*time.Second), shared)
		for range 3 {
			r.send(10)
			time.Sleep(time.Hour)
		}
		assert.Len(t, r.spy.calls(store.Extend), 3)
		assert.Equal(t, []int{1, 1, 1}, r.seen.attempts())
	})
}

func TestLeasesOfAnOwnStoreAreNotRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(14*time.Minute))
		r.send(10)
		synctest.Wait()
		assert.Equal(t, 15*time.Minute+30*time.Second+2*settleTime, r.spy.lastClaim().Visibility,
			"the longest life of a handler, the grace, and its settlement")
		time.Sleep(time.Hour)
		assert.Empty(t, r.spy.calls(store.Extend))
		assert.Equal(t, []int{1}, r.seen.attempts())
	})
}

// TestNoRenewalFollowsTheSettlement: it could take back what another process holds
// by then, in a store that is not fenced.
func TestNoRenewalFollowsTheSettlement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(21*time.Second), shared)
		order := make(chan string, 10)
		r.spy.onSettle(func(ctx context.Context, queue string, o []store.Outcome) ([]int, error) {
			order <- "begin " + o[0].Verb.String()
			if o[0].Verb == store.Extend {
				time.Sleep(5 * time.Second)
			} else {
				time.Sleep(30 * time.Second)
			}
			order <- "end " + o[0].Verb.String()
			return r.store.Settle(context.WithoutCancel(ctx), queue, o)
		})
		r.send(10)
		time.Sleep(5 * time.Minute)
		var all []string
		for len(order) > 0 {
			all = append(all, <-order)
		}
		assert.Equal(t, []string{"begin extend", "end extend", "begin ack", "end ack"}, all,
			"the settlement waits for a renewal under way, and none begins while it goes on")
	})
}

func TestRenewalsDoNotOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(4*time.Minute), shared)
		r.spy.onSettle(func(ctx context.Context, queue string, o []store.Outcome) ([]int, error) {
			if o[0].Verb == store.Extend {
				time.Sleep(50 * time.Second)
			}
			return r.store.Settle(context.WithoutCancel(ctx), queue, o)
		})
		began := time.Now()
		r.send(10)
		time.Sleep(10 * time.Minute)
		var at []time.Duration
		for _, beat := range r.spy.calls(store.Extend) {
			at = append(at, beat.at.Sub(began))
		}
		assert.Equal(t, []time.Duration{20 * time.Second, 80 * time.Second, 140 * time.Second, 200 * time.Second}, at)
	})
}

func TestFailedRenewalIsFollowedByTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(70*time.Second), shared)
		down := time.Now().Add(25 * time.Second)
		r.spy.onSettle(func(ctx context.Context, queue string, o []store.Outcome) ([]int, error) {
			if time.Now().Before(down) {
				return nil, store.ErrReadOnly
			}
			return r.store.Settle(ctx, queue, o)
		})
		r.send(10)
		time.Sleep(5 * time.Minute)
		assert.Len(t, r.spy.calls(store.Extend), 3)
		assert.Equal(t, []int{1}, r.seen.attempts())
		assert.EqualValues(t, 10, r.cfg.Counters.Acked.Load())
	})
}

func TestRenewalThatFindsLeasesLostWarns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(30*time.Second), shared)
		r.spy.onSettle(func(ctx context.Context, queue string, o []store.Outcome) ([]int, error) {
			if o[0].Verb == store.Extend {
				return []int{1, 4, 7}, nil
			}
			return r.store.Settle(ctx, queue, o)
		})
		r.send(10)
		time.Sleep(time.Minute)
		lost := r.book.find("leases were lost while their handlers run")
		require.Len(t, lost, 1)
		assert.EqualValues(t, 3, attr(lost[0], "messages").Int64())
	})
}
