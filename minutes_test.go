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

// pick returns the operations of one kind.
func pick(m *inproq.Minute, a inproq.Action, c inproq.ConsumerKind, o inproq.Outcome) inproq.Operations {
	for _, x := range m.Operations {
		if x.Action == a && x.Consumer == c && x.Outcome == o {
			return x
		}
	}
	return inproq.Operations{Action: a, Consumer: c, Outcome: o}
}

func TestMinutesOfAHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := inproq.Must(inproq.NewBroker(inproq.Config{}))
		q := inproq.Must(inproq.Declare[[]byte](t.Context(), b, "q", inproq.QueueConfig{}))
		inproq.Must(q.Consume(func(_ context.Context, batch *inproq.MessageBatch[[]byte]) error {
			time.Sleep(90 * time.Second)
			for _, m := range batch.Messages {
				if len(m.Body) > 1 {
					m.Retry()
				}
			}
			return nil
		}, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait, MaxRetries: 1, DeadLetterQueue: "dead"}))
		queuetest.Start(t, b)
		start := time.Now()
		inproq.Must(q.Send(t.Context(), []byte("1")))
		inproq.Must(q.SendBatch(t.Context(), inproq.Bodies([]byte("22"), make([]byte, 70_000))))
		time.Sleep(10 * time.Minute)

		minutes, err := b.Minutes(t.Context(), "q")
		require.NoError(t, err)
		var sum inproq.Minute
		busy := map[time.Duration]time.Duration{}
		totals := map[inproq.Operations]inproq.Operations{}
		for i := range minutes {
			busy[minutes[i].Start.Sub(start.UTC())] += minutes[i].Busy
			sum.Busy += minutes[i].Busy
			for _, o := range minutes[i].Operations {
				key := inproq.Operations{Action: o.Action, Consumer: o.Consumer, Outcome: o.Outcome}
				x := totals[key]
				x.Count, x.Billable, x.Bytes, x.Retries = x.Count+o.Count, x.Billable+o.Billable, x.Bytes+o.Bytes, x.Retries+o.Retries
				x.Lag += o.Lag
				x.Largest = max(x.Largest, o.Largest)
				totals[key] = x
			}
		}
		get := func(a inproq.Action, c inproq.ConsumerKind, o inproq.Outcome) inproq.Operations {
			return totals[inproq.Operations{Action: a, Consumer: c, Outcome: o}]
		}
		stats := b.Stats("q")
		assert.EqualValues(t, 3, get(inproq.WriteMessage, "", "").Count)
		assert.EqualValues(t, 70_003, get(inproq.WriteMessage, "", "").Bytes)
		assert.Equal(t, stats.Ops.Write, get(inproq.WriteMessage, "", "").Billable)
		reads := get(inproq.ReadMessage, inproq.Worker, "")
		assert.Equal(t, inproq.Operations{Count: 5, Billable: 7, Bytes: 140_005, Retries: 2, Largest: 70_000, Lag: reads.Lag}, reads)
		assert.Equal(t, stats.Ops.Read, reads.Billable)
		acked := get(inproq.DeleteMessage, inproq.Worker, inproq.OutcomeSuccess)
		assert.Equal(t, inproq.Operations{Count: 1, Billable: 1, Bytes: 1, Largest: 1, Lag: 90 * time.Second}, acked)
		dead := get(inproq.DeleteMessage, inproq.Worker, inproq.OutcomeDeadLetter)
		assert.EqualValues(t, 2, dead.Count)
		assert.EqualValues(t, 2, dead.Retries)
		assert.Zero(t, dead.Billable, "the dead-letter queue's write is billed")
		assert.Equal(t, time.Duration(stats.Batches)*90*time.Second, sum.Busy)
		assert.Positive(t, busy[0], "also the minute in which no batch ended")
		last := minutes[len(minutes)-1]
		assert.EqualValues(t, 1, last.Backlog.Samples)
		assert.Zero(t, last.Backlog.Messages)
	})
}

func TestMinutesOfPulls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := inproq.Must(inproq.NewBroker(inproq.Config{}))
		q := inproq.Must(inproq.Declare[[]byte](t.Context(), b, "q", inproq.QueueConfig{MessageRetentionPeriod: time.Hour}))
		inproq.Must(b.AttachConsumer(t.Context(), "q", inproq.ConsumerSpec{Kind: inproq.HTTPPull}))
		inproq.Must(q.SendBatch(t.Context(), inproq.Bodies([]byte("one"), []byte("three"), []byte("x"))))
		time.Sleep(2 * time.Second)
		res := inproq.Must(b.Pull(t.Context(), "q", inproq.PullRequest{BatchSize: 2}))
		inproq.Must(b.Settle(t.Context(), "q", inproq.SettleRequest{Acks: []string{res.Messages[0].LeaseID, res.Messages[1].LeaseID}}))
		minutes := inproq.Must(b.Minutes(t.Context(), "q"))
		require.Len(t, minutes, 1)
		reads := pick(&minutes[0], inproq.ReadMessage, inproq.HTTPPull, "")
		assert.EqualValues(t, 2, reads.Count)
		assert.Equal(t, 4*time.Second, reads.Lag)
		acks := pick(&minutes[0], inproq.DeleteMessage, inproq.HTTPPull, inproq.OutcomeSuccess)
		assert.EqualValues(t, 2, acks.Count)
		assert.Equal(t, reads.Bytes, acks.Bytes, "the lease ids know the sizes")
		assert.Equal(t, 4*time.Second, acks.Lag, "and the message ids when they were sent")
		assert.InDelta(t, 2, minutes[0].Backlog.Messages, 1.01)

		time.Sleep(2 * time.Hour)
		minutes = inproq.Must(b.Minutes(t.Context(), "q"))
		expired := pick(&minutes[len(minutes)-1], inproq.DeleteMessage, "", "")
		assert.EqualValues(t, 1, expired.Count)
	})
}

// What nobody consumes takes nothing until somebody asks, and then counts from the start.
func TestMinutesOfAQueueThatNobodyConsumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := inproq.Must(inproq.NewBroker(inproq.Config{}))
		q := inproq.Must(inproq.Declare[string](t.Context(), b, "q", inproq.QueueConfig{}))
		inproq.Must(q.Send(t.Context(), "a"))
		time.Sleep(time.Hour)
		first := inproq.Must(b.Minutes(t.Context(), "q"))
		require.Len(t, first, 1)
		assert.EqualValues(t, 1, pick(&first[0], inproq.WriteMessage, "", "").Count)
		assert.EqualValues(t, 1, first[0].Backlog.Messages)
		time.Sleep(time.Hour)
		second := inproq.Must(b.Minutes(t.Context(), "q"))
		require.Len(t, second, 2)
		assert.Zero(t, pick(&second[1], inproq.WriteMessage, "", "").Count, "a message counts once")

		_, err := b.Minutes(t.Context(), "none")
		assert.ErrorIs(t, err, inproq.ErrQueueNotFound)
		_, err = b.Minutes(t.Context(), "-")
		assert.ErrorIs(t, err, inproq.ErrInvalidQueueName)
	})
}

// The sizes of single sends are those that the store has counted. A queue that takes the
// name of another begins anew.
func TestMinutesCountTheBytesOfSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := inproq.Must(inproq.NewBroker(inproq.Config{}))
		q := inproq.Must(inproq.Declare[[]byte](t.Context(), b, "q", inproq.QueueConfig{}))
		inproq.Must(b.Minutes(t.Context(), "q"))
		inproq.Must(q.Send(t.Context(), make([]byte, 10)))
		inproq.Must(q.SendBatch(t.Context(), inproq.Bodies(make([]byte, 100), make([]byte, 1000))))
		minutes := inproq.Must(b.Minutes(t.Context(), "q"))
		assert.EqualValues(t, 1_110, pick(&minutes[0], inproq.WriteMessage, "", "").Bytes)
		require.NoError(t, b.DeleteQueue(t.Context(), "q"))
		q = inproq.Must(inproq.Declare[[]byte](t.Context(), b, "q", inproq.QueueConfig{}))
		inproq.Must(q.Send(t.Context(), make([]byte, 10_000)))
		minutes = inproq.Must(b.Minutes(t.Context(), "q"))
		assert.EqualValues(t, 10_000, pick(&minutes[0], inproq.WriteMessage, "", "").Bytes)
	})
}
