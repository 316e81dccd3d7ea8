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
	"github.com/inproq/inproq/queuetest"
)

// leaseWarned expects one line in the log and one event, both of LeaseTooShort.
func leaseWarned(t *testing.T, log *consumeLog, events *eventsReader, at time.Duration, why string) {
	t.Helper()
	lines := log.find("configuration is hardly meant")
	require.Len(t, lines, 1)
	assert.Equal(t, map[string]any{"queue": "q", "rule": string(inproq.LeaseTooShort), "why": why}, lines[0].Attrs)
	assert.Equal(t, []eventsLine{{At: at, Kind: inproq.EventWarning, Queue: "q", Err: "inproq: " + why}}, events.lines())
}

// One invocation of many that takes too long is enough, whatever the mean is. It is told of at once, and no
// other is.
func TestLeaseTooShortForAHandlerIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log consumeLog
		b := accountBroker(t, inproq.Config{Logger: slog.New(consumeLogHandler{log: &log})})
		eventsConsume(t, b, "q", func(_ context.Context, batch *inproq.MessageBatch[string]) error {
			if batch.Messages[0].Body == "slow" {
				time.Sleep(2 * time.Minute)
			}
			return nil
		}, inproq.ConsumerConfig{MaxDuration: time.Minute, MaxBatchSize: 1, MaxRetries: inproq.NoRetries})
		events := eventsOf(t, b, inproq.EventWarning)
		queuetest.Start(t, b)
		for range 20 {
			consumersSend(t, b, "q", "quick")
		}
		synctest.Wait()
		assert.Empty(t, events.lines())
		consumersSend(t, b, "q", "slow")
		consumePass(2*time.Minute - 1)
		assert.Empty(t, log.find("hardly meant"))
		consumePass(1)
		const why = "MaxDuration is 1m0s, and an invocation took 2m0s"
		leaseWarned(t, &log, events, 2*time.Minute, why)
		consumersSend(t, b, "q", "slow", "slow", "quick")
		consumePass(time.Hour)
		assert.Empty(t, events.lines())
		assert.Len(t, log.find("hardly meant"), 1)
		assert.Equal(t, why, lintText(t, b), "Lint goes on saying it")
	})
}

// The same of messages that were pulled and settled too late.
func TestLeaseTooShortForAPullIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log consumeLog
		b := accountBroker(t, inproq.Config{Logger: slog.New(consumeLogHandler{log: &log})})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		p := pullConsumer(t, q, inproq.PullConfig{VisibilityTimeout: 30 * time.Second})
		events := eventsOf(t, b, inproq.EventWarning)
		hold := func(d time.Duration) {
			accountSend(t, q, "x")
			batch := pullNow(t, p)
			require.Len(t, batch.Messages, 1)
			batch.AckAll()
			time.Sleep(d)
			pullSettle(t, batch)
		}
		hold(30 * time.Second)
		assert.Empty(t, events.lines())
		hold(40 * time.Second)
		leaseWarned(t, &log, events, 70*time.Second, "VisibilityTimeout is 30s, and messages were settled up to 40s after their pull")
		hold(50 * time.Second)
		assert.Empty(t, events.lines())
		assert.Len(t, log.find("hardly meant"), 1)
	})
}

// What was seen before Run is not told again by it.
func TestLeaseTooShortIsToldOnceAlsoByRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log consumeLog
		b := accountBroker(t, inproq.Config{Logger: slog.New(consumeLogHandler{log: &log})})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		p := pullConsumer(t, q, inproq.PullConfig{VisibilityTimeout: 30 * time.Second})
		accountSend(t, q, "x")
		batch := pullNow(t, p)
		batch.AckAll()
		time.Sleep(time.Minute)
		pullSettle(t, batch)
		queuetest.Start(t, b)
		synctest.Wait()
		assert.Len(t, log.find("hardly meant"), 1)
	})
}

// A lease that is long enough by now is not told of, and one that is seen later is.
func TestLeaseTooShortIsNotUsedUpByASettingThatHasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log consumeLog
		b := accountBroker(t, inproq.Config{Logger: slog.New(consumeLogHandler{log: &log})})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		p := pullConsumer(t, q, inproq.PullConfig{VisibilityTimeout: 30 * time.Second})
		hold := func(d time.Duration, meanwhile func()) {
			accountSend(t, q, "x")
			batch := pullNow(t, p)
			batch.AckAll()
			meanwhile()
			time.Sleep(d)
			pullSettle(t, batch)
		}
		hold(time.Minute, func() {
			v := 2 * time.Minute
			_, err := b.UpdateConsumer(t.Context(), "q", inproq.ConsumerUpdate{VisibilityTimeout: &v})
			require.NoError(t, err)
		})
		assert.Empty(t, log.find("hardly meant"))
		hold(time.Hour, func() {}) // far beyond two minutes
		assert.Len(t, log.find("hardly meant"), 1)
	})
}
