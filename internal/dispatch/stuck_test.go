package dispatch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

func TestMaxDurationEndsTheContextAndFailsTheBatch(t *testing.T) {
	for name, result := range map[string]error{"nil": nil, "an error": errors.New("interrupted")} {
		t.Run("handler returns "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				causes := make(chan error, 1)
				r := start(t, func(ctx context.Context, b *Batch) error {
					b.Ack(0)
					<-ctx.Done()
					causes <- context.Cause(ctx)
					b.Ack(1)
					return result
				}, with(func(s *Settings) { s.MaxDuration, s.MaxRetries = time.Minute, 0 }))
				r.send(10)
				time.Sleep(time.Minute)
				cause := <-causes
				synctest.Wait()
				require.ErrorIs(t, cause, context.DeadlineExceeded)
				assert.EqualError(t, cause, "inproq: handler ran longer than 1m0s")
				assert.EqualValues(t, 2, r.cfg.Counters.Acked.Load(), "calls count until the handler returns")
				assert.EqualValues(t, 8, r.cfg.Counters.Dropped.Load())
				logged := r.book.find("handler failed")
				require.Len(t, logged, 1)
				want := cause
				if result != nil {
					want = result
				}
				assert.Equal(t, want, attr(logged[0], "err").Any())
				assert.Zero(t, r.cfg.Counters.Stuck.Load())
			})
		})
	}
}

func TestHandlerThatReturnsAtItsDeadlineIsLate(t *testing.T) {
	for after, failed := range map[time.Duration]uint64{time.Minute - time.Nanosecond: 0, time.Minute: 1, 80 * time.Second: 1} {
		t.Run(after.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, takes(after), with(func(s *Settings) { s.MaxDuration, s.MaxRetries = time.Minute, 0 }))
				r.send(10)
				time.Sleep(2 * time.Minute)
				assert.Equal(t, failed, r.cfg.Counters.FailedBatches.Load())
			})
		})
	}
}

func TestStuckBatchIsSettledWithoutItsHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ran := make(chan bool, 1)
		r := start(t, func(_ context.Context, b *Batch) error {
			if b.Deliveries[0].Attempts > 1 {
				return nil
			}
			b.Ack(0)
			time.Sleep(time.Hour)
			b.AckAll()
			b.Spawn(func(context.Context) error { ran <- true; return nil })
			return nil
		}, with(func(s *Settings) { s.MaxDuration = time.Minute }))
		r.send(10)
		time.Sleep(90*time.Second - time.Nanosecond)
		assert.EqualValues(t, 10, r.stats().Leased, "the grace is not over")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.EqualValues(t, 1, r.cfg.Counters.Stuck.Load())
		assert.EqualValues(t, 1, r.cfg.Counters.Acked.Load())
		assert.EqualValues(t, 9, r.cfg.Counters.Retried.Load())
		assert.Equal(t, errStuck, attr(r.book.find("handler failed")[0], "err").Any())
		time.Sleep(30 * time.Minute)
		assert.Equal(t, 1, r.State().Running, "the slot stays taken")
		assert.Len(t, r.seen.batches(), 1)

		time.Sleep(time.Hour)
		assert.Equal(t, []int{10, 9}, r.seen.sizes(), "and is free when the handler has returned")
		assert.Empty(t, ran, "a settled batch takes no more functions")
		assert.Len(t, r.book.find("handler returned after its batch was settled without it"), 1)
		assert.EqualValues(t, 10, r.cfg.Counters.Acked.Load())
		assert.EqualValues(t, 1, r.cfg.Counters.FailedBatches.Load())
	})
}

// TestOneAlarmServesAllBatches: they begin at different times and with different
// bounds, and each is found stuck at its own.
func TestOneAlarmServesAllBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		hang := func(context.Context, *Batch) error { <-gate; return nil }
		r := start(t, hang, with(func(s *Settings) { s.BatchSize, s.MaxConcurrency, s.RetryDelay = 1, 3, 24*time.Hour }))
		r.grow(3)
		began := time.Now()
		for _, minutes := range []time.Duration{30, 10, 20} {
			r.change(func(s *Settings) { s.MaxDuration = minutes * time.Minute })
			r.send(1)
			time.Sleep(time.Minute)
		}
		time.Sleep(time.Hour)
		var at []time.Duration
		for _, c := range r.spy.calls(store.Retry) {
			at = append(at, c.at.Sub(began))
		}
		grace := 30 * time.Second
		assert.Equal(t, []time.Duration{11*time.Minute + grace, 22*time.Minute + grace, 30*time.Minute + grace}, at)
		assert.EqualValues(t, 3, r.cfg.Counters.Stuck.Load())
		close(gate)
	})
}

func TestAlarmSurvivesABatchThatWasInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(_ context.Context, b *Batch) error {
			if b.Len() == 2 {
				time.Sleep(time.Hour)
			}
			return nil
		}, with(func(s *Settings) { s.MaxDuration, s.MaxRetries = time.Minute, 0 }))
		r.send(1)
		time.Sleep(time.Minute)
		began := time.Now()
		r.send(2)
		time.Sleep(3 * time.Minute)
		dropped := r.spy.calls(store.Ack)
		require.Len(t, dropped, 2)
		assert.Equal(t, 95*time.Second, dropped[1].at.Sub(began), "timeout, duration and grace")
		assert.EqualValues(t, 1, r.cfg.Counters.Stuck.Load())
	})
}

// TestSlowSettlementIsNotStuck: the handler returned in time, and its settlement
// goes on when the alarm rings.
func TestSlowSettlementIsNotStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(89*time.Second), with(func(s *Settings) { s.MaxDuration = time.Minute }))
		r.spy.onSettle(func(ctx context.Context, queue string, o []store.Outcome) ([]int, error) {
			time.Sleep(5 * time.Second)
			return r.store.Settle(ctx, queue, o)
		})
		r.send(10)
		time.Sleep(93 * time.Second)
		assert.EqualValues(t, 10, r.stats().Leased)
		time.Sleep(time.Second)
		synctest.Wait()
		assert.EqualValues(t, 10, r.cfg.Counters.Retried.Load())
		assert.Zero(t, r.cfg.Counters.Stuck.Load())
		r.spy.onSettle(nil)
	})
}
