package inproq_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// consumeDoomed is a consumer whose failing messages go to "dead" at once.
var consumeDoomed = inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait, MaxRetries: inproq.NoRetries, DeadLetterQueue: "dead"}

func TestDeadLetterKeepsTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newConsumeRig(t, inproq.ConsumerConfig{
			MaxBatchTimeout: inproq.NoWait, MaxRetries: 1, RetryDelay: time.Minute, DeadLetterQueue: "dead",
		}, consumeFail)
		dead := r.attach("dead", inproq.QueueConfig{}, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}, nil)
		sent := time.Now()
		res, err := r.queue.Send(t.Context(), "a", inproq.Header("Color", "blue"), inproq.ContentAs(inproq.Text))
		require.NoError(t, err)
		queuetest.Start(t, r.broker)
		consumePass(time.Hour)

		require.Len(t, dead.all(), 1)
		d := dead.all()[0]
		assert.Equal(t, time.Minute, d.At, "at once: neither RetryDelay nor anything else delays it")
		assert.Equal(t, res.ID, d.ID)
		assert.True(t, sent.Equal(d.Timestamp))
		assert.Equal(t, "a", d.Body)
		assert.Equal(t, inproq.Text, d.ContentType)
		assert.Equal(t, 1, d.Attempts, "they start anew")
		assert.Equal(t, "blue", d.Headers["Color"])

		letter, ok := d.DeadLetter()
		require.True(t, ok)
		assert.True(t, r.began.Add(time.Minute).Equal(letter.Time))
		letter.Time = time.Time{}
		assert.Equal(t, inproq.DeadLetter{Queue: "jobs", Attempts: 2, Reason: inproq.RetriesExhausted, Error: errConsume.Error()}, letter)
		for _, d := range r.all() {
			_, ok := d.DeadLetter()
			assert.False(t, ok, "none before")
		}
	})
}

// The error that a dead letter carries is that of its last delivery.
func TestDeadLetterCause(t *testing.T) {
	for name, c := range map[string]struct {
		h    inproq.Handler[string]
		text string
	}{
		"the message's own": {func(_ context.Context, b *inproq.MessageBatch[string]) error {
			b.Messages[0].Retry(inproq.Cause(fmt.Errorf("page %d", b.Messages[0].Attempts)))
			return errConsume
		}, "page 2"},
		"that of RetryAll": {func(_ context.Context, b *inproq.MessageBatch[string]) error {
			b.RetryAll(inproq.Cause(fmt.Errorf("batch\nof %d", b.Messages[0].Attempts)))
			return nil
		}, "batch of 2"},
		"the invocation's": {consumeFail, errConsume.Error()},
		"a panic":          {func(context.Context, *inproq.MessageBatch[string]) error { panic("jammed") }, "handler panicked: jammed"},
		"none known": {func(_ context.Context, b *inproq.MessageBatch[string]) error {
			b.RetryAll()
			return nil
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newConsumeRig(t, inproq.ConsumerConfig{
					MaxBatchTimeout: inproq.NoWait, MaxRetries: 1, DeadLetterQueue: "dead",
				}, c.h)
				dead := r.attach("dead", inproq.QueueConfig{}, inproq.ConsumerConfig{}, nil)
				r.send("a")
				queuetest.Start(t, r.broker)
				consumePass(time.Minute)
				require.Len(t, dead.all(), 1)
				letter, ok := dead.all()[0].DeadLetter()
				assert.True(t, ok)
				assert.Equal(t, c.text, letter.Error)
			})
		})
	}
}

// A message that dies twice tells of the second time only.
func TestDeadLetterOfADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newConsumeRig(t, consumeDoomed, consumeFail)
		r.attach("dead", inproq.QueueConfig{}, inproq.ConsumerConfig{
			MaxBatchTimeout: inproq.NoWait, MaxRetries: 2, DeadLetterQueue: "grave",
		}, func(_ context.Context, b *inproq.MessageBatch[string]) error {
			b.RetryAll()
			return nil
		})
		grave := r.attach("grave", inproq.QueueConfig{}, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}, nil)
		_, err := r.queue.Send(t.Context(), "a", inproq.Header("Color", "blue"))
		require.NoError(t, err)
		queuetest.Start(t, r.broker)
		synctest.Wait()
		require.Len(t, grave.all(), 1)
		d := grave.all()[0]
		letter, ok := d.DeadLetter()
		require.True(t, ok)
		letter.Time = time.Time{}
		assert.Equal(t, inproq.DeadLetter{Queue: "dead", Attempts: 3, Reason: inproq.RetriesExhausted}, letter)
		assert.Equal(t, "blue", d.Headers["Color"])
	})
}

func TestDeadLetterQueueIsCreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, consumeDoomed, consumeFail)
		_, err := r.broker.Queue(t.Context(), "dead")
		require.NoError(t, err, "created with the consumer")

		require.NoError(t, r.broker.DeleteQueue(t.Context(), "dead"))
		r.send("a")
		synctest.Wait()
		assert.EqualValues(t, 1, r.backlog("dead"), "created again when it is missing")
		assert.Zero(t, r.backlog("jobs"))
		assert.EqualValues(t, 1, r.stats().DeadLettered)
		assert.Len(t, r.all(), 1)
	})
}

// A queue that exists keeps its settings; its delay is for what is sent.
func TestDeadLetterIsNotDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newConsumeRig(t, consumeDoomed, consumeFail)
		dead := r.attach("dead", inproq.QueueConfig{DeliveryDelay: time.Hour}, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}, nil)
		r.send("a")
		queuetest.Start(t, r.broker)
		synctest.Wait()
		assert.Equal(t, []time.Duration{0}, dead.times("a"))
	})
}

// A queue is not its own dead-letter queue; the refusal names it.
func TestDeadLetterQueueIsAnother(t *testing.T) {
	b := inproq.Must(inproq.NewBroker(inproq.Config{}))
	q, err := inproq.Declare[string](t.Context(), b, "jobs", inproq.QueueConfig{})
	require.NoError(t, err)
	for _, name := range []string{"jobs", "-jobs-", "a b"} {
		_, err = q.Consume(consumeFail, inproq.ConsumerConfig{DeadLetterQueue: name})
		require.ErrorIs(t, err, inproq.ErrInvalidConfig)
		assert.ErrorContains(t, err, "DeadLetterQueue")
		assert.ErrorContains(t, err, name)
	}
	require.NoError(t, b.Shutdown(t.Context()))
}

// Two queues may name each other: a message that always fails goes round.
func TestDeadLetterQueuesInACycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var repaired atomic.Bool
		fail := func(context.Context, *inproq.MessageBatch[string]) error {
			time.Sleep(time.Second)
			if repaired.Load() {
				return nil
			}
			return errConsume
		}
		r := newConsumeRig(t, consumeDoomed, fail)
		dead := r.attach("dead", inproq.QueueConfig{}, inproq.ConsumerConfig{
			MaxBatchTimeout: inproq.NoWait, MaxRetries: inproq.NoRetries, DeadLetterQueue: "jobs",
		}, fail)
		ids := r.send("a")
		queuetest.Start(t, r.broker)
		consumePass(5500 * time.Millisecond)
		repaired.Store(true)
		consumePass(time.Minute)

		assert.Equal(t, []time.Duration{0, 2 * time.Second, 4 * time.Second}, r.times("a"))
		assert.Equal(t, []time.Duration{time.Second, 3 * time.Second, 5 * time.Second}, dead.times("a"))
		assert.Equal(t, []int{1, 1, 1}, consumeAttempts(r.all()))
		for i, d := range dead.all() {
			letter, _ := d.DeadLetter()
			assert.Equal(t, "jobs", letter.Queue)
			assert.Equal(t, ids[0], d.ID)
			if i > 0 {
				letter, _ := r.all()[i].DeadLetter()
				assert.Equal(t, "dead", letter.Queue, "the latest death replaces the earlier")
			}
		}
		assert.Zero(t, r.backlog("jobs")+r.backlog("dead"))
	})
}

// The dead-letter queue's own retention counts, from the original send.
func TestDeadLetterRetentionCountsFromTheSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newConsumeRig(t, consumeDoomed, consumeFail)
		_, err := inproq.Declare[string](t.Context(), r.broker, "dead", inproq.QueueConfig{MessageRetentionPeriod: time.Hour})
		require.NoError(t, err)
		_, err = r.queue.Send(t.Context(), "a", inproq.Delay(40*time.Minute))
		require.NoError(t, err)
		queuetest.Start(t, r.broker)
		consumePass(40 * time.Minute)
		assert.EqualValues(t, 1, r.backlog("dead"))
		consumePass(20*time.Minute - time.Second)
		assert.EqualValues(t, 1, r.backlog("dead"))
		consumePass(2 * time.Second)
		assert.Zero(t, r.backlog("dead"))
	})
}

// Without a consumer dead letters stay, until their retention is over.
func TestDeadLetterWaitsWithoutAConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, consumeDoomed, consumeFail, "a")
		consumePass(4*24*time.Hour - time.Minute)
		letters, err := r.broker.Peek(t.Context(), "dead", 10)
		require.NoError(t, err)
		require.Len(t, letters, 1)
		assert.Equal(t, 0, letters[0].Attempts, "not delivered there yet")
		consumePass(2 * time.Minute)
		assert.Zero(t, r.backlog("dead"))
	})
}
