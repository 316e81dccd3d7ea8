package inproq_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

func TestHandlerGoPostponesTheSettlement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}, consumeScript(func(_ context.Context, b *inproq.MessageBatch[string]) error {
			b.Go(func(context.Context) error {
				time.Sleep(10 * time.Second)
				return nil
			})
			return nil
		}), "a")
		consumePass(10*time.Second - 1)
		assert.EqualValues(t, 1, r.backlog("jobs"))
		assert.Equal(t, 1, r.stats().Running, "the invocation goes on")
		consumePass(1)
		assert.Zero(t, r.backlog("jobs"))
		assert.Zero(t, r.stats().Running)
	})
}

func TestHandlerGoCallsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{MaxBatchSize: 3, MaxBatchTimeout: inproq.NoWait}, consumeScript(func(_ context.Context, b *inproq.MessageBatch[string]) error {
			b.Go(func(context.Context) error {
				time.Sleep(time.Second) // the handler has returned an error by now
				b.Messages[0].Ack()
				b.Messages[1].Retry(inproq.Delay(time.Minute))
				return nil
			})
			return errConsume
		}), "acked", "retried", "left")
		consumePass(time.Hour)
		assert.Len(t, r.of("acked"), 1)
		assert.Equal(t, []time.Duration{0, time.Second + time.Minute}, r.times("retried"))
		assert.Equal(t, []time.Duration{0, time.Second}, r.times("left"))
		assert.Empty(t, r.log.find("call ignored"))
	})
}

func TestHandlerGoFailureFailsTheInvocation(t *testing.T) {
	for name, fn := range map[string]func(context.Context) error{
		"error":  func(context.Context) error { return errConsume },
		"panic":  func(context.Context) error { panic(errConsume) },
		"goexit": func(context.Context) error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := consumeRun(t, inproq.ConsumerConfig{MaxBatchSize: 2, MaxBatchTimeout: inproq.NoWait, RetryDelay: time.Minute},
					consumeScript(func(_ context.Context, b *inproq.MessageBatch[string]) error {
						b.Messages[0].Ack()
						b.Go(fn)
						b.Go(func(context.Context) error { return nil })
						return nil
					}), "acked", "left")
				consumePass(time.Hour)
				assert.Equal(t, []time.Duration{0}, r.times("acked"))
				assert.Equal(t, []time.Duration{0, time.Minute}, r.times("left"))
				assert.EqualValues(t, 1, r.stats().FailedBatches)
				reported := r.log.find("handler failed")
				require.Len(t, reported, 1)
				err, _ := reported[0].Attrs["err"].(error)
				if name != "goexit" {
					assert.ErrorIs(t, err, errConsume)
				}
				if name == "panic" {
					assert.Contains(t, reported[0].Attrs["stack"], "consume_go_test.go")
				}
			})
		})
	}
}

// The context lives as long as the functions: past the handler's return, up to
// MaxDuration.
func TestHandlerGoContextOutlivesTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var during, after atomic.Value
		var fromHandler context.Context
		r := consumeRun(t, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait, MaxDuration: 10 * time.Second},
			consumeScript(func(ctx context.Context, b *inproq.MessageBatch[string]) error {
				fromHandler = ctx
				b.Go(func(ctx context.Context) error {
					time.Sleep(9 * time.Second)
					during.Store([]error{ctx.Err(), fromHandler.Err()})
					<-ctx.Done()
					after.Store(context.Cause(ctx))
					return nil
				})
				return nil
			}), "a")
		consumePass(time.Minute)
		assert.Equal(t, []error{nil, nil}, during.Load())
		err, _ := after.Load().(error)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, []time.Duration{0, 10 * time.Second}, r.times("a"), "functions count against MaxDuration")
	})
}

func TestHandlerGoNested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}, consumeScript(func(_ context.Context, b *inproq.MessageBatch[string]) error {
			b.Go(func(context.Context) error {
				time.Sleep(time.Second)
				b.Go(func(context.Context) error {
					time.Sleep(time.Second)
					b.Messages[0].Retry(inproq.Delay(time.Minute))
					return nil
				})
				return nil
			})
			return nil
		}), "a")
		consumePass(time.Hour)
		assert.Equal(t, []time.Duration{0, 2*time.Second + time.Minute}, r.times("a"))
	})
}

func TestHandlerGoAfterTheSettlementDoesNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept atomic.Pointer[inproq.MessageBatch[string]]
		r := consumeRun(t, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}, func(_ context.Context, b *inproq.MessageBatch[string]) error {
			kept.Store(b)
			return nil
		}, "a")
		var ran atomic.Bool
		kept.Load().Go(func(context.Context) error {
			ran.Store(true)
			return nil
		})
		synctest.Wait()
		assert.False(t, ran.Load())
		warnings := r.log.find("the batch is settled")
		require.Len(t, warnings, 1)
		assert.Equal(t, "Go", warnings[0].Attrs["call"])
	})
}
