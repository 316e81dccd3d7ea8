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
	"github.com/inproq/inproq/queuetest"
	"github.com/inproq/inproq/store/memory"
)

func TestSendWorksBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sendBroker(t, inproq.Config{})
		q := sendQueue[string](t, b, "q", inproq.QueueConfig{})
		_, err := q.Send(t.Context(), "early")
		require.NoError(t, err)
		_, err = q.SendBatch(t.Context(), inproq.Bodies("too", "as well"))
		require.NoError(t, err)
		var sink sendSink[string]
		_, err = q.Consume(sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		require.NoError(t, err)
		queuetest.Start(t, b)
		synctest.Wait()
		assert.Equal(t, []string{"early", "too", "as well"}, sink.bodies())
	})
}

// sendWhileDraining shuts a broker down whose handler is held back, and sends
// until that has returned, and after it.
func sendWhileDraining(t *testing.T, cfg inproq.Config) {
	b := sendBroker(t, cfg)
	q, other := sendQueue[string](t, b, "q", inproq.QueueConfig{}), sendQueue[string](t, b, "other", inproq.QueueConfig{})
	release, fromHandler := make(chan struct{}), make(chan error, 1)
	_, err := q.Consume(func(ctx context.Context, batch *inproq.MessageBatch[string]) error {
		if batch.Messages[0].Body == "first" {
			<-release
			_, err := other.Send(ctx, "from the handler")
			fromHandler <- err
		}
		return nil
	}, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { assert.NoError(t, b.Run(ctx)) })
	_, err = q.Send(ctx, "first")
	require.NoError(t, err)
	synctest.Wait()

	stop()
	synctest.Wait() // Run waits for the handler
	_, err = q.Send(t.Context(), "a")
	require.NoError(t, err)
	_, err = q.SendBatch(t.Context(), inproq.Bodies("b"))
	require.NoError(t, err)
	close(release)
	run.Wait()
	require.NoError(t, <-fromHandler)

	for _, q := range []*inproq.Queue[string]{q, other} {
		_, err = q.Send(t.Context(), "late")
		sendReject(t, err, inproq.ErrBrokerClosed, 15000)
		_, err = q.SendBatch(t.Context(), inproq.Bodies("late"))
		sendReject(t, err, inproq.ErrBrokerClosed, 15000)
	}
}

func TestSendWorksUntilTheLastHandlerHasReturned(t *testing.T) {
	t.Run("own store", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { sendWhileDraining(t, inproq.Config{}) })
	})
	t.Run("passed in", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			st := memory.New()
			sendWhileDraining(t, inproq.Config{Store: st})
			left, err := st.Stats(t.Context(), "q")
			require.NoError(t, err)
			assert.EqualValues(t, 2, left.Messages, "what was accepted is kept, and the late ones are not there")
		})
	})
}

func TestSendAfterShutdownOfABrokerThatNeverRan(t *testing.T) {
	b := sendBroker(t, inproq.Config{})
	q := sendQueue[string](t, b, "q", inproq.QueueConfig{})
	require.NoError(t, b.Shutdown(t.Context()))
	_, err := q.Send(t.Context(), "late")
	sendReject(t, err, inproq.ErrBrokerClosed, 15000)
}

// Local and remote stores are sent to in different ways; what holds for one has
// to hold for the other.
func sendOnBoth(t *testing.T, test func(t *testing.T, cfg inproq.Config)) {
	t.Run("local", func(t *testing.T) { test(t, inproq.Config{Store: memory.New()}) })
	t.Run("remote", func(t *testing.T) { test(t, inproq.Config{Store: newSendStore()}) })
}

func TestSendEndsWithItsContext(t *testing.T) {
	sendOnBoth(t, func(t *testing.T, cfg inproq.Config) {
		b := sendBroker(t, cfg)
		q := sendQueue[string](t, b, "q", inproq.QueueConfig{})
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		expired, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
		for range 2 { // the first send of a queue goes another way
			res, err := q.Send(cancelled, "a")
			require.ErrorIs(t, err, context.Canceled)
			assert.Zero(t, res)
			_, err = q.SendBatch(expired, inproq.Bodies("a"))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			_, err = q.Send(t.Context(), "b")
			require.NoError(t, err)
		}
		assert.Equal(t, 2, sendBacklog(t, b, "q"))
		assert.EqualValues(t, 2, b.Stats("q").Sent)
	})
}

func TestSendToADeletedQueue(t *testing.T) {
	sendOnBoth(t, func(t *testing.T, cfg inproq.Config) {
		b, other := sendBroker(t, cfg), sendBroker(t, cfg)
		for _, deleting := range []*inproq.Broker{b, other} { // other's deletion is news to b
			q := sendQueue[string](t, b, "q", inproq.QueueConfig{})
			_, err := q.Send(t.Context(), "a")
			require.NoError(t, err)
			require.NoError(t, deleting.DeleteQueue(t.Context(), "q"))
			for range 2 {
				_, err = q.Send(t.Context(), "b")
				sendReject(t, err, inproq.ErrQueueNotFound, 10104, `"q"`)
				_, err = q.SendBatch(t.Context(), inproq.Bodies("b"))
				sendReject(t, err, inproq.ErrQueueNotFound, 10104, `"q"`)
			}
			_, err = q.Metrics(t.Context())
			require.ErrorIs(t, err, inproq.ErrQueueNotFound)
		}
		assert.EqualValues(t, 2, b.Stats("q").Sent)
	})
}

func TestSendToAQueueCreatedAnew(t *testing.T) {
	sendOnBoth(t, func(t *testing.T, cfg inproq.Config) {
		b, other := sendBroker(t, cfg), sendBroker(t, cfg)
		q := sendQueue[string](t, b, "q", inproq.QueueConfig{})
		for i, by := range []*inproq.Broker{b, other} {
			_, err := q.Send(t.Context(), "old")
			require.NoError(t, err)
			require.NoError(t, by.DeleteQueue(t.Context(), "q"))
			_, err = by.CreateQueue(t.Context(), "q", inproq.QueueConfig{})
			require.NoError(t, err)
			for n := range 2 {
				res, err := q.Send(t.Context(), "new")
				require.NoError(t, err)
				assert.EqualValues(t, n, res.Metrics.BacklogCount, "round %d: nothing is left of the old one", i)
			}
		}
		assert.Equal(t, 2, sendBacklog(t, b, "q"))
	})
}
