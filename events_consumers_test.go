package inproq_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// A failed invocation is told once, with the number of its messages, before what comes
// of them.
func TestEventsOfAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		accountSend(t, q, "a", "b")
		accountConsume(t, q, consumeScript(consumeFail), inproq.ConsumerConfig{RetryDelay: time.Hour, MaxBatchSize: 2})
		r := eventsOf(t, b, inproq.EventFailed, inproq.EventRetried)
		queuetest.Start(t, b)
		lines := r.lines()
		require.Len(t, lines, 3)
		assert.Equal(t, eventsLine{Kind: inproq.EventFailed, Queue: "q", Count: 2, Err: errConsume.Error()}, lines[0])
		assert.Equal(t, inproq.EventRetried, lines[1].Kind)
		assert.Equal(t, inproq.EventRetried, lines[2].Kind)
	})
}

// A handler that does not return is stuck once its time and the grace are over; its
// messages are retried without it.
func TestEventsOfAStuckHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{ShutdownTimeout: time.Second})
		release := make(chan struct{})
		eventsConsume(t, b, "q", consumeScript(func(context.Context, *inproq.MessageBatch[string]) error {
			<-release
			return nil
		}), inproq.ConsumerConfig{MaxDuration: time.Minute, RetryDelay: time.Hour})
		queuetest.Start(t, b)
		r := eventsOf(t, b, inproq.EventStuck, inproq.EventFailed, inproq.EventRetried)
		id := consumersSend(t, b, "q", "a")[0]
		time.Sleep(30 * time.Minute)
		at, why := time.Minute+time.Second, "handler has not returned"
		assert.Equal(t, []eventsLine{
			{At: at, Kind: inproq.EventStuck, Queue: "q", Count: 1},
			{At: at, Kind: inproq.EventFailed, Queue: "q", Count: 1, Err: why},
			{At: at, Kind: inproq.EventRetried, Queue: "q", Message: id, Attempts: 1, Delay: time.Hour, Err: why},
		}, r.lines())
		close(release)
	})
}

// A call that has no effect is told, and why; one that asks for what is so already only
// if it is the same call on the same message.
func TestEventsOfIgnoredCalls(t *testing.T) {
	const twice, against, late = "the message was acknowledged already", "an earlier call has decided otherwise", "the batch was settled already"
	type batch = *inproq.MessageBatch[string]
	var kept batch
	for name, tc := range map[string]struct {
		call func(b batch)
		want []string // what the errors say
		whom bool     // of a message
	}{
		"ack, ack":           {func(b batch) { b.Messages[0].Ack(); b.Messages[0].Ack() }, []string{twice + ": call of Ack"}, true},
		"ack, retry":         {func(b batch) { b.Messages[0].Ack(); b.Messages[0].Retry() }, []string{against + ": call of Retry"}, true},
		"retry, ack":         {func(b batch) { b.Messages[0].Retry(); b.Messages[0].Ack() }, []string{against + ": call of Ack"}, true},
		"retry, retry":       {func(b batch) { b.Messages[0].Retry(); b.Messages[0].Retry() }, nil, true},
		"ackall, ack":        {func(b batch) { b.AckAll(); b.Messages[0].Ack() }, nil, true},
		"ackall, retry":      {func(b batch) { b.AckAll(); b.Messages[0].Retry() }, []string{against + ": call of Retry"}, true},
		"ackall, retryall":   {func(b batch) { b.AckAll(); b.RetryAll() }, []string{against + ": call of RetryAll"}, false},
		"retryall, ackall":   {func(b batch) { b.RetryAll(); b.AckAll() }, []string{against + ": call of AckAll"}, false},
		"ackall, ackall":     {func(b batch) { b.AckAll(); b.AckAll() }, nil, false},
		"settled, ack":       {func(b batch) { kept = b }, []string{late + ": call of Ack"}, true},
		"each, own ack, nil": {func(b batch) { _ = inproq.Each(eventsAck)(context.Background(), b) }, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := accountBroker(t, inproq.Config{})
				kept = nil
				eventsConsume(t, b, "q", consumeScript(func(_ context.Context, batch *inproq.MessageBatch[string]) error {
					tc.call(batch)
					return nil
				}), inproq.ConsumerConfig{RetryDelay: time.Hour})
				queuetest.Start(t, b)
				r := eventsOf(t, b, inproq.EventCallIgnored)
				id := consumersSend(t, b, "q", "a")[0]
				synctest.Wait()
				if kept != nil {
					kept.Messages[0].Ack()
				}
				want := []eventsLine{}
				for _, text := range tc.want {
					l := eventsLine{Kind: inproq.EventCallIgnored, Queue: "q", Message: id, Err: "inproq: " + text}
					if !tc.whom {
						l.Message = inproq.MessageID{}
					}
					want = append(want, l)
				}
				assert.Equal(t, want, r.lines())
			})
		})
	}
}

func eventsAck(_ context.Context, m *inproq.Message[string]) error {
	m.Ack()
	return nil
}

// What the autoscaler has decided is in After, as in Stats.
func TestEventsOfScaling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		eventsConsume(t, b, "q", func(context.Context, *inproq.MessageBatch[string]) error {
			time.Sleep(time.Second)
			return nil
		}, inproq.ConsumerConfig{MaxBatchSize: 1, MaxConcurrency: 2})
		queuetest.Start(t, b)
		r := eventsOf(t, b, inproq.EventScaled)
		for range 40 {
			consumersSend(t, b, "q", "x")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		want := b.Stats("q").LastScale
		got := r.take()
		require.Len(t, got, 1)
		var d inproq.ScaleDecision
		require.NoError(t, json.Unmarshal(got[0].After, &d))
		assert.Equal(t, 1, d.From)
		assert.Equal(t, 2, d.To)
		assert.NotEmpty(t, d.Rule)
		assert.True(t, want.Time.Equal(d.Time))
		assert.True(t, got[0].Time.Equal(d.Time))
		want.Time, d.Time = time.Time{}, time.Time{}
		assert.Equal(t, want, d)
		assert.Equal(t, "q", got[0].Queue)
		assert.Empty(t, got[0].Before)
	})
}

// What Lint finds when Run begins is told, too.
func TestEventsOfWarnings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := consumersBroker(t, inproq.Config{})
		consumersAttach(t, b, "q", inproq.ConsumerSpec{Kind: inproq.HTTPPull, Settings: inproq.ConsumerSettings{DeadLetterQueue: "dead"}})
		r := eventsOf(t, b, inproq.EventWarning)
		queuetest.Start(t, b)
		lines := r.lines()
		require.Len(t, lines, 1)
		assert.Contains(t, lines[0].Err, `inproq: DeadLetterQueue is "dead", which has no consumer`)
		lines[0].Err = ""
		assert.Equal(t, eventsLine{Kind: inproq.EventWarning, Queue: "q"}, lines[0])
	})
}
