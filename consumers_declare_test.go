package inproq_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store/memory"
)

// consumersProcess runs a process on a store that consumes "q", until stop is called.
func consumersProcess(t *testing.T, st *memory.Store, cfg inproq.ConsumerConfig, sink *accountSink) (b *inproq.Broker, stop func()) {
	t.Helper()
	b = accountBroker(t, inproq.Config{Store: st})
	accountConsume(t, accountDeclare(t, b, "q", inproq.QueueConfig{}), sink.handle, cfg)
	run := accountStart(b)
	synctest.Wait()
	return b, func() { require.NoError(t, run.stop()) }
}

// A restart declares what it always has, and undoes nothing that an operator has
// changed; what code says anew counts, and only that.
func TestConsumerSettingsOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		var sink accountSink
		code := inproq.ConsumerConfig{MaxBatchSize: 20, MaxRetries: 5, RetryDelay: time.Minute}
		b, stop := consumersProcess(t, st, code, &sink)
		id := consumersInfo(t, b, "q").Consumer.ID
		consumersUpdate(t, b, inproq.ConsumerUpdate{MaxBatchSize: new(30), MaxRetries: new(0), MaxConcurrency: new(3), DeadLetterQueue: new("dead")})
		stop()

		want := inproq.ConsumerSettings{
			MaxBatchSize: 30, MaxBatchTimeout: 5 * time.Second, MaxRetries: inproq.NoRetries, RetryDelay: time.Minute, MaxConcurrency: 3, DeadLetterQueue: "dead",
		}
		b, stop = consumersProcess(t, st, code, &sink)
		assert.Equal(t, want, consumersInfo(t, b, "q").Consumer.Settings)
		stop()

		code.MaxRetries, code.RetryDelay, code.DeadLetterQueue = 6, inproq.NoDelay, "dead2"
		want.MaxRetries, want.RetryDelay, want.DeadLetterQueue = 6, inproq.NoDelay, "dead2"
		b, stop = consumersProcess(t, st, code, &sink)
		assert.Equal(t, want, consumersInfo(t, b, "q").Consumer.Settings)
		assert.Equal(t, id, consumersInfo(t, b, "q").Consumer.ID)
		assert.Contains(t, consumersNames(t, b), "dead2")
		stop()
	})
}

// Code that consumes for the first time what an operator has attached is newer, in all
// that it says.
func TestConsumeOverAnAttachedConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		operator := consumersBroker(t, inproq.Config{Store: st})
		attached := consumersAttach(t, operator, "q", inproq.ConsumerSpec{Kind: inproq.Worker, Script: "s", Settings: inproq.ConsumerSettings{
			MaxBatchSize: 99, MaxRetries: 99, MaxConcurrency: 99, DeadLetterQueue: "dead",
		}})
		var sink accountSink
		b, stop := consumersProcess(t, st, inproq.ConsumerConfig{Name: "s", MaxRetries: 1}, &sink)
		attached.Settings = inproq.ConsumerSettings{MaxBatchSize: 10, MaxBatchTimeout: 5 * time.Second, MaxRetries: 1, RetryDelay: inproq.NoDelay}
		assert.Equal(t, &attached, consumersInfo(t, b, "q").Consumer, "it is the same consumer")
		consumersUpdate(t, b, inproq.ConsumerUpdate{MaxRetries: new(7)})
		stop()
		b, stop = consumersProcess(t, st, inproq.ConsumerConfig{Name: "s", MaxRetries: 1}, &sink)
		assert.Equal(t, 7, consumersInfo(t, b, "q").Consumer.Settings.MaxRetries)
		stop()
	})
}

// A consumer of another name or kind is not replaced by code.
func TestConsumeOfAQueueThatHasAnotherConsumer(t *testing.T) {
	for name, spec := range map[string]inproq.ConsumerSpec{
		"name": {Kind: inproq.Worker, Script: "other"},
		"kind": {Kind: inproq.HTTPPull},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := accountStore(t)
				operator := consumersBroker(t, inproq.Config{Store: st})
				want := consumersAttach(t, operator, "q", spec)
				b := accountBroker(t, inproq.Config{Store: st})
				q, err := inproq.Bind[string](t.Context(), b, "q")
				require.NoError(t, err)
				_, err = q.Consume(new(accountSink).handle, inproq.ConsumerConfig{DeadLetterQueue: "dead"})
				if err == nil {
					err = accountStart(b).stop()
				}
				sendReject(t, err, inproq.ErrConsumerExists, 11004, `"q"`)
				assert.Equal(t, &want, consumersInfo(t, operator, "q").Consumer)
				assert.Equal(t, []string{"q"}, consumersNames(t, operator))
			})
		})
	}
}

// An operator's RetryDelay counts instead of the Backoff in code, also after a restart,
// until code says another delay.
func TestOperatorsDelayBeatsBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		sink := &accountSink{then: func(_ context.Context, batch *inproq.MessageBatch[string]) error {
			if batch.Messages[0].Attempts == 1 {
				batch.RetryAll()
			}
			return nil
		}}
		code := inproq.ConsumerConfig{
			MaxBatchTimeout: inproq.NoWait, RetryDelay: time.Second, Backoff: func(int) time.Duration { return time.Hour },
		}
		b, stop := consumersProcess(t, st, code, sink)
		waited := func() time.Duration {
			t.Helper()
			before := len(sink.deliveries())
			consumersSend(t, b, "q", "a")
			time.Sleep(3 * time.Hour)
			got := sink.deliveries()[before:]
			require.Len(t, got, 2)
			return got[1].At.Sub(got[0].At)
		}
		assert.Equal(t, time.Hour, waited())
		consumersUpdate(t, b, inproq.ConsumerUpdate{RetryDelay: new(time.Minute)})
		assert.Equal(t, time.Minute, waited(), "while it runs")
		stop()
		b, stop = consumersProcess(t, st, code, sink)
		assert.Equal(t, time.Minute, waited(), "after a restart")
		stop()
		code.RetryDelay = 2 * time.Second
		b, stop = consumersProcess(t, st, code, sink)
		assert.Equal(t, time.Hour, waited(), "when code has declared anew")
		stop()
	})
}

// An update by another process on the store has its effect here without a call.
func TestUpdateConsumerFromAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		var sink accountSink
		b, stop := consumersProcess(t, st, inproq.ConsumerConfig{MaxBatchTimeout: time.Minute}, &sink)
		operator := accountBroker(t, inproq.Config{Store: st})
		consumersSend(t, b, "q", "a", "b")
		synctest.Wait()
		assert.Empty(t, sink.batches())
		consumersUpdate(t, operator, inproq.ConsumerUpdate{MaxBatchSize: new(2)})
		synctest.Wait()
		assert.Equal(t, []int{2}, sink.batches())
		stop()
	})
}
