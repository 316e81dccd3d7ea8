package inproq_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

func pullHandler(context.Context, *inproq.MessageBatch[string]) error { return nil }

// A queue has one consumer, in whichever order two of different kinds come.
func TestPullOrPushNotBoth(t *testing.T) {
	consume := func(q *inproq.Queue[string]) error {
		_, err := q.Consume(pullHandler, inproq.ConsumerConfig{})
		return err
	}
	pulls := func(q *inproq.Queue[string]) error {
		_, err := q.PullConsumer(inproq.PullConfig{})
		return err
	}
	for name, order := range map[string][2]func(*inproq.Queue[string]) error{
		"push then pull": {consume, pulls},
		"pull then push": {pulls, consume},
	} {
		for state, runs := range map[string]bool{"before Run": false, "while it runs": true} {
			t.Run(name+" "+state, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newPullRig(t, inproq.Config{})
					if runs {
						queuetest.Start(t, r.broker)
						synctest.Wait()
					}
					require.NoError(t, order[0](r.queue))
					sendReject(t, order[1](r.queue), inproq.ErrConsumerExists, 11004, `"jobs"`)
				})
			})
		}
		t.Run(name+" in two brokers", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := accountStore(t)
				first, second := newPullRig(t, inproq.Config{Store: st}), newPullRig(t, inproq.Config{Store: st})
				queuetest.Start(t, first.broker)
				queuetest.Start(t, second.broker)
				synctest.Wait()
				require.NoError(t, order[0](first.queue))
				sendReject(t, order[1](second.queue), inproq.ErrConsumerExists, 11004, `"jobs"`)
			})
		})
	}
}

// A handler of a broker that does not run yet has no record. Then Run finds out.
func TestPullConsumerBeforeTheHandlersRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		first, second := newPullRig(t, inproq.Config{Store: st}), newPullRig(t, inproq.Config{Store: st})
		accountConsume(t, first.queue, pullHandler, inproq.ConsumerConfig{})
		c := second.consumer(inproq.PullConfig{})
		sendReject(t, first.broker.Run(t.Context()), inproq.ErrConsumerExists, 11004, "a pull consumer")
		pullNone(t, c, "it is still the consumer")
	})
}

// Calls and processes that pull are instances of one consumer.
func TestPullConsumersOfOneKindAttach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		first, second := newPullRig(t, inproq.Config{Store: st}), newPullRig(t, inproq.Config{Store: st})
		a := first.consumer(inproq.PullConfig{MaxBatchSize: 1})
		before, err := first.broker.Queue(t.Context(), "jobs")
		require.NoError(t, err)
		b, c := first.consumer(inproq.PullConfig{MaxBatchSize: 1}), second.consumer(inproq.PullConfig{MaxBatchSize: 1})
		after, err := second.broker.Queue(t.Context(), "jobs")
		require.NoError(t, err)
		assert.Equal(t, before, after, "the same consumer")
		first.send("a", "b", "c")
		for i, c := range []*inproq.PullConsumer[string]{a, b, c} {
			assert.Equal(t, []string{[]string{"a", "b", "c"}[i]}, pullBodies(pullNow(t, c)))
		}
	})
}

// Code changes only what it declares differently from the last time.
func TestPullConsumerDeclaresLikeDeclare(t *testing.T) {
	r := newPullRig(t, inproq.Config{})
	r.consumer(inproq.PullConfig{MaxBatchSize: 7})
	_, err := r.broker.UpdateConsumer(t.Context(), "jobs", inproq.ConsumerUpdate{
		MaxBatchSize: new(9), VisibilityTimeout: new(time.Minute), MaxRetries: new(0),
	})
	require.NoError(t, err)
	r.consumer(inproq.PullConfig{MaxBatchSize: 7, MaxRetries: 4})
	assert.Equal(t, inproq.ConsumerSettings{
		MaxBatchSize: 9, VisibilityTimeout: time.Minute, MaxRetries: 4, RetryDelay: inproq.NoDelay,
	}, pullSettings(t, r.broker), "the restart changes what it changes, and nothing else")
}

// An operator may attach the consumer, and code use it.
func TestPullConsumerThatWasAttached(t *testing.T) {
	r := newPullRig(t, inproq.Config{})
	info, err := r.broker.AttachConsumer(t.Context(), "jobs", inproq.ConsumerSpec{
		Kind: inproq.HTTPPull, Settings: inproq.ConsumerSettings{MaxBatchSize: 2},
	})
	require.NoError(t, err)
	r.send("a", "b", "c", "d")
	assert.Len(t, r.pull(inproq.PullRequest{}), 2, "Broker.Pull needs no code's consumer")
	c := r.consumer(inproq.PullConfig{MaxBatchSize: 1})
	assert.Equal(t, []string{"c"}, pullBodies(pullNow(t, c)), "what code says now is newer")
	after, err := r.broker.Queue(t.Context(), "jobs")
	require.NoError(t, err)
	assert.Equal(t, info.ID, after.Consumer.ID)
	_, err = r.broker.AttachConsumer(t.Context(), "jobs", inproq.ConsumerSpec{Kind: inproq.HTTPPull})
	sendReject(t, err, inproq.ErrConsumerExists, 11004, "a pull consumer")
}

func TestPullConsumerStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		queuetest.Start(t, r.broker)
		c := r.consumer(inproq.PullConfig{})
		r.send("a", "b")
		batch := pullNow(t, c)
		require.NoError(t, c.Stop(t.Context()))
		info, err := r.broker.Queue(t.Context(), "jobs")
		require.NoError(t, err)
		assert.Nil(t, info.Consumer)
		_, err = c.Pull(t.Context())
		sendReject(t, err, inproq.ErrNotPullConsumer, 0, `"jobs" was stopped`)
		batch.Messages[0].Ack()
		assert.Equal(t, 1, pullSettle(t, batch).Acked, "what was pulled can still be settled")

		var sink accountSink
		accountConsume(t, r.queue, sink.handle, inproq.ConsumerConfig{})
		consumePass(time.Minute)
		assert.Equal(t, []string{"b"}, sink.bodies())
		require.NoError(t, c.Stop(t.Context()))
		info, err = r.broker.Queue(t.Context(), "jobs")
		require.NoError(t, err)
		assert.NotNil(t, info.Consumer, "a second Stop does not take the next consumer away")
	})
}

// One that has stopped stays so, and does not stop its successor.
func TestPullConsumerStopsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		first := r.consumer(inproq.PullConfig{})
		require.NoError(t, first.Stop(t.Context()))
		second := r.consumer(inproq.PullConfig{})
		require.NoError(t, first.Stop(t.Context()))
		r.send("a")
		assert.Equal(t, []string{"a"}, pullBodies(pullNow(t, second)))
	})
}

// A Stop that failed may be called again.
func TestPullConsumerStopAfterAnError(t *testing.T) {
	r := newPullRig(t, inproq.Config{})
	c := r.consumer(inproq.PullConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, c.Stop(ctx), context.Canceled)
	require.NoError(t, c.Stop(t.Context()))
	info, err := r.broker.Queue(t.Context(), "jobs")
	require.NoError(t, err)
	assert.Nil(t, info.Consumer)
}

func TestPullConsumerOfAQueueThatIsGone(t *testing.T) {
	r := newPullRig(t, inproq.Config{})
	c := r.consumer(inproq.PullConfig{})
	require.NoError(t, r.broker.DeleteQueue(t.Context(), "jobs"))
	_, err := c.Pull(t.Context())
	sendReject(t, err, inproq.ErrQueueNotFound, 10104, `"jobs"`)
	_, err = r.queue.PullConsumer(inproq.PullConfig{DeadLetterQueue: "dead"})
	sendReject(t, err, inproq.ErrQueueNotFound, 10104, `"jobs"`)
	_, err = r.broker.Queue(t.Context(), "dead")
	require.ErrorIs(t, err, inproq.ErrQueueNotFound, "nothing comes to be for it")
	require.NoError(t, c.Stop(t.Context()))
}

func TestPullConsumerAfterAShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		r := newPullRig(t, inproq.Config{Store: st})
		c := r.consumer(inproq.PullConfig{})
		r.send("a")
		lease := r.pullFirst(1)
		require.NoError(t, r.broker.Shutdown(t.Context()))
		_, err := r.queue.PullConsumer(inproq.PullConfig{})
		require.ErrorIs(t, err, inproq.ErrBrokerClosed)
		_, err = c.Pull(t.Context())
		require.ErrorIs(t, err, inproq.ErrBrokerClosed)
		_, err = r.broker.Pull(t.Context(), "jobs", inproq.PullRequest{})
		require.ErrorIs(t, err, inproq.ErrBrokerClosed)
		_, err = r.broker.Settle(t.Context(), "jobs", inproq.SettleRequest{Acks: []string{lease}})
		require.ErrorIs(t, err, inproq.ErrBrokerClosed)
		require.NoError(t, c.Stop(t.Context()))
		next := newPullRig(t, inproq.Config{Store: st})
		assert.NotZero(t, pullSettings(t, next.broker), "a shutdown leaves the record, and Stop after it too")
	})
}

func TestPullFromAQueueThatIsNotPulled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		for name, want := range map[string]error{"jobs": inproq.ErrNotPullConsumer, "none": inproq.ErrQueueNotFound, "-": inproq.ErrInvalidQueueName} {
			_, err := r.broker.Pull(t.Context(), name, inproq.PullRequest{})
			require.ErrorIs(t, err, want)
		}
		queuetest.Start(t, r.broker)
		synctest.Wait()
		accountConsume(t, r.queue, pullHandler, inproq.ConsumerConfig{Name: "mailer"})
		_, err := r.broker.Pull(t.Context(), "jobs", inproq.PullRequest{})
		sendReject(t, err, inproq.ErrNotPullConsumer, 0, `"jobs"`, `the worker consumer "mailer"`)
	})
}

// A Stop leaves another kind of consumer, which an operator has put in its place,
// alone.
func TestPullConsumerStopAfterASwitchToPush(t *testing.T) {
	r := newPullRig(t, inproq.Config{})
	c := r.consumer(inproq.PullConfig{})
	require.NoError(t, r.broker.RemoveConsumer(t.Context(), "jobs"))
	_, err := r.broker.AttachConsumer(t.Context(), "jobs", inproq.ConsumerSpec{Kind: inproq.Worker})
	require.NoError(t, err)
	require.NoError(t, c.Stop(t.Context()))
	info, err := r.broker.Queue(t.Context(), "jobs")
	require.NoError(t, err)
	assert.NotNil(t, info.Consumer)
}
