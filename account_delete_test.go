package inproq_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// Also the first thing that a broker does, before it knows anything else.
func TestAccountDeletedQueueIsGone(t *testing.T) {
	for name, create := range map[string]func(*inproq.Broker) error{
		"created": func(b *inproq.Broker) error {
			_, err := b.CreateQueue(context.Background(), "q", inproq.QueueConfig{})
			return err
		},
		"declared": func(b *inproq.Broker) error {
			_, err := inproq.Declare[string](context.Background(), b, "q", inproq.QueueConfig{})
			return err
		},
		"described before": func(b *inproq.Broker) error {
			if _, err := b.CreateQueue(context.Background(), "q", inproq.QueueConfig{}); err != nil {
				return err
			}
			_, err := b.Queue(context.Background(), "q")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := accountBroker(t, inproq.Config{})
			require.NoError(t, create(b))
			require.NoError(t, b.DeleteQueue(t.Context(), "q"))
			for op, call := range accountOps {
				assert.ErrorIs(t, call(t.Context(), b, "q"), inproq.ErrQueueNotFound, op)
			}
			_, err := inproq.Bind[string](t.Context(), b, "q")
			assert.ErrorIs(t, err, inproq.ErrQueueNotFound)
			for info := range b.Queues(t.Context()) {
				t.Errorf("%q is still listed", info.Name)
			}
		})
	}
}

// One broker deletes what another has made on the same store.
func TestAccountDeletedByAnotherBroker(t *testing.T) {
	st := accountStore(t)
	a, b := accountBroker(t, inproq.Config{Store: st}), accountBroker(t, inproq.Config{Store: st})
	q := accountDeclare(t, a, "q", inproq.QueueConfig{})
	require.NoError(t, b.DeleteQueue(t.Context(), "q"))
	_, err := a.Queue(t.Context(), "q")
	require.ErrorIs(t, err, inproq.ErrQueueNotFound)
	_, err = q.Send(t.Context(), "x")
	require.ErrorIs(t, err, inproq.ErrQueueNotFound)

	_, err = b.CreateQueue(t.Context(), "q", inproq.QueueConfig{DeliveryDelay: time.Hour})
	require.NoError(t, err)
	accountSend(t, q, "into the new one")
	bl, err := b.Backlog(t.Context(), "q")
	require.NoError(t, err)
	assert.EqualValues(t, 1, bl.Delayed, "by its rules")

	require.NoError(t, b.DeleteQueue(t.Context(), "q"))
	_, err = b.CreateQueue(t.Context(), "q", inproq.QueueConfig{})
	require.NoError(t, err)
	accountSend(t, q, "of the deletion nothing was heard")
	assert.Equal(t, 1, accountCount(t, b, "q"))
}

// The handler that runs is not interrupted, and does not touch a queue that gets
// the same name meanwhile.
func TestAccountDeleteQueueDetachesConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		old := accountGate()
		var interrupted error
		old.then = func(ctx context.Context, _ *inproq.MessageBatch[string]) error {
			interrupted = ctx.Err()
			return assert.AnError
		}
		accountConsume(t, q, old.handle, inproq.ConsumerConfig{MaxBatchSize: 1, MaxConcurrency: 1})
		run := accountStart(b)
		accountSend(t, q, "running", "waiting")
		synctest.Wait()
		require.Equal(t, []string{"running"}, old.bodies())
		first, err := b.Queue(t.Context(), "q")
		require.NoError(t, err)

		require.NoError(t, b.DeleteQueue(t.Context(), "q"))
		_, err = q.Send(t.Context(), "x")
		require.ErrorIs(t, err, inproq.ErrQueueNotFound)
		_, err = q.SendBatch(t.Context(), inproq.Bodies("x"))
		require.ErrorIs(t, err, inproq.ErrQueueNotFound)
		_, err = q.Metrics(t.Context())
		require.ErrorIs(t, err, inproq.ErrQueueNotFound)

		second, err := b.CreateQueue(t.Context(), "q", inproq.QueueConfig{})
		require.NoError(t, err)
		assert.NotEqual(t, first.ID, second.ID)
		assert.Nil(t, second.Consumer)
		accountSend(t, q, "new")
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, []string{"running"}, old.bodies(), "the old consumer gets nothing of the new queue")

		var sink accountSink
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchSize: 1})
		synctest.Wait()
		assert.Equal(t, []string{"new"}, sink.bodies())
		close(old.open)
		synctest.Wait()
		assert.NoError(t, interrupted)
		accountSend(t, q, "newer")
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, []string{"new", "newer"}, sink.bodies(), "what ran on the old queue is not retried on the new one")
		require.NoError(t, run.stop())
	})
}

// A shutdown waits for the handler of a queue that was deleted.
func TestAccountDeleteQueueThenShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		gate := accountGate()
		accountConsume(t, q, gate.handle, inproq.ConsumerConfig{MaxBatchSize: 1})
		run := accountStart(b)
		accountSend(t, q, "running")
		synctest.Wait()
		require.NoError(t, b.DeleteQueue(t.Context(), "q"))
		run.cancel()
		time.Sleep(10 * time.Second)
		select {
		case err := <-run.result:
			t.Errorf("Run has returned %v while a handler runs", err)
		default:
		}
		close(gate.open)
		require.NoError(t, <-run.result)
	})
}

// The account plane needs no Run, and ends with the broker's own store.
func TestAccountBeforeDuringAndAfterRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		use := func() {
			for op, call := range accountCreators {
				require.NoError(t, call(t.Context(), b, "q-"+op), op)
				for op2, call := range accountOps {
					if op2 != "DeleteQueue" {
						require.NoError(t, call(t.Context(), b, "q-"+op), op2)
					}
				}
				require.NoError(t, b.DeleteQueue(t.Context(), "q-"+op))
			}
		}
		use()
		info, err := b.CreateQueue(t.Context(), "q", inproq.QueueConfig{})
		require.NoError(t, err)
		run := accountStart(b)
		synctest.Wait()
		use()
		require.NoError(t, run.stop())

		for op, call := range accountOps {
			assert.ErrorIs(t, call(t.Context(), b, "q"), inproq.ErrBrokerClosed, op)
		}
		for op, call := range accountCreators {
			assert.ErrorIs(t, call(t.Context(), b, "new"), inproq.ErrBrokerClosed, op)
		}
		_, err = b.QueueByID(t.Context(), info.ID)
		assert.ErrorIs(t, err, inproq.ErrBrokerClosed)
		for _, err := range b.Queues(t.Context()) {
			assert.ErrorIs(t, err, inproq.ErrBrokerClosed)
		}
	})
}

// A store that was passed in is still there after the broker: one may look into it,
// and change nothing any more.
func TestAccountAfterRunOnPassedStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{Store: accountStore(t)})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		accountSend(t, q, "kept")
		run := accountStart(b)
		require.NoError(t, run.stop())
		for op, call := range accountOps {
			switch op {
			case "Queue", "Metrics", "Backlog", "Peek", "PeekAfter", "Bind":
				assert.NoError(t, call(t.Context(), b, "q"), op)
			default:
				assert.ErrorIs(t, call(t.Context(), b, "q"), inproq.ErrBrokerClosed, op)
			}
		}
		for op, call := range accountCreators {
			assert.ErrorIs(t, call(t.Context(), b, "new"), inproq.ErrBrokerClosed, op)
		}
		assert.Equal(t, 1, accountCount(t, b, "q"))
	})
}
