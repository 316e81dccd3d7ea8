package dispatch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStopLetsHandlersFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(time.Minute))
		r.send(25)
		synctest.Wait()
		began := time.Now()
		require.NoError(t, r.Stop(t.Context()))
		assert.Equal(t, time.Minute, time.Since(began))
		assert.EqualValues(t, 10, r.cfg.Counters.Acked.Load())
		assert.EqualValues(t, 15, r.stats().Messages)
		assert.Zero(t, r.stats().Leased)
		synctest.Wait() // goroutines that are about to end
		assert.Zero(t, goroutinesIn("dispatch.(*Engine).fillAndRun"))
	})
}

func TestStopGivesBackWhatNoHandlerHasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		r := newRig(t, succeed)
		r.late(gate)
		r.Start(t.Context())
		r.send(10)
		synctest.Wait()
		time.AfterFunc(time.Second, func() { close(gate) })
		require.NoError(t, r.Stop(t.Context()))
		assert.Empty(t, r.seen.batches())
		assert.Zero(t, r.stats().Leased)
		assert.Equal(t, make([]int, 10), attemptsOf(r.peek("q")))
	})
}

func TestStopEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(time.Hour), with(func(s *Settings) { s.MaxDuration = 2 * time.Hour }))
		r.send(10)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, r.Stop(ctx), context.DeadlineExceeded)
		assert.Equal(t, 1, r.State().Running)
		require.NoError(t, r.Stop(t.Context()), "a second Stop waits on")
		assert.EqualValues(t, 10, r.cfg.Counters.Acked.Load())
	})
}

func TestHaltDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(time.Minute))
		r.send(20)
		synctest.Wait()
		began := time.Now()
		r.Halt()
		assert.Zero(t, time.Since(began))
		time.Sleep(time.Hour)
		assert.Equal(t, []int{10}, r.seen.sizes())
	})
}

func TestStopBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, succeed)
		r.send(10)
		r.Cancel(errors.New("nothing runs"))
		require.NoError(t, r.Stop(t.Context()))
		require.NoError(t, r.Stop(t.Context()))
		r.change(func(s *Settings) { s.BatchSize = 1 })
		require.NoError(t, r.Hold(t.Context()))
		r.Resume()
		assert.Zero(t, r.Close())
		r.Start(t.Context())
		synctest.Wait()
		assert.Empty(t, r.seen.batches(), "Stop is for good")
		assert.Zero(t, r.State().Running)
	})
}

func TestCancelReachesHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		enough := errors.New("enough")
		causes := make(chan error, 1)
		r := start(t, func(ctx context.Context, _ *Batch) error {
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return ctx.Err()
		})
		r.send(10)
		synctest.Wait()
		r.Halt()
		r.Cancel(enough)
		assert.Equal(t, enough, <-causes)
		require.NoError(t, r.Stop(t.Context()))
		assert.EqualValues(t, 10, r.stats().Messages-r.stats().Delayed, "settled, although the context has ended")
		assert.Equal(t, context.Canceled, attr(r.book.find("handler failed")[0], "err").Any())
	})
}

func TestHandlerThatIsCancelledHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		enough := errors.New("enough")
		r := start(t, func(ctx context.Context, b *Batch) error { b.Ack(0); <-ctx.Done(); return nil })
		r.send(10)
		synctest.Wait()
		r.Halt()
		r.Cancel(enough)
		require.NoError(t, r.Stop(t.Context()))
		assert.EqualValues(t, 9, r.stats().Messages, "a handler that was cut short has not processed its batch")
		assert.EqualValues(t, 1, r.cfg.Counters.FailedBatches.Load())
		assert.Equal(t, enough, attr(r.book.find("handler failed")[0], "err").Any())
	})
}

func TestContextOfAHandlerEndsWhenItHasReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := make(chan context.Context, 1)
		r := start(t, func(ctx context.Context, _ *Batch) error { kept <- ctx; return nil })
		r.send(10)
		synctest.Wait()
		assert.Equal(t, context.Canceled, (<-kept).Err())
	})
}

func TestContextOfHandlersOutlivesThatOfStart(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		values := make(chan any, 1)
		r := newRig(t, func(ctx context.Context, _ *Batch) error {
			time.Sleep(time.Minute)
			values <- ctx.Value(key{})
			return ctx.Err()
		})
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "tenant"))
		r.Start(ctx)
		cancel()
		r.send(10)
		assert.Equal(t, "tenant", <-values)
		synctest.Wait()
		assert.EqualValues(t, 10, r.cfg.Counters.Acked.Load())
	})
}

func TestCloseSettlesWithoutAHandlerThatNeverReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		r := start(t, func(_ context.Context, b *Batch) error {
			b.Ack(0)
			<-gate
			b.AckAll()
			return nil
		}, with(func(s *Settings) { s.BatchSize, s.MaxConcurrency = 5, 2 }))
		r.grow(2)
		r.send(10)
		synctest.Wait()
		r.Halt()

		assert.Equal(t, 2, r.Close())
		assert.EqualValues(t, 2, r.cfg.Counters.Acked.Load(), "a call made in time counts")
		assert.EqualValues(t, 8, r.cfg.Counters.Retried.Load(), "the rest has failed")
		assert.EqualValues(t, 2, r.cfg.Counters.Stuck.Load())
		assert.Zero(t, r.stats().Leased)
		assert.Equal(t, 2, r.Close(), "closing twice settles once")
		assert.EqualValues(t, 2, r.cfg.Counters.Stuck.Load())

		close(gate)
		synctest.Wait()
		assert.EqualValues(t, 8, r.stats().Messages, "the late return changes nothing")
		assert.Zero(t, r.State().Running)
		assert.Len(t, r.book.find("handler returned after its batch was settled without it"), 2)
		assert.Len(t, r.seen.batches(), 2)
	})
}

func TestCloseStopsAnEngineThatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed)
		synctest.Wait()
		assert.Zero(t, r.Close(), "it does not wait for a filler that looks again and again")
		synctest.Wait() // goroutines that are about to end
		assert.Zero(t, goroutinesIn("dispatch.(*Engine).fillAndRun"))
		r.send(10)
		synctest.Wait()
		assert.Empty(t, r.seen.batches())
		assert.Zero(t, r.Close())
	})
}

func TestCloseWaitsForTheFiller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		r := newRig(t, succeed)
		r.late(gate)
		r.Start(t.Context())
		r.send(10)
		synctest.Wait()
		r.Halt()
		time.AfterFunc(time.Second, func() { close(gate) })
		assert.Zero(t, r.Close())
		assert.Zero(t, r.stats().Leased, "what it had leased is back")
	})
}
