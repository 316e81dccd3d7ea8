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

// Retention counts from the send, whatever a message waits for, to the
// nanosecond, and deletes silently.
func TestRetentionCountsFromTheSend(t *testing.T) {
	send := func(t *testing.T, q *inproq.Queue[string], opts ...inproq.SendOption) {
		_, err := q.Send(t.Context(), "x", opts...)
		require.NoError(t, err)
	}
	for name, prepare := range map[string]func(t *testing.T, b *inproq.Broker, q *inproq.Queue[string]){
		"ready":       func(t *testing.T, _ *inproq.Broker, q *inproq.Queue[string]) { send(t, q) },
		"delayed":     func(t *testing.T, _ *inproq.Broker, q *inproq.Queue[string]) { send(t, q, inproq.Delay(time.Hour)) },
		"due by then": func(t *testing.T, _ *inproq.Broker, q *inproq.Queue[string]) { send(t, q, inproq.Delay(time.Minute)) },
		"was delayed": func(t *testing.T, _ *inproq.Broker, q *inproq.Queue[string]) {
			send(t, q, inproq.Delay(10*time.Second))
		},
		"paused": func(t *testing.T, b *inproq.Broker, q *inproq.Queue[string]) {
			require.NoError(t, b.PauseDelivery(t.Context(), "q"))
			accountConsume(t, q, new(accountSink).handle, inproq.ConsumerConfig{})
			send(t, q)
		},
		"waits for a retry": func(t *testing.T, _ *inproq.Broker, q *inproq.Queue[string]) {
			sink := accountSink{then: accountRetryAll}
			accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait, RetryDelay: time.Hour})
			send(t, q)
		},
		"fills a batch": func(t *testing.T, _ *inproq.Broker, q *inproq.Queue[string]) {
			var sink accountSink
			t.Cleanup(func() { assert.Empty(t, sink.bodies()) })
			accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: 60 * time.Second})
			time.Sleep(time.Second)
			send(t, q, inproq.Delay(time.Second))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log accountLog
				b := accountBroker(t, inproq.Config{Logger: log.logger()})
				q := accountDeclare(t, b, "q", inproq.QueueConfig{MessageRetentionPeriod: time.Minute})
				run := accountStart(b)
				synctest.Wait()
				prepare(t, b, q)
				sent := time.Now()
				time.Sleep(time.Minute - 1)
				synctest.Wait()
				m, err := b.Metrics(t.Context(), "q")
				require.NoError(t, err)
				assert.Equal(t, int64(1), m.BacklogCount)
				assert.True(t, m.OldestMessageTimestamp.Equal(sent))
				before := b.Stats("q")
				assert.Zero(t, before.Expired)

				time.Sleep(1)
				synctest.Wait()
				m, err = b.Metrics(t.Context(), "q")
				require.NoError(t, err)
				assert.Equal(t, inproq.Metrics{}, m)
				after := b.Stats("q")
				assert.EqualValues(t, 1, after.Expired)
				assert.Equal(t, before.Ops.Delete+1, after.Ops.Delete, "it is billed as a deletion")
				assert.Zero(t, after.Acked+after.Dropped+after.DeadLettered)
				require.NoError(t, run.stop())
				assert.Empty(t, log.String())
			})
		})
	}
}

// What a handler holds is settled as it says, however old; only what it returns
// is too old then.
func TestRetentionOfLeased(t *testing.T) {
	for name, tc := range map[string]struct {
		then                    func(context.Context, *inproq.MessageBatch[string]) error
		acked, retried, expired uint64
	}{
		"acked":   {nil, 1, 0, 0},
		"retried": {accountRetryAll, 0, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := accountBroker(t, inproq.Config{})
				q := accountDeclare(t, b, "q", inproq.QueueConfig{MessageRetentionPeriod: time.Minute})
				gate := accountGate()
				gate.then = tc.then
				accountConsume(t, q, gate.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
				run := accountStart(b)
				accountSend(t, q, "x")
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				assert.Equal(t, 1, accountCount(t, b, "q"))
				assert.Zero(t, b.Stats("q").Expired)
				close(gate.open)
				synctest.Wait()
				s := b.Stats("q")
				assert.Equal(t, tc.acked, s.Acked)
				assert.Equal(t, tc.retried, s.Retried)
				assert.Equal(t, tc.expired, s.Expired)
				assert.Zero(t, s.LeasesLost)
				assert.Zero(t, accountCount(t, b, "q"))
				assert.Len(t, gate.bodies(), 1)
				require.NoError(t, run.stop())
			})
		})
	}
}

// A changed retention counts for what was sent before.
func TestRetentionChangedByUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{MessageRetentionPeriod: time.Hour})
		retain := func(d time.Duration) {
			_, err := b.UpdateQueue(t.Context(), "q", inproq.QueueUpdate{MessageRetentionPeriod: &d})
			require.NoError(t, err)
		}
		send := func(body string) {
			accountSend(t, q, body)
			_, err := q.Send(t.Context(), body, inproq.Delay(10*time.Hour))
			require.NoError(t, err)
		}
		send("old")
		time.Sleep(30 * time.Minute)
		send("young")
		time.Sleep(10 * time.Minute)
		retain(20 * time.Minute)
		assert.Equal(t, 2, accountCount(t, b, "q"), "the shorter one at once")
		assert.EqualValues(t, 2, b.Stats("q").Expired)
		retain(2 * time.Hour)
		time.Sleep(110*time.Minute - 1)
		assert.Equal(t, 2, accountCount(t, b, "q"), "the longer one too")
		time.Sleep(1)
		assert.Zero(t, accountCount(t, b, "q"))
		assert.EqualValues(t, 4, b.Stats("q").Expired)
	})
}

// A dead letter is as old as its message: the retention of its new queue counts
// from the send.
func TestRetentionOfDeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		accountDeclare(t, b, "dead", inproq.QueueConfig{MessageRetentionPeriod: time.Hour})
		sink := accountSink{then: accountRetryAll}
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait, MaxRetries: 1, RetryDelay: 20 * time.Minute, DeadLetterQueue: "dead"})
		run := accountStart(b)
		accountSend(t, q, "x")
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		require.Equal(t, 1, accountCount(t, b, "dead"))
		time.Sleep(40*time.Minute - 1)
		require.Equal(t, 1, accountCount(t, b, "dead"))
		time.Sleep(1)
		assert.Zero(t, accountCount(t, b, "dead"))
		assert.EqualValues(t, 1, b.Stats("dead").Expired)
		assert.Zero(t, b.Stats("q").Expired)
		require.NoError(t, run.stop())
	})
}
