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

// drain drains and returns the number of batches and how long it took.
func (r *rig) drain() (batches uint64, took time.Duration) {
	began := time.Now()
	batches, err := r.Drain(context.Background())
	require.NoError(r.t, err)
	return batches, time.Since(began)
}

func TestDrainDeliversWhatIsReadyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed, with(func(s *Settings) { s.BatchTimeout = time.Minute }))
		require.NoError(t, r.Hold(t.Context()))
		r.send(23)
		r.sendDelayed(5, time.Hour)
		batches, _ := r.drain()
		assert.Zero(t, batches, "held")
		r.Resume()
		batches, took := r.drain()
		assert.Equal(t, []int{10, 10, 3}, r.seen.sizes())
		assert.LessOrEqual(t, batches, uint64(3), "those since the call")
		assert.Zero(t, took, "a partial batch does not wait")
		assert.EqualValues(t, 5, r.stats().Delayed, "what is delayed is not ready")
		time.Sleep(2 * time.Hour)
		assert.EqualValues(t, 5, r.stats().Messages, "and the engine waits for it no more")
	})
}

func TestDrainReportsBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(time.Second))
		r.send(3)
		batches, took := r.drain()
		assert.EqualValues(t, 1, batches)
		assert.Equal(t, time.Second, took, "Drain waits for handlers")
		batches, took = r.drain()
		assert.Zero(t, batches)
		assert.Zero(t, took)
		r.send(11)
		batches, _ = r.drain()
		assert.EqualValues(t, 2, batches, "it may be called again")
	})
}

func TestDrainDeliversWhatHandlersBringBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(_ context.Context, b *Batch) error {
			time.Sleep(time.Second)
			if b.Deliveries[0].Attempts < 3 {
				return errors.New("again")
			}
			return nil
		})
		r.send(1)
		batches, _ := r.drain()
		assert.EqualValues(t, 3, batches)
		assert.Zero(t, r.stats().Messages)
	})
}

func TestDrainInterruptsABatchThatFills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed, with(func(s *Settings) { s.BatchTimeout = time.Minute }))
		r.send(3)
		time.Sleep(time.Second)
		batches, took := r.drain()
		assert.EqualValues(t, 1, batches)
		assert.Zero(t, took)
	})
}

func TestDrainOfAPausedQueueReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed)
		r.pause(true)
		r.send(3)
		batches, took := r.drain()
		assert.Zero(t, batches)
		assert.Zero(t, took)
		assert.EqualValues(t, 3, r.stats().Messages)
		assert.Empty(t, r.book.all())
	})
}

func TestDrainEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(time.Hour))
		r.send(20)
		synctest.Wait() // a handler has begun
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		batches, err := r.Drain(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Zero(t, batches)
	})
}

func TestDrainUsesAllHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(time.Minute), with(func(s *Settings) { s.MaxConcurrency = 4 }))
		r.grow(4)
		r.send(80)
		_, took := r.drain()
		assert.Equal(t, 2*time.Minute, took)
		assert.Equal(t, 4, r.seen.peak())
		_, most := r.spy.fillers()
		assert.Equal(t, 1, most)
	})
}

func TestUpdateDuringDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(time.Minute))
		r.send(30)
		time.AfterFunc(time.Second, func() { r.change(func(s *Settings) { s.BatchSize, s.BatchTimeout = 20, time.Hour }) })
		_, took := r.drain()
		assert.Equal(t, []int{10, 20}, r.seen.sizes())
		assert.Equal(t, 2*time.Minute, took)
	})
}

func TestHoldDuringDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(time.Minute))
		r.send(30)
		synctest.Wait()
		require.NoError(t, r.Hold(t.Context()))
		_, took := r.drain()
		assert.Equal(t, time.Minute, took, "what is held is not drained")
		r.Resume()
		_, took = r.drain()
		assert.Equal(t, 2*time.Minute, took)
		assert.Equal(t, []int{10, 10, 10}, r.seen.sizes())
	})
}

func TestDrainEndsWhenTheQueueIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 10)
		r := start(t, takes(time.Minute), func(c *Config) { c.Ended = func(err error) { ended <- err } })
		r.send(30)
		synctest.Wait() // a handler has begun
		time.AfterFunc(time.Second, func() { _ = r.store.DeleteQueue(context.Background(), "q") })
		batches, took := r.drain()
		assert.Zero(t, batches)
		assert.Equal(t, time.Minute, took)
		require.ErrorIs(t, <-ended, store.ErrQueueNotFound)
		assert.Empty(t, ended)
	})
}

func TestDrainSitsAnOutageOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed)
		require.NoError(t, r.Hold(t.Context()))
		r.send(3)
		down := time.Now().Add(time.Minute)
		r.spy.onLease(func(ctx context.Context, queue string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
			if time.Now().Before(down) {
				return buf, store.ErrUnavailable
			}
			return r.store.Lease(ctx, queue, c, buf)
		})
		r.Resume()
		batches, _ := r.drain()
		assert.EqualValues(t, 1, batches, "nobody knows that nothing is ready while the store does not answer")
		assert.Equal(t, []int{3}, r.seen.sizes())
	})
}

func TestDrainOfAnEngineThatDoesNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, succeed)
		r.send(3)
		batches, _ := r.drain()
		assert.Zero(t, batches, "not started")
		r.Start(t.Context())
		require.NoError(t, r.Stop(t.Context()))
		batches, _ = r.drain()
		assert.Zero(t, batches, "stopped")
		assert.Empty(t, r.seen.batches())
	})
}
