package inproq_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// accountObedient is a handler that runs until its context ends, acknowledges,
// and keeps why.
type accountObedient struct {
	mu    sync.Mutex
	cause error
	ended time.Time
}

func (h *accountObedient) handle(ctx context.Context, batch *inproq.MessageBatch[string]) error {
	<-ctx.Done()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cause, h.ended = context.Cause(ctx), time.Now()
	batch.AckAll()
	return nil
}

// A shutdown's grace is ShutdownTimeout, or less if Shutdown's context ends
// sooner. Then handlers' contexts end, and what they settle still counts.
func TestShutdownGrace(t *testing.T) {
	run := func(b *inproq.Broker, r *accountRun) error { return r.stop() }
	within := func(d time.Duration) func(*inproq.Broker, *accountRun) error {
		return func(b *inproq.Broker, r *accountRun) error {
			ctx, cancel := context.WithTimeout(context.Background(), d)
			defer cancel()
			err := b.Shutdown(ctx)
			if runErr := <-r.result; !errors.Is(runErr, err) {
				return assert.AnError
			}
			return err
		}
	}
	for name, tc := range map[string]struct {
		timeout time.Duration
		end     func(*inproq.Broker, *accountRun) error
		after   time.Duration
	}{
		"Run, default":                {0, run, 30 * time.Second},
		"Run, configured":             {10 * time.Second, run, 10 * time.Second},
		"Shutdown, context is sooner": {10 * time.Second, within(3 * time.Second), 3 * time.Second},
		"Shutdown, context is later":  {10 * time.Second, within(time.Minute), 10 * time.Second},
		"Shutdown, context has ended": {10 * time.Second, within(0), 0},
	} {
		for _, owned := range []string{"own store", "passed store"} {
			t.Run(name+"/"+owned, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := inproq.Config{ShutdownTimeout: tc.timeout}
					if owned != "own store" {
						cfg.Store = accountStore(t)
					}
					b := accountBroker(t, cfg)
					q := accountDeclare(t, b, "q", inproq.QueueConfig{})
					var h accountObedient
					accountConsume(t, q, h.handle, inproq.ConsumerConfig{MaxBatchSize: 1})
					r := accountStart(b)
					accountSend(t, q, "x")
					synctest.Wait()
					began := time.Now()
					require.ErrorIs(t, tc.end(b, r), inproq.ErrShutdownTimeout)
					h.mu.Lock()
					defer h.mu.Unlock()
					assert.ErrorIs(t, h.cause, inproq.ErrShutdownTimeout)
					assert.Equal(t, tc.after, h.ended.Sub(began))
					assert.Equal(t, tc.after, time.Since(began))
					assert.EqualValues(t, 1, b.Stats("q").Acked, "the settlement outlives the cancellation")
					if cfg.Store != nil {
						assert.Zero(t, accountCount(t, b, "q"))
					}
				})
			})
		}
	}
}

// A handler that ignores its context is not waited for much longer. Its batch is
// settled as failed, and what it does later has no effect.
func TestShutdownWithStuckHandler(t *testing.T) {
	for name, tc := range map[string]struct{ timeout, total time.Duration }{
		"long":  {10 * time.Second, 15 * time.Second},
		"short": {2 * time.Second, 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log accountLog
				st := accountStore(t)
				b := accountBroker(t, inproq.Config{Store: st, ShutdownTimeout: tc.timeout, Logger: log.logger()})
				q := accountDeclare(t, b, "q", inproq.QueueConfig{})
				gate := accountGate()
				var ran atomic.Bool
				gate.then = func(_ context.Context, batch *inproq.MessageBatch[string]) error {
					for _, m := range batch.Messages {
						m.Ack()
					}
					batch.Go(func(context.Context) error { ran.Store(true); return nil })
					return nil
				}
				accountConsume(t, q, gate.handle, inproq.ConsumerConfig{MaxBatchSize: 1})
				run := accountStart(b)
				accountSend(t, q, "x")
				synctest.Wait()
				began := time.Now()
				require.ErrorIs(t, run.stop(), inproq.ErrShutdownTimeout)
				assert.Equal(t, tc.total, time.Since(began))
				s := b.Stats("q")
				assert.EqualValues(t, 1, s.FailedBatches)
				assert.EqualValues(t, 1, s.Retried)
				assert.Contains(t, log.String(), "handlers have not returned")

				close(gate.open)
				synctest.Wait()
				found, err := b.Peek(t.Context(), "q", 1)
				require.NoError(t, err)
				require.Len(t, found, 1, "the late Ack does nothing")
				assert.Equal(t, 1, found[0].Attempts)
				assert.False(t, ran.Load(), "nor does Go")
				assert.Equal(t, 1, s.Running)
				s.Running = 0
				assert.Equal(t, s, b.Stats("q"))
				assert.Len(t, gate.bodies(), 1, "nothing is delivered any more")
			})
		})
	}
}

func TestShutdownWithoutRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log accountLog
		b := accountBroker(t, inproq.Config{Logger: log.logger()})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		var sink accountSink
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{})
		accountSend(t, q, "x")
		require.NoError(t, b.Shutdown(t.Context()))
		require.NoError(t, b.Shutdown(t.Context()), "it stays closed")
		assert.Empty(t, sink.bodies(), "it delivers in Run only")
		assert.Contains(t, log.String(), "messages=1")
		_, err := q.Send(t.Context(), "y")
		assert.ErrorIs(t, err, inproq.ErrBrokerClosed)
	})
}

// Shutdown may be called from several places; all wait, and get the same.
func TestShutdownConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{ShutdownTimeout: 10 * time.Second})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		var h accountObedient
		accountConsume(t, q, h.handle, inproq.ConsumerConfig{MaxBatchSize: 1})
		run := accountStart(b)
		accountSend(t, q, "x")
		synctest.Wait()
		began := time.Now()
		var calls sync.WaitGroup
		for range 5 {
			calls.Go(func() {
				assert.ErrorIs(t, b.Shutdown(context.Background()), inproq.ErrShutdownTimeout)
				assert.Equal(t, 10*time.Second, time.Since(began))
			})
		}
		calls.Wait()
		assert.ErrorIs(t, <-run.result, inproq.ErrShutdownTimeout)
		assert.ErrorIs(t, b.Shutdown(t.Context()), inproq.ErrShutdownTimeout, "later too")
	})
}

// Handlers that are in time leave no error.
func TestShutdownWaitsForHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		slow := accountSink{then: func(ctx context.Context, batch *inproq.MessageBatch[string]) error {
			batch.Go(func(ctx context.Context) error {
				time.Sleep(29 * time.Second)
				return ctx.Err()
			})
			return nil
		}}
		accountConsume(t, q, slow.handle, inproq.ConsumerConfig{MaxBatchSize: 1})
		run := accountStart(b)
		accountSend(t, q, "x")
		synctest.Wait()
		began := time.Now()
		require.NoError(t, b.Shutdown(t.Context()))
		require.NoError(t, <-run.result)
		assert.Equal(t, 29*time.Second, time.Since(began))
		s := b.Stats("q")
		assert.EqualValues(t, 1, s.Acked)
		assert.Zero(t, s.FailedBatches)
	})
}
