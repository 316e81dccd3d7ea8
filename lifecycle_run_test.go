package inproq_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

// Before Run everything may be wired and sent, and no goroutine is needed.
func TestLifecycleBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := accountGoroutines()
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		var sink accountSink
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		accountSend(t, q, "early")
		time.Sleep(time.Hour)
		assert.Equal(t, before, accountGoroutines())
		assert.Empty(t, sink.bodies())
		info, err := b.Queue(t.Context(), "q")
		require.NoError(t, err)
		assert.Nil(t, info.Consumer, "the record is written by Run")

		run := accountStart(b)
		synctest.Wait()
		assert.Equal(t, []string{"early"}, sink.bodies())
		info, err = b.Queue(t.Context(), "q")
		require.NoError(t, err)
		assert.NotNil(t, info.Consumer)
		require.NoError(t, run.stop())
	})
}

func TestLifecycleConsumeDuringRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		run := accountStart(b)
		synctest.Wait()
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		accountSend(t, q, "x")
		var sink accountSink
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		synctest.Wait()
		assert.Equal(t, []string{"x"}, sink.bodies())
		_, err := q.Consume(sink.handle, inproq.ConsumerConfig{})
		assert.ErrorIs(t, err, inproq.ErrConsumerExists, "a second one in this process")
		require.NoError(t, run.stop())
	})
}

// A Run whose context has ended already delivers what is ready all the same.
func TestRunWithEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		var sink accountSink
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{})
		accountSend(t, q, "x")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, b.Run(ctx))
		assert.Equal(t, []string{"x"}, sink.bodies())
	})
}

func TestRunHappensOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		run := accountStart(b)
		synctest.Wait()
		assert.ErrorIs(t, b.Run(t.Context()), inproq.ErrBrokerClosed, "while it runs")
		select {
		case err := <-run.result:
			t.Errorf("the second Run has ended the first: %v", err)
		default:
		}
		require.NoError(t, run.stop())
		assert.ErrorIs(t, b.Run(t.Context()), inproq.ErrBrokerClosed, "and after")

		other := accountBroker(t, inproq.Config{})
		require.NoError(t, other.Shutdown(t.Context()))
		assert.ErrorIs(t, other.Run(t.Context()), inproq.ErrBrokerClosed, "after Shutdown")
	})
}

// Handlers' contexts have the values of Run's, and do not end with it.
func TestRunContextOfHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		gate := accountGate()
		var mu sync.Mutex
		var value any
		var ended error
		gate.then = func(ctx context.Context, _ *inproq.MessageBatch[string]) error {
			mu.Lock()
			defer mu.Unlock()
			value, ended = ctx.Value(key{}), ctx.Err()
			return nil
		}
		accountConsume(t, q, gate.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		run := accountStartWith(context.WithValue(t.Context(), key{}, "v"), b)
		accountSend(t, q, "x")
		synctest.Wait()
		run.cancel()
		synctest.Wait()
		close(gate.open)
		require.NoError(t, <-run.result)
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, "v", value)
		assert.NoError(t, ended)
	})
}

// What keeps a consumer from starting ends Run, and the consumers that did start.
func TestRunWithConsumerThatCannotStart(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, st store.Store, b *inproq.Broker)
		want    error
	}{
		"queue deleted by another": {func(t *testing.T, st store.Store, _ *inproq.Broker) {
			require.NoError(t, st.DeleteQueue(t.Context(), "q"))
		}, inproq.ErrQueueNotFound},
		"another's record": {func(t *testing.T, st store.Store, _ *inproq.Broker) {
			other := accountBroker(t, inproq.Config{Store: st})
			accountConsume(t, accountDeclare(t, other, "q", inproq.QueueConfig{}), new(accountSink).handle, inproq.ConsumerConfig{Name: "another"})
			require.NoError(t, accountStart(other).stop())
		}, inproq.ErrConsumerExists},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := accountStore(t)
				b := accountBroker(t, inproq.Config{Store: st})
				q, fine := accountDeclare(t, b, "q", inproq.QueueConfig{}), accountDeclare(t, b, "fine", inproq.QueueConfig{})
				accountConsume(t, q, new(accountSink).handle, inproq.ConsumerConfig{})
				accountConsume(t, fine, new(accountSink).handle, inproq.ConsumerConfig{})
				tc.prepare(t, st, b)

				err := b.Run(t.Context())
				require.ErrorIs(t, err, tc.want)
				assert.ErrorContains(t, err, `"q"`)
				_, err = fine.Send(t.Context(), "x")
				assert.ErrorIs(t, err, inproq.ErrBrokerClosed)
				assert.NotErrorIs(t, b.Shutdown(t.Context()), inproq.ErrShutdownTimeout)
			})
		})
	}
}

// A queue is deleted with its consumer, which then is not started, and may be
// declared and consumed anew.
func TestRunAfterQueueWasDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		var before, after accountSink
		accountConsume(t, accountDeclare(t, b, "q", inproq.QueueConfig{}), before.handle, inproq.ConsumerConfig{})
		require.NoError(t, b.DeleteQueue(t.Context(), "q"))
		run := accountStart(b)
		synctest.Wait()
		q, err := inproq.Declare[int](t.Context(), b, "q", inproq.QueueConfig{})
		require.NoError(t, err, "it may have another type of bodies")
		require.NoError(t, b.DeleteQueue(t.Context(), "q"))
		_, err = q.Send(t.Context(), 1)
		require.ErrorIs(t, err, inproq.ErrQueueNotFound)
		again := accountDeclare(t, b, "q", inproq.QueueConfig{})
		accountConsume(t, again, after.handle, inproq.ConsumerConfig{})
		accountSend(t, again, "m")
		require.NoError(t, run.stop())
		assert.Empty(t, before.bodies())
		assert.Equal(t, []string{"m"}, after.bodies())
	})
}

// A queue may be deleted while its consumer is being started.
func TestRunWhileQueueIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *inproq.Broker
		changes := 0
		b = accountBroker(t, inproq.Config{Store: accountHook{Store: accountStore(t), after: func(q store.Queue) {
			if changes++; changes == 2 { // after the queue the consumer
				assert.NoError(t, b.DeleteQueue(context.Background(), q.Name))
			}
		}}})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		accountConsume(t, q, new(accountSink).handle, inproq.ConsumerConfig{})
		run := accountStart(b)
		synctest.Wait()
		_, err := b.Queue(t.Context(), "q")
		require.ErrorIs(t, err, inproq.ErrQueueNotFound)
		require.NoError(t, run.stop(), "the consumer went with it")
	})
}
