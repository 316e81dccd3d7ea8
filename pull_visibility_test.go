package inproq_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// A pull returns at once what is ready, and what is not there is no error.
func TestPullDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{MaxBatchSize: 2})
		began := time.Now()
		batch := pullNow(t, c)
		assert.Equal(t, "jobs", batch.Queue)
		assert.Empty(t, batch.Messages)
		assert.Equal(t, inproq.Metrics{}, batch.Metrics)
		assert.Zero(t, pullSettle(t, batch))
		require.NoError(t, batch.Extend(t.Context(), time.Second))

		_, err := r.queue.Send(t.Context(), "later", inproq.Delay(time.Minute))
		require.NoError(t, err)
		ids := r.send("a", "b", "c")
		batch = pullNow(t, c)
		assert.Equal(t, []string{"a", "b"}, pullBodies(batch))
		assert.Equal(t, ids[0], batch.Messages[0].ID)
		assert.Equal(t, 1, batch.Messages[0].Attempts)
		assert.Equal(t, inproq.JSON, batch.Messages[0].ContentType)
		assert.Equal(t, began.UnixNano(), batch.Messages[0].Timestamp.UnixNano())
		assert.Equal(t, []string{"c"}, pullBodies(pullNow(t, c)))
		pullNone(t, c, "the rest is delayed")
		assert.Zero(t, time.Since(began))
	})
}

func TestPullFromAPausedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{})
		r.send("a")
		batch, _ := pullOne(t, c, 1)
		r.send("b")
		lease := r.pullFirst(1)
		r.send("c")
		require.NoError(t, r.broker.PauseDelivery(t.Context(), "jobs"))
		_, err := c.Pull(t.Context())
		sendReject(t, err, inproq.ErrDeliveryPaused, 0, "queue_delivery_paused", `"jobs"`)
		_, err = r.broker.Pull(t.Context(), "jobs", inproq.PullRequest{})
		sendReject(t, err, inproq.ErrDeliveryPaused, 0, `"jobs"`)
		batch.AckAll()
		assert.Equal(t, inproq.SettleResult{Acked: 1}, pullSettle(t, batch), "acks while paused count")
		assert.Equal(t, inproq.SettleResult{Acked: 1}, r.settle(inproq.SettleRequest{Acks: []string{lease}}))
		require.NoError(t, r.broker.ResumeDelivery(t.Context(), "jobs"))
		assert.Equal(t, []string{"c"}, pullBodies(pullNow(t, c)))
	})
}

func TestPullsAtTheSameTimeAreDisjoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pullers, each = 8, 25
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{MaxBatchSize: each})
		for i := range pullers * each {
			r.send(fmt.Sprint(i))
		}
		var mu sync.Mutex
		seen := make(map[string]int)
		note := func(body string) {
			mu.Lock()
			defer mu.Unlock()
			seen[body]++
		}
		var wg sync.WaitGroup
		for i := range pullers {
			wg.Go(func() {
				if i%2 == 0 {
					batch, err := c.Pull(context.Background())
					assert.NoError(t, err)
					for _, m := range batch.Messages {
						note(m.Body)
					}
					return
				}
				res, err := r.broker.Pull(context.Background(), "jobs", inproq.PullRequest{})
				assert.NoError(t, err)
				for _, m := range res.Messages {
					note(string(m.Body[1 : len(m.Body)-1])) // JSON
				}
			})
		}
		wg.Wait()
		require.Len(t, seen, pullers*each)
		for body, n := range seen {
			assert.Equal(t, 1, n, body)
		}
	})
}

// Pulled messages are invisible for exactly the visibility, counted from the pull; then
// they come again, with an attempt more.
func TestPullVisibilityIsExact(t *testing.T) {
	for name, pull := range map[string]func(*pullRig, *inproq.PullConsumer[string]){
		"typed":   func(r *pullRig, c *inproq.PullConsumer[string]) { pullOne(r.t, c, 1) },
		"by name": func(r *pullRig, c *inproq.PullConsumer[string]) { r.pullFirst(1) },
		"by name, on demand": func(r *pullRig, c *inproq.PullConsumer[string]) {
			r.pull(inproq.PullRequest{VisibilityTimeout: time.Hour})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newPullRig(t, inproq.Config{})
				visibility := 30 * time.Second
				if name == "by name, on demand" {
					visibility = time.Hour
				}
				c := r.consumer(inproq.PullConfig{MaxRetries: 1})
				r.send("a")
				time.Sleep(time.Minute)
				pull(r, c)
				assert.Equal(t, inproq.Backlog{Leased: 1, Bytes: 3, Oldest: r.backlog().Oldest}, r.backlog())
				time.Sleep(visibility - time.Nanosecond)
				pullNone(t, c, "it is leased")
				time.Sleep(time.Nanosecond)
				pullOne(t, c, 2)
			})
		})
	}
}

// A lease that has run out is good as long as nobody else has the message.
func TestPullLateAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{})
		r.send("acked", "retried")
		typed := pullNow(t, c)
		r.send("by name", "retried by name")
		leases := r.pull(inproq.PullRequest{})
		time.Sleep(time.Hour)
		assert.EqualValues(t, 4, r.backlog().Ready)
		typed.Messages[0].Ack()
		typed.Messages[1].Retry(inproq.Delay(time.Minute))
		assert.Equal(t, inproq.SettleResult{Acked: 1, Retried: 1}, pullSettle(t, typed))
		assert.Equal(t, inproq.SettleResult{Acked: 1, Retried: 1}, r.settle(inproq.SettleRequest{
			Acks:    []string{leases[0].LeaseID},
			Retries: []inproq.LeaseDelay{{LeaseID: leases[1].LeaseID, Delay: time.Minute}},
		}))
		pullNone(t, c, "two are gone and two are delayed")
		time.Sleep(time.Minute)
		again := pullNow(t, c)
		assert.ElementsMatch(t, []string{"retried", "retried by name"}, pullBodies(again))
		assert.Equal(t, 2, again.Messages[0].Attempts)
		assert.Zero(t, r.stats().LeasesLost)
	})
}

// When somebody else has the message by now, a settlement succeeds, says so, and
// leaves the newer delivery alone.
func TestPullStaleLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{MaxRetries: 10})
		r.send("a", "b", "c")
		stale := pullNow(t, c)
		time.Sleep(30 * time.Second)
		old := r.pull(inproq.PullRequest{})
		time.Sleep(30 * time.Second)
		current := pullNow(t, c)
		require.Len(t, current.Messages, 3)

		stale.Messages[0].Ack()
		stale.Messages[1].Retry()
		res := pullSettle(t, stale)
		assert.Zero(t, res.Acked+res.Retried+res.Extended)
		pullWarned(t, res, "lease is lost", stale.Messages[0].ID.String(), stale.Messages[1].ID.String())
		assert.Zero(t, pullSettle(t, stale), "each once")

		res = r.settle(inproq.SettleRequest{
			Acks:    []string{old[0].LeaseID},
			Retries: []inproq.LeaseDelay{{LeaseID: old[1].LeaseID}},
			Extends: []inproq.LeaseDelay{{LeaseID: old[2].LeaseID, Delay: time.Hour}},
		})
		assert.Zero(t, res.Acked+res.Retried+res.Extended)
		pullWarned(t, res, "lease is lost", old[0].LeaseID, old[1].LeaseID, old[2].LeaseID)
		assert.EqualValues(t, 5, r.stats().LeasesLost)

		assert.EqualValues(t, 3, r.backlog().Leased)
		current.AckAll()
		assert.Equal(t, inproq.SettleResult{Acked: 3}, pullSettle(t, current), "the newer delivery is untouched")
		res = r.settle(inproq.SettleRequest{Acks: []string{old[0].LeaseID}})
		pullWarned(t, res, "lease is lost", old[0].LeaseID)
	})
}

// A purge leaves what is pulled, which comes back when it is retried; retention does not.
func TestPullPurgedAndExpiredMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{VisibilityTimeout: time.Hour})
		r.send("a")
		leased, m := pullOne(t, c, 1)
		r.send("b")
		require.NoError(t, r.broker.Purge(t.Context(), "jobs"))
		pullNone(t, c, "purged")
		m.Retry()
		assert.Equal(t, 1, pullSettle(t, leased).Retried)
		leased, m = pullOne(t, c, 2)
		_, err := r.broker.UpdateQueue(t.Context(), "jobs", inproq.QueueUpdate{MessageRetentionPeriod: new(time.Minute)})
		require.NoError(t, err)
		time.Sleep(2 * time.Hour)
		m.Ack()
		pullWarned(t, pullSettle(t, leased), "gone", m.ID.String())
		assert.EqualValues(t, 1, r.stats().Expired)
	})
}

func TestPullEndsWithItsContext(t *testing.T) {
	r := newPullRig(t, inproq.Config{})
	c := r.consumer(inproq.PullConfig{})
	r.send("a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Pull(ctx)
	require.ErrorIs(t, err, context.Canceled)
	_, err = r.broker.Pull(ctx, "jobs", inproq.PullRequest{})
	require.ErrorIs(t, err, context.Canceled)
	batch, m := pullOne(t, c, 1)
	m.Ack()
	_, err = batch.Settle(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, batch.Extend(ctx, time.Second), context.Canceled)
	assert.Equal(t, 1, pullSettle(t, batch).Acked)
}
