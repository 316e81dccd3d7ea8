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

// late is a Lease whose answer is under way until the gate is opened.
func (r *rig) late(gate chan struct{}) {
	r.spy.onLease(func(ctx context.Context, queue string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
		ds, err := r.store.Lease(ctx, queue, c, buf)
		<-gate
		return ds, err
	})
}

func TestHoldGivesBackWhatNoHandlerHasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		r := newRig(t, succeed)
		r.late(gate)
		r.Start(t.Context())
		r.send(10)
		synctest.Wait()
		require.EqualValues(t, 10, r.stats().Leased)
		time.AfterFunc(time.Second, func() { close(gate) })

		require.NoError(t, r.Hold(t.Context()))
		assert.Zero(t, r.stats().Leased, "nothing is leased when Hold has returned")
		time.Sleep(time.Hour)
		assert.Empty(t, r.seen.batches())
		assert.Equal(t, make([]int, 10), attemptsOf(r.peek("q")), "attempts of what was given back are uncounted")

		r.Resume()
		synctest.Wait()
		assert.Equal(t, []int{1}, r.seen.attempts())
	})
}

func attemptsOf(ds []store.Delivery) []int {
	all := []int{}
	for _, d := range ds {
		all = append(all, d.Attempts)
	}
	return all
}

func TestHoldsNest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed)
		require.NoError(t, r.Hold(t.Context()))
		require.NoError(t, r.Hold(t.Context()))
		r.send(10)
		r.Resume()
		time.Sleep(time.Hour)
		assert.Empty(t, r.seen.batches())
		r.Resume()
		synctest.Wait()
		assert.Equal(t, []int{10}, r.seen.sizes())
	})
}

func TestHoldThatGaveUpStillHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		r := newRig(t, succeed)
		r.late(gate)
		r.Start(t.Context())
		r.send(10)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		require.ErrorIs(t, r.Hold(ctx), context.DeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(began))
		close(gate)
		time.Sleep(time.Hour)
		assert.Empty(t, r.seen.batches())
		r.Resume()
		synctest.Wait()
		assert.Equal(t, []int{10}, r.seen.sizes())
	})
}

func TestHoldLetsRunningBatchesFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(time.Minute))
		r.send(20)
		synctest.Wait()
		began := time.Now()
		require.NoError(t, r.Hold(t.Context()))
		assert.Zero(t, time.Since(began), "Hold does not wait for handlers")
		assert.EqualValues(t, 10, r.stats().Leased, "of the batch that runs")
		time.Sleep(time.Hour)
		assert.Equal(t, []int{10}, r.seen.sizes())
		assert.EqualValues(t, 10, r.cfg.Counters.Acked.Load())
		r.Resume()
		synctest.Wait()
		assert.Equal(t, []int{10, 10}, r.seen.sizes())
	})
}

func TestHoldKeepsABatchFromFilling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed)
		r.send(3)
		time.Sleep(4 * time.Second)
		require.NoError(t, r.Hold(t.Context()))
		time.Sleep(time.Minute)
		assert.Empty(t, r.seen.batches())
		r.Resume()
		synctest.Wait()
		assert.Equal(t, []int{3}, r.seen.sizes(), "the batch timeout has long passed")
	})
}

func TestHoldBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, succeed)
		require.NoError(t, r.Hold(t.Context()))
		r.send(10)
		r.Start(t.Context())
		synctest.Wait()
		assert.Empty(t, r.seen.batches())
		r.Resume()
		synctest.Wait()
		assert.Equal(t, []int{10}, r.seen.sizes())
	})
}

func TestHoldDuringStopReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		r := newRig(t, succeed)
		r.late(gate)
		r.Start(t.Context())
		r.send(10)
		synctest.Wait()
		done := make(chan error, 2)
		go func() { done <- r.Stop(t.Context()) }()
		go func() { done <- r.Hold(t.Context()) }()
		synctest.Wait()
		assert.Empty(t, done)
		close(gate)
		require.NoError(t, <-done)
		require.NoError(t, <-done)
		r.Resume()
		synctest.Wait()
		assert.Empty(t, r.seen.batches(), "Resume does not start what was stopped")
		assert.Zero(t, r.stats().Leased)
	})
}
