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
	"github.com/inproq/inproq/store"
)

// A lease id is short until the last attempt, and only then has the headers.
func TestPullLeaseIDsAreLongOnTheLastAttemptOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		r.consumer(inproq.PullConfig{MaxRetries: 1})
		_, err := r.queue.Send(t.Context(), "a", inproq.Header("Tenant", strings.Repeat("x", 500)))
		require.NoError(t, err)
		first := r.pullFirst(1)
		assert.Less(t, len(first), 101)
		r.settle(inproq.SettleRequest{Retries: []inproq.LeaseDelay{{LeaseID: first}}})
		assert.Greater(t, len(r.pullFirst(2)), 600)
	})
}

// What the store says of a settlement is told in the words of the API.
func TestPullSettleTranslatesTheStoresErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &pullStore{Store: accountStore(t)}
		r := newPullRig(t, inproq.Config{Store: s})
		r.consumer(inproq.PullConfig{})
		r.send("a")
		lease := r.pullFirst(1)
		s.set(nil, pullFails(2, store.ErrQueueNotFound)) // the second time after a look for a dead-letter queue
		_, err := r.broker.Settle(t.Context(), "jobs", inproq.SettleRequest{Acks: []string{lease}})
		require.ErrorIs(t, err, inproq.ErrQueueNotFound)
		assert.Contains(t, err.Error(), `"jobs"`)
	})
}

// The log names dead letters with their queue, and with their cause if there is one.
func TestPullSettleLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{MaxRetries: inproq.NoRetries, VisibilityTimeout: time.Minute, DeadLetterQueue: "dead"})
		r.send("a", "b")
		batch := pullNow(t, c)
		require.Len(t, batch.Messages, 2)
		batch.Messages[0].Retry(inproq.Cause(errConsume))
		batch.Messages[1].Retry()
		pullSettle(t, batch)
		lines := r.log.find("dead-lettered")
		require.Len(t, lines, 2)
		for i, line := range lines {
			assert.Equal(t, "jobs", line.Attrs["queue"])
			if i == 0 {
				assert.Equal(t, errConsume, line.Attrs["err"])
			} else {
				assert.NotContains(t, line.Attrs, "err")
			}
		}
	})
}

// Stale leases are in the result of a settlement, of a batch and by name, and not in the log.
func TestPullSettleOfStaleLeasesIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{VisibilityTimeout: time.Minute})
		r.send("a")
		batch, _ := pullOne(t, c, 1)
		time.Sleep(time.Minute)
		lease := r.pullFirst(2)
		time.Sleep(time.Minute)
		r.pullFirst(3)
		batch.AckAll()
		assert.Len(t, pullSettle(t, batch).Warnings, 1)
		assert.Len(t, r.settle(inproq.SettleRequest{Acks: []string{lease}}).Warnings, 1)
		assert.Empty(t, r.log.find("lease lost"))
	})
}

// Nothing to settle and nothing to extend is no call of the store.
func TestPullSettleOfNothingAsksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &pullStore{Store: accountStore(t)}
		r := newPullRig(t, inproq.Config{Store: s})
		c := r.consumer(inproq.PullConfig{})
		r.send("a")
		batch, _ := pullOne(t, c, 1)
		batch.AckAll()
		pullSettle(t, batch)
		s.set(nil, pullFails(100, store.ErrClosed))
		assert.Zero(t, r.settle(inproq.SettleRequest{}))
		_, err := batch.Settle(context.Background())
		require.NoError(t, err)
		err = batch.Extend(context.Background(), time.Minute)
		require.NoError(t, err)
	})
}

// A reader may stop at the event that tells of what it has lost.
func TestEventsReaderStopsAtTheGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := consumersBroker(t, inproq.Config{})
		q, err := inproq.Bind[string](t.Context(), b, "q")
		require.NoError(t, err)
		events := b.Events(t.Context(), inproq.EventSent)
		for range 4097 {
			_, err := q.Send(t.Context(), "x")
			require.NoError(t, err)
		}
		var last inproq.EventKind
		for e := range events {
			if last = e.Kind; last == inproq.EventLost {
				break
			}
		}
		assert.Equal(t, inproq.EventLost, last)
	})
}
