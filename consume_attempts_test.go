package inproq_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// consumeAttempts are the attempts of deliveries, in their order.
func consumeAttempts(deliveries []consumeDelivery) []int {
	n := []int{}
	for _, d := range deliveries {
		n = append(n, d.Attempts)
	}
	return n
}

// MaxRetries = N allows N+1 deliveries, with attempts from 1. Then the message is
// moved to the dead-letter queue, or deleted with a warning.
func TestRetryLimit(t *testing.T) {
	for _, c := range []struct {
		name       string
		maxRetries int
		attempts   []int
	}{
		{"NoRetries", inproq.NoRetries, []int{1}},
		{"1", 1, []int{1, 2}},
		{"default", 0, []int{1, 2, 3, 4}},
		{"6", 6, []int{1, 2, 3, 4, 5, 6, 7}},
	} {
		for _, dlq := range []string{"", "dead"} {
			t.Run(c.name+"/"+dlq, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := consumeRun(t, inproq.ConsumerConfig{
						MaxBatchTimeout: inproq.NoWait, MaxRetries: c.maxRetries, RetryDelay: time.Minute, DeadLetterQueue: dlq,
					}, consumeFail, "a")
					consumePass(time.Hour)
					assert.Equal(t, c.attempts, consumeAttempts(r.all()))
					assert.Zero(t, r.backlog("jobs"))
					s := r.stats()
					assert.EqualValues(t, len(c.attempts), s.Delivered)
					assert.EqualValues(t, len(c.attempts)-1, s.Retried)
					if dlq == "" {
						assert.EqualValues(t, 1, s.Dropped)
						assert.Zero(t, s.DeadLettered)
						lines := r.log.find("message deleted")
						require.Len(t, lines, 1)
						assert.Equal(t, slog.LevelWarn, lines[0].Level)
						return
					}
					assert.EqualValues(t, 1, s.DeadLettered)
					assert.Zero(t, s.Dropped)
					assert.EqualValues(t, 1, r.backlog("dead"))
				})
			})
		}
	}
}

// An explicit retry counts as an attempt like an implicit one.
func TestRetryCountsHoweverItIsAsked(t *testing.T) {
	for name, retry := range map[string]inproq.Handler[string]{
		"Retry": func(_ context.Context, b *inproq.MessageBatch[string]) error { b.Messages[0].Retry(); return nil },
		"RetryAll": func(_ context.Context, b *inproq.MessageBatch[string]) error {
			b.RetryAll()
			return nil
		},
		"error": consumeFail,
		"panic": func(context.Context, *inproq.MessageBatch[string]) error { panic("jammed") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := consumeRun(t, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait, MaxRetries: 2}, retry, "a")
				assert.Equal(t, []int{1, 2, 3}, consumeAttempts(r.all()))
				assert.EqualValues(t, 1, r.stats().Dropped)
			})
		})
	}
}

// Only those messages run out of attempts that are marked for a retry.
func TestRetryLimitConcernsOnlyWhatIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{
			MaxBatchSize: 3, MaxRetries: inproq.NoRetries, DeadLetterQueue: "dead",
		}, func(_ context.Context, b *inproq.MessageBatch[string]) error {
			b.Messages[0].Ack()
			b.Messages[1].Retry()
			return nil
		}, "acked", "retried", "left")
		assert.EqualValues(t, 1, r.stats().DeadLettered)
		assert.EqualValues(t, 2, r.stats().Acked)
		letters, err := r.broker.Peek(t.Context(), "dead", 10)
		require.NoError(t, err)
		require.Len(t, letters, 1)
		assert.Equal(t, `"retried"`, string(letters[0].Body))
	})
}

// A message that is acknowledged at last is not retried: attempts of others in
// its batch are their own.
func TestRetryAttemptsAreCountedByMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{MaxBatchSize: 2, MaxBatchTimeout: 10 * time.Second}, consumeScript(consumeFail), "old")
		consumePass(10 * time.Second)
		r.send("new") // joins the one that came back
		synctest.Wait()
		assert.Equal(t, []int{1, 2}, consumeAttempts(r.of("old")))
		assert.Equal(t, []int{1}, consumeAttempts(r.of("new")))
		assert.Equal(t, 2, r.of("new")[0].Batch)
		assert.Equal(t, 2, r.of("old")[1].Batch)
	})
}

// A retry changes neither the identity nor the content.
func TestRetryKeepsTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait, RetryDelay: time.Minute}, consumeScript(consumeFail))
		sent := time.Now()
		res, err := r.queue.Send(t.Context(), "a", inproq.Header("Color", "blue"), inproq.ContentAs(inproq.Text))
		require.NoError(t, err)
		consumePass(time.Hour)
		all := r.all()
		require.Len(t, all, 2)
		for _, d := range all {
			assert.Equal(t, res.ID, d.ID)
			assert.True(t, sent.Equal(d.Timestamp))
			assert.Equal(t, "a", d.Body)
			assert.Equal(t, inproq.Text, d.ContentType)
			assert.Equal(t, map[string]string{"Color": "blue"}, d.Headers)
		}
	})
}
