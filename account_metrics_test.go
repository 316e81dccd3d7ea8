package inproq_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// The backlog is what is not acknowledged, wherever it is.
func TestMetricsCountTheUnacknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{ContentType: inproq.Text})
		first := time.Now()
		accountSend(t, q, "12", "34")
		gate := accountGate()
		accountConsume(t, q, gate.handle, inproq.ConsumerConfig{MaxBatchSize: 2, MaxConcurrency: 1})
		run := accountStart(b)
		time.Sleep(time.Minute)
		second := time.Now()
		accountSend(t, q, "567")
		_, err := q.Send(t.Context(), "89AB", inproq.Delay(time.Hour))
		require.NoError(t, err)
		synctest.Wait()

		check := func(want inproq.Backlog) {
			t.Helper()
			bl, err := b.Backlog(t.Context(), "q")
			require.NoError(t, err)
			assert.True(t, bl.Oldest.Equal(want.Oldest), "%v", bl.Oldest)
			m, err := b.Metrics(t.Context(), "q")
			require.NoError(t, err)
			assert.Equal(t, inproq.Metrics{BacklogCount: want.Ready + want.Delayed + want.Leased, BacklogBytes: want.Bytes, OldestMessageTimestamp: bl.Oldest}, m)
			same, err := q.Metrics(t.Context())
			require.NoError(t, err)
			assert.Equal(t, m, same)
			bl.Oldest, want.Oldest = time.Time{}, time.Time{}
			assert.Equal(t, want, bl)
		}
		check(inproq.Backlog{Ready: 1, Delayed: 1, Leased: 2, Bytes: 11, Oldest: first})
		close(gate.open)
		synctest.Wait()
		check(inproq.Backlog{Ready: 1, Delayed: 1, Bytes: 7, Oldest: second})
		time.Sleep(time.Hour + 5*time.Second)
		synctest.Wait()
		check(inproq.Backlog{})
		require.NoError(t, run.stop())
	})
}

func TestStatsOfUnknownQueue(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	assert.Zero(t, b.Stats("nowhere"))
	assert.Zero(t, b.Stats("not a name"))
	accountDeclare(t, b, "q", inproq.QueueConfig{})
	stats := b.Stats("q")
	stats.Over = 0
	assert.Zero(t, stats)
}

// What happens to messages is counted exactly: each delivery ends as one of
// Acked, Retried, DeadLettered and Dropped.
func TestStatsAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, began := accountBroker(t, inproq.Config{}), time.Now()
		q := accountDeclare(t, b, "q", inproq.QueueConfig{ContentType: inproq.Text})
		raw, err := inproq.Bind[[]byte](t.Context(), b, "q")
		require.NoError(t, err)
		sink := accountSink{then: func(_ context.Context, batch *inproq.MessageBatch[string]) error {
			for _, m := range batch.Messages {
				switch {
				case m.Body == "again" && m.Attempts == 1, m.Body == "dead":
					m.Retry()
				case m.Body == "fails":
					return assert.AnError
				}
			}
			return nil
		}}
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: time.Second, MaxRetries: 1, DeadLetterQueue: "dlq", MaxConcurrency: 3})
		run := accountStart(b)
		check := func(want inproq.Stats) {
			t.Helper()
			synctest.Wait()
			got := b.Stats("q")
			got.Limit, got.LastScale = 0, inproq.ScaleDecision{}
			want.Over = time.Since(began)
			assert.Equal(t, want, got)
			assert.Equal(t, got.Delivered, got.Acked+got.Retried+got.DeadLettered+got.Dropped)
		}

		accountSend(t, q, "ack", "again", "dead", strings.Repeat("x", 64_000), strings.Repeat("x", 64_001))
		_, err = raw.SendBatch(t.Context(), []inproq.MessageSendRequest[[]byte]{{Body: []byte("{}"), ContentType: inproq.JSON}, {Body: make([]byte, 128_000)}})
		require.NoError(t, err)
		want := inproq.Stats{Sent: 7}
		want.Ops.Write = 9
		check(want)

		time.Sleep(time.Second)
		want.Delivered, want.Acked, want.Retried, want.Undecodable, want.Batches, want.Lag = 7, 4, 3, 1, 1, time.Second
		want.Ops.Read, want.Ops.Delete = 9, 6
		want.Outcomes.Success, want.Outcomes.Fail = 6, 3
		check(want)

		time.Sleep(time.Second)
		want.Delivered, want.Acked, want.DeadLettered, want.Undecodable, want.Batches, want.Lag = 10, 5, 2, 2, 2, 2*time.Second
		want.Ops.Read, want.Ops.Delete, want.Ops.Write = 12, 7, 11
		want.Outcomes.Success, want.Outcomes.DeadLetter = 7, 2
		check(want)

		accountSend(t, q, "fails")
		time.Sleep(time.Second)
		want.Sent, want.Delivered, want.Retried, want.Batches, want.FailedBatches, want.Lag = 8, 11, 4, 3, 1, time.Second
		want.Ops.Write, want.Ops.Read = 12, 13
		want.Outcomes.Fail = 4
		check(want)
		require.NoError(t, run.stop())
		want.Delivered, want.DeadLettered, want.Batches, want.FailedBatches = 12, 3, 4, 2
		want.Ops.Write, want.Ops.Read = 13, 14
		want.Outcomes.DeadLetter = 3
		check(want)
	})
}

// The messages that left without a handler's doing, and who runs.
func TestStatsOfDroppedExpiredAndRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{MessageRetentionPeriod: time.Minute})
		gate := accountGate()
		gate.then = accountRetryAll
		accountConsume(t, q, gate.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait, MaxRetries: inproq.NoRetries, MaxConcurrency: 1})
		run := accountStart(b)
		accountSend(t, q, "dropped")
		_, err := q.Send(t.Context(), "expired", inproq.Delay(time.Hour))
		require.NoError(t, err)
		synctest.Wait()
		s := b.Stats("q")
		assert.Equal(t, 1, s.Running)
		assert.Equal(t, 1, s.Limit)
		close(gate.open)
		time.Sleep(time.Minute)
		synctest.Wait()
		s = b.Stats("q")
		assert.EqualValues(t, 1, s.Dropped)
		assert.EqualValues(t, 1, s.Expired)
		assert.EqualValues(t, 2, s.Ops.Delete)
		assert.Zero(t, s.Acked+s.Retried)
		assert.Zero(t, s.Running)
		require.NoError(t, run.stop())
	})
}
