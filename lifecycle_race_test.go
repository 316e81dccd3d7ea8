package inproq_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

// While a consumer stops, the queue still has it: another one would lose its
// record with the first.
func TestStopKeepsOthersOutUntilItIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		gate, next := accountGate(), new(accountSink)
		c := accountConsume(t, q, gate.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		run := accountStart(b)
		accountSend(t, q, "a")
		synctest.Wait()

		stopped := make(chan error, 2)
		for range 2 { // both wait for the handler
			go func() { stopped <- c.Stop(t.Context()) }()
		}
		synctest.Wait()
		_, err := q.Consume(next.handle, inproq.ConsumerConfig{})
		require.ErrorIs(t, err, inproq.ErrConsumerExists)
		assert.Empty(t, stopped)
		close(gate.open)
		require.NoError(t, <-stopped)
		require.NoError(t, <-stopped)

		accountConsume(t, q, next.handle, inproq.ConsumerConfig{})
		accountSend(t, q, "b")
		require.NoError(t, c.Stop(t.Context()), "once more")
		require.NoError(t, run.stop())
		assert.Equal(t, []string{"b"}, next.bodies())
	})
}

// A consumer whose queue was deleted still has a handler to wait for.
func TestStopAfterItsQueueWasDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		gate := accountGate()
		c := accountConsume(t, q, gate.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		run := accountStart(b)
		accountSend(t, q, "a")
		synctest.Wait()
		require.NoError(t, b.DeleteQueue(t.Context(), "q"))
		stopped := make(chan error, 1)
		go func() { stopped <- c.Stop(t.Context()) }()
		synctest.Wait()
		assert.Empty(t, stopped)
		close(gate.open)
		require.NoError(t, <-stopped)
		require.NoError(t, run.stop())
	})
}

// A consumer that is stopped while Run starts it takes nobody else down.
func TestStopWhileRunStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *inproq.Consumer
		stopped := make(chan error, 1)
		b := accountBroker(t, inproq.Config{Store: accountHook{Store: accountStore(t), before: func(q store.Queue) {
			if c != nil && q.Name == "q" && len(stopped) == 0 {
				stopping := c
				c = nil
				stopped <- stopping.Stop(context.Background())
			}
		}}})
		q, fine := accountDeclare(t, b, "q", inproq.QueueConfig{}), accountDeclare(t, b, "fine", inproq.QueueConfig{})
		var sink accountSink
		accountConsume(t, fine, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		c = accountConsume(t, q, new(accountSink).handle, inproq.ConsumerConfig{})
		run := accountStart(b)
		require.NoError(t, <-stopped)
		synctest.Wait()
		accountSend(t, fine, "m")
		synctest.Wait()
		assert.Equal(t, []string{"m"}, sink.bodies())
		info, err := b.Queue(t.Context(), "q")
		require.NoError(t, err)
		assert.Nil(t, info.Consumer)
		require.NoError(t, run.stop())
	})
}

// Draining does not wait for the messages of a queue that is paused, and delivers
// those of the others all the same, however often it has to look.
func TestDrainBesideAPausedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		paused, first := accountDeclare(t, b, "paused", inproq.QueueConfig{}), accountDeclare(t, b, "first", inproq.QueueConfig{})
		second := accountDeclare(t, b, "second", inproq.QueueConfig{})
		var last accountSink
		accountConsume(t, paused, new(accountSink).handle, inproq.ConsumerConfig{})
		accountConsume(t, second, last.handle, inproq.ConsumerConfig{})
		accountConsume(t, first, func(ctx context.Context, _ *inproq.MessageBatch[string]) error {
			time.Sleep(time.Second)
			_, err := second.Send(ctx, "sent while it drains")
			return err
		}, inproq.ConsumerConfig{})
		require.NoError(t, b.PauseDelivery(t.Context(), "paused"))
		accountSend(t, paused, "kept")
		accountSend(t, first, "m")
		run := accountStart(b)
		begun := time.Now()
		require.NoError(t, run.stop())
		assert.Equal(t, []string{"sent while it drains"}, last.bodies())
		assert.Less(t, time.Since(begun), 2*time.Second)
	})
}

// While a consumer waits for its handler, its queue may be deleted, declared and
// consumed anew. The new consumer has a record of its own.
func TestStopLeavesTheRecordOfASuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		gate, next := accountGate(), new(accountSink)
		c := accountConsume(t, q, gate.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		run := accountStart(b)
		accountSend(t, q, "a")
		synctest.Wait()
		stopped := make(chan error, 1)
		go func() { stopped <- c.Stop(t.Context()) }()
		synctest.Wait()
		require.NoError(t, b.DeleteQueue(t.Context(), "q"))
		q2 := accountDeclare(t, b, "q", inproq.QueueConfig{})
		accountConsume(t, q2, next.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		synctest.Wait()
		close(gate.open)
		require.NoError(t, <-stopped)
		synctest.Wait()
		accountSend(t, q2, "b")
		time.Sleep(time.Hour)
		assert.Equal(t, []string{"b"}, next.bodies())
		require.NoError(t, run.stop())
	})
}

// A consumer may be stopped, and another one come, while Run starts the first.
func TestStopAndConsumeWhileRunStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *inproq.Consumer
		var q *inproq.Queue[string]
		next := new(accountSink)
		var consumeErr error
		b := accountBroker(t, inproq.Config{Store: accountHook{Store: accountStore(t), before: func(rec store.Queue) {
			if c != nil {
				stopping := c
				c = nil
				consumeErr = stopping.Stop(context.Background())
				_, err := q.Consume(next.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
				if err != nil {
					consumeErr = err
				}
			}
		}}})
		q = accountDeclare(t, b, "q", inproq.QueueConfig{})
		c = accountConsume(t, q, new(accountSink).handle, inproq.ConsumerConfig{})
		run := accountStart(b)
		synctest.Wait()
		require.NoError(t, consumeErr)
		accountSend(t, q, "m")
		time.Sleep(time.Hour)
		assert.Equal(t, []string{"m"}, next.bodies())
		require.NoError(t, run.stop())
	})
}
