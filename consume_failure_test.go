package inproq_test

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// However an invocation fails: what it did not acknowledge is delivered again, it
// is counted and logged once, and the consumer goes on with the next message.
func TestHandlerFailureRetriesTheBatch(t *testing.T) {
	for name, fail := range consumeFailures {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := consumeRun(t, inproq.ConsumerConfig{
					MaxBatchSize: 2, MaxBatchTimeout: inproq.NoWait, RetryDelay: time.Hour, MaxDuration: 10 * time.Second,
				}, consumeScript(func(context.Context, *inproq.MessageBatch[string]) error { return fail() }), "a", "b")
				consumePass(time.Minute)
				r.send("c")
				synctest.Wait()
				assert.Len(t, r.of("c"), 1)
				assert.Zero(t, r.stats().Running)
				assert.EqualValues(t, 1, r.stats().FailedBatches)
				assert.EqualValues(t, 2, r.stats().Retried)

				lines := r.log.find("handler failed")
				require.Len(t, lines, 1)
				assert.Equal(t, slog.LevelError, lines[0].Level)
				assert.Equal(t, "jobs", lines[0].Attrs["queue"])
				assert.EqualValues(t, 2, lines[0].Attrs["messages"])

				consumePass(2 * time.Hour)
				assert.Equal(t, []int{1, 2}, consumeAttempts(r.of("a")))
				assert.Equal(t, []int{1, 2}, consumeAttempts(r.of("b")))
				assert.Zero(t, r.backlog("jobs"))
			})
		})
	}
}

// The log has what a handler returned or panicked with, for a panic with its stack.
func TestHandlerFailureIsLogged(t *testing.T) {
	for name, c := range map[string]struct {
		h     inproq.Handler[string]
		text  string
		stack bool
	}{
		"error":       {consumeFail, errConsume.Error(), false},
		"panic":       {func(context.Context, *inproq.MessageBatch[string]) error { panic("jammed") }, "handler panicked: jammed", true},
		"panic error": {func(context.Context, *inproq.MessageBatch[string]) error { panic(errConsume) }, errConsume.Error(), true},
		"nil map": {func(context.Context, *inproq.MessageBatch[string]) error {
			return assign(nil)
		}, "assignment to entry in nil map", true},
		"goexit": {func(context.Context, *inproq.MessageBatch[string]) error { runtime.Goexit(); return nil }, "runtime.Goexit", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := consumeRun(t, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}, consumeScript(c.h), "a")
				lines := r.log.find("handler failed")
				require.Len(t, lines, 1)
				err, _ := lines[0].Attrs["err"].(error)
				require.ErrorContains(t, err, c.text)
				if c.stack {
					assert.Contains(t, lines[0].Attrs["stack"], "consume_failure_test.go")
				} else {
					assert.NotContains(t, lines[0].Attrs, "stack")
				}
				if name == "panic error" {
					assert.ErrorIs(t, err, errConsume)
				}
			})
		})
	}
}

// After MaxDuration the context ends with a cause and the invocation has failed,
// even if the handler returns nil. Calls count until it returns.
func TestHandlerMaxDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int64
		var cause, ctxErr atomic.Value
		began := time.Now()
		r := consumeRun(t, inproq.ConsumerConfig{
			MaxBatchSize: 4, MaxBatchTimeout: inproq.NoWait, MaxDuration: 10 * time.Second,
		}, consumeScript(func(ctx context.Context, b *inproq.MessageBatch[string]) error {
			b.Messages[0].Ack()
			<-ctx.Done()
			ended.Store(int64(time.Since(began)))
			ctxErr.Store(ctx.Err())
			cause.Store(context.Cause(ctx))
			time.Sleep(5 * time.Second)
			b.Messages[1].Ack()
			b.Messages[2].Retry(inproq.Delay(time.Minute))
			return nil
		}), "early", "late", "retried", "left")
		consumePass(time.Hour)
		assert.EqualValues(t, 10*time.Second, ended.Load())
		assert.Equal(t, context.DeadlineExceeded, ctxErr.Load())
		err, _ := cause.Load().(error)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "10s")

		assert.Equal(t, []time.Duration{0}, r.times("early"))
		assert.Equal(t, []time.Duration{0}, r.times("late"))
		assert.Equal(t, []time.Duration{0, 15*time.Second + time.Minute}, r.times("retried"))
		assert.Equal(t, []time.Duration{0, 15 * time.Second}, r.times("left"))
		assert.EqualValues(t, 1, r.stats().FailedBatches)
	})
}

// A handler that never looks at its context is late all the same, and one that
// only asks for Err or Deadline sees the end too.
func TestHandlerMaxDurationUnwatched(t *testing.T) {
	for name, c := range map[string]struct {
		sleep  time.Duration
		failed uint64
	}{
		"in time": {10*time.Second - 1, 0},
		"late":    {10 * time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen atomic.Value
				r := consumeRun(t, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait, MaxDuration: 10 * time.Second},
					consumeScript(func(ctx context.Context, _ *inproq.MessageBatch[string]) error {
						deadline, ok := ctx.Deadline()
						left := time.Until(deadline)
						time.Sleep(c.sleep)
						seen.Store([]any{ok, left, ctx.Err() != nil})
						return nil
					}), "a")
				consumePass(time.Minute)
				assert.Equal(t, []any{true, 10 * time.Second, c.failed == 1}, seen.Load())
				assert.Equal(t, c.failed, r.stats().FailedBatches)
				assert.Len(t, r.all(), 1+int(c.failed))
			})
		})
	}
}

// A handler that does not return at all keeps its place and not its messages:
// after ShutdownTimeout more they are delivered again, and its calls do nothing.
func TestHandlerThatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{
			MaxBatchTimeout: inproq.NoWait, MaxDuration: 10 * time.Second, MaxConcurrency: 1,
		}, consumeScript(func(_ context.Context, b *inproq.MessageBatch[string]) error {
			time.Sleep(time.Minute)
			b.Messages[0].Ack()
			return nil
		}), "a")
		consumePass(40*time.Second - 1) // MaxDuration and 30 s
		assert.Zero(t, r.stats().FailedBatches)
		consumePass(1)
		assert.EqualValues(t, 1, r.stats().FailedBatches)
		assert.Equal(t, 1, r.stats().Running)
		assert.Len(t, r.all(), 1, "no other handler may run")
		consumePass(time.Hour)
		assert.Equal(t, []time.Duration{0, time.Minute}, r.times("a"))
		assert.Len(t, r.log.find("the batch is settled"), 1)
		assert.Zero(t, r.backlog("jobs"))
	})
}

// A message is with its handler as long as that may run: it is not delivered a
// second time meanwhile, although other handlers are free.
func TestHandlerKeepsItsMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{MaxBatchSize: 1, MaxBatchTimeout: inproq.NoWait},
			func(_ context.Context, b *inproq.MessageBatch[string]) error {
				if b.Messages[0].Body == "short" {
					time.Sleep(time.Second)
					return nil
				}
				time.Sleep(15*time.Minute - 1) // the default MaxDuration
				return nil
			}, slices.Repeat([]string{"short"}, 50)...) // a load that lets the number of handlers grow
		consumePass(time.Minute)
		require.Greater(t, r.stats().Limit, 1)
		r.send("long")
		consumePass(time.Hour)
		assert.Len(t, r.of("long"), 1)
		assert.Zero(t, r.backlog("jobs"))
	})
}

// The context ends with the invocation, for what the handler has left behind.
func TestHandlerContextEndsWithTheInvocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int64
		began := time.Now()
		consumeRun(t, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait},
			func(ctx context.Context, _ *inproq.MessageBatch[string]) error {
				context.AfterFunc(ctx, func() { ended.Store(int64(time.Since(began))) })
				time.Sleep(time.Second)
				return nil
			}, "a")
		consumePass(time.Hour)
		assert.EqualValues(t, time.Second, ended.Load())
	})
}

func TestConsumeWithoutHandler(t *testing.T) {
	b := inproq.Must(inproq.NewBroker(inproq.Config{}))
	q, err := inproq.Declare[string](t.Context(), b, "jobs", inproq.QueueConfig{})
	require.NoError(t, err)
	for name, h := range map[string]inproq.Handler[string]{"nil": nil, "Each(nil)": inproq.Each[string](nil)} {
		_, err = q.Consume(h, inproq.ConsumerConfig{MaxBatchSize: 101})
		require.ErrorIs(t, err, inproq.ErrInvalidConfig, name)
		assert.ErrorContains(t, err, "handler is nil", name)
		assert.ErrorContains(t, err, "MaxBatchSize is 101", "with every other violation")
	}
	_, err = q.Consume(consumeFail, inproq.ConsumerConfig{})
	require.NoError(t, err, "a refused handler takes no place")
	require.NoError(t, b.Shutdown(t.Context()))
}

func TestConsumeTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newConsumeRig(t, inproq.ConsumerConfig{}, nil)
		_, err := r.queue.Consume(consumeFail, inproq.ConsumerConfig{})
		require.ErrorIs(t, err, inproq.ErrConsumerExists, "before the broker runs")

		other, err := inproq.Declare[string](t.Context(), r.broker, "other", inproq.QueueConfig{})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.broker.Run(ctx) }()
		synctest.Wait()
		_, err = r.queue.Consume(consumeFail, inproq.ConsumerConfig{Name: "another"})
		require.ErrorIs(t, err, inproq.ErrConsumerExists, "while it runs")

		first, err := other.Consume(consumeFail, inproq.ConsumerConfig{})
		require.NoError(t, err, "another queue is another matter")
		require.NoError(t, first.Stop(t.Context()))
		second := &consumeJournal{began: r.began}
		_, err = other.Consume(second.wrap(nil), inproq.ConsumerConfig{Name: "another", MaxBatchTimeout: inproq.NoWait})
		require.NoError(t, err, "a stopped consumer has left")
		_, err = other.Send(t.Context(), "a")
		require.NoError(t, err)
		synctest.Wait()
		assert.Len(t, second.all(), 1)
		cancel()
		require.NoError(t, <-done)
		_, err = other.Consume(consumeFail, inproq.ConsumerConfig{})
		assert.ErrorIs(t, err, inproq.ErrBrokerClosed)
	})
}

// assign panics for a nil map.
func assign(m map[string]int) error {
	m["a"] = 1
	return nil
}
