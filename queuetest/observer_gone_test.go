package queuetest_test

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

// Of what is purged or expires only the number is known; it is told all the same.
func TestObserverTellsOfWhatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := inproq.Must(inproq.NewBroker(inproq.Config{}))
		q := inproq.Must(inproq.Declare[int](t.Context(), b, "q", inproq.QueueConfig{MessageRetentionPeriod: time.Minute}))
		other := inproq.Must(inproq.Declare[int](t.Context(), b, "other", inproq.QueueConfig{}))
		o := queuetest.Observe(t, q)
		queuetest.Start(t, b)
		inproq.Must(q.SendBatch(t.Context(), inproq.Bodies(1, 2)))
		inproq.Must(other.SendBatch(t.Context(), inproq.Bodies(3)))
		require.NoError(t, b.Purge(t.Context(), "q"))
		require.NoError(t, b.Purge(t.Context(), "other"))
		inproq.Must(q.Send(t.Context(), 4))
		time.Sleep(2 * time.Minute)
		_ = b.Stats("q") // nobody tells of an expiry unasked
		assert.Equal(t, `1: sent, not delivered
2: sent, not delivered
4: sent, not delivered
purged: 2 messages of the queue
expired: 1 messages of the queue
`, o.String())
		f := &fakeT{TB: t}
		assert.False(t, queuetest.AssertAcked(f, o, 1))
		require.Len(t, f.errors, 1)
		assert.Contains(t, f.errors[0], "beside:     purged: 2 messages of the queue")
	})
}

// What a message came back from is a part of its story.
func TestObserverTellsOfARedrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := inproq.Must(inproq.NewBroker(inproq.Config{}))
		q := inproq.Must(inproq.Declare[int](t.Context(), b, "q", inproq.QueueConfig{}))
		inproq.Must(q.Consume(inproq.Each(func(_ context.Context, m *inproq.Message[int]) error {
			if time.Since(m.Timestamp) < time.Hour {
				return assert.AnError
			}
			return nil
		}), inproq.ConsumerConfig{MaxRetries: 1, MaxBatchTimeout: inproq.NoWait, DeadLetterQueue: "dead"}))
		o := queuetest.Observe(t, q)
		queuetest.Start(t, b)
		inproq.Must(q.Send(t.Context(), 1))
		time.Sleep(2 * time.Hour)
		assert.Equal(t, 1, inproq.Must(b.Redrive(t.Context(), "dead", "", inproq.RedriveConfig{})))
		queuetest.Drain(t, b)
		assert.Equal(t, "1: retried, then dead-lettered to \"dead\": "+assert.AnError.Error()+
			", then brought back from \"dead\", then acknowledged\n", o.String())
	})
}

// A month cannot be told from no time.
func TestAssertBudgetNeedsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := inproq.Must(inproq.NewBroker(inproq.Config{}))
		q := inproq.Must(inproq.Declare[int](t.Context(), b, "q", inproq.QueueConfig{}))
		inproq.Must(q.Send(t.Context(), 1))
		f := &fakeT{TB: t}
		assert.False(t, queuetest.AssertBudget(f, b, inproq.CloudflarePrice(), 1e9))
		require.Len(t, f.errors, 1)
		assert.Contains(t, f.errors[0], "no time has passed")
		time.Sleep(time.Hour)
		assert.True(t, queuetest.AssertBudget(t, b, inproq.CloudflarePrice(), 1e9))
		require.NoError(t, b.Shutdown(t.Context()))
	})
}
