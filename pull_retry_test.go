package inproq_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// pullAfter expects the message to be ready again after d, and not sooner.
func pullAfter(t *testing.T, c *inproq.PullConsumer[string], d time.Duration, attempt int) {
	t.Helper()
	if d > 0 {
		time.Sleep(d - time.Nanosecond)
		pullNone(t, c, "it is too early")
		time.Sleep(time.Nanosecond)
	}
	pullOne(t, c, attempt)
}

// A retry waits as it says itself, or as RetryAll says, or as the consumer does.
func TestPullRetryDelays(t *testing.T) {
	type pulled = *inproq.PulledBatch[string]
	for name, c := range map[string]struct {
		call func(pulled)
		want time.Duration
	}{
		"own":                      {func(b pulled) { b.Messages[0].Retry(inproq.Delay(7 * time.Second)) }, 7 * time.Second},
		"own, zero":                {func(b pulled) { b.Messages[0].Retry(inproq.Delay(0)) }, 0},
		"own, none":                {func(b pulled) { b.Messages[0].Retry() }, time.Minute},
		"own, too long":            {func(b pulled) { b.Messages[0].Retry(inproq.Delay(13 * time.Hour)) }, 12 * time.Hour},
		"the last one's":           {func(b pulled) { b.Messages[0].Retry(inproq.Delay(7)); b.Messages[0].Retry() }, time.Minute},
		"RetryAll":                 {func(b pulled) { b.RetryAll(inproq.Delay(9 * time.Second)) }, 9 * time.Second},
		"RetryAll, zero":           {func(b pulled) { b.RetryAll(inproq.Delay(0)) }, 0},
		"RetryAll, none":           {func(b pulled) { b.RetryAll() }, time.Minute},
		"own before RetryAll":      {func(b pulled) { b.Messages[0].Retry(inproq.Delay(7 * time.Second)); b.RetryAll(inproq.Delay(9)) }, 7 * time.Second},
		"own after RetryAll":       {func(b pulled) { b.RetryAll(inproq.Delay(9)); b.Messages[0].Retry(inproq.Delay(7 * time.Second)) }, 7 * time.Second},
		"own, none, with RetryAll": {func(b pulled) { b.Messages[0].Retry(); b.RetryAll(inproq.Delay(9 * time.Second)) }, 9 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newPullRig(t, inproq.Config{})
				p := r.consumer(inproq.PullConfig{RetryDelay: time.Minute})
				r.send("a")
				b := pullNow(t, p)
				c.call(b)
				assert.Equal(t, inproq.SettleResult{Retried: 1}, pullSettle(t, b))
				pullAfter(t, p, c.want, 2)
			})
		})
	}
}

func TestPullRetryDelaysByName(t *testing.T) {
	for name, c := range map[string]struct {
		delay, want time.Duration
	}{
		"own":       {7 * time.Second, 7 * time.Second},
		"none said": {0, time.Minute},
		"none":      {inproq.NoDelay, 0},
		"longest":   {12 * time.Hour, 12 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newPullRig(t, inproq.Config{})
				p := r.consumer(inproq.PullConfig{RetryDelay: time.Minute})
				r.send("a")
				assert.Equal(t, inproq.SettleResult{Retried: 1}, r.settle(inproq.SettleRequest{
					Retries: []inproq.LeaseDelay{{LeaseID: r.pullFirst(1), Delay: c.delay}},
				}))
				pullAfter(t, p, c.want, 2)
			})
		})
	}
}

// MaxRetries N is N+1 deliveries; then the message is a dead letter, as it was sent.
func TestPullRetriesExhausted(t *testing.T) {
	for _, retries := range []int{inproq.NoRetries, 1, 3} {
		for name, retry := range map[string]func(*pullRig, *inproq.PullConsumer[string], int) inproq.SettleResult{
			"typed": func(r *pullRig, c *inproq.PullConsumer[string], attempt int) inproq.SettleResult {
				b, m := pullOne(r.t, c, attempt)
				m.Retry(inproq.Cause(errors.New("no ink")))
				return pullSettle(r.t, b)
			},
			"by name": func(r *pullRig, _ *inproq.PullConsumer[string], attempt int) inproq.SettleResult {
				return r.settle(inproq.SettleRequest{Retries: []inproq.LeaseDelay{{LeaseID: r.pullFirst(attempt)}}})
			},
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newPullRig(t, inproq.Config{})
					c := r.consumer(inproq.PullConfig{MaxRetries: retries, DeadLetterQueue: "dead"})
					sent, err := r.queue.Send(t.Context(), "a", inproq.Header("Tenant", "acme"), inproq.ContentAs(inproq.Text))
					require.NoError(t, err)
					born := time.Now()
					time.Sleep(time.Minute)
					last := max(retries, 0) + 1
					for attempt := range last {
						assert.Equal(t, inproq.SettleResult{Retried: 1}, retry(r, c, attempt+1))
					}
					pullNone(t, c, "it is dead")
					m, letter := r.letter("dead")
					assert.Equal(t, sent.ID, m.ID)
					assert.Equal(t, "a", string(m.Body))
					assert.Equal(t, inproq.Text, m.ContentType)
					assert.Equal(t, "acme", m.Headers["Tenant"])
					assert.True(t, m.Timestamp.Equal(born))
					assert.Zero(t, m.Attempts, "they count anew")
					want := inproq.DeadLetter{Queue: "jobs", Attempts: last, Reason: inproq.RetriesExhausted, Time: letter.Time}
					if name == "typed" {
						want.Error = "no ink"
					}
					assert.Equal(t, want, letter)
					assert.True(t, letter.Time.Equal(time.Now()))
					st := r.stats()
					assert.Equal(t, []uint64{uint64(last - 1), 1, 0}, []uint64{st.Retried, st.DeadLettered, st.Dropped})
				})
			})
		}
	}
}

// A message whose last lease runs out is dead when the next pull comes, which does not
// return it.
func TestPullLastLeaseRunsOut(t *testing.T) {
	for name, pull := range map[string]func(*pullRig, *inproq.PullConsumer[string]) int{
		"typed":   func(r *pullRig, c *inproq.PullConsumer[string]) int { return len(pullNow(r.t, c).Messages) },
		"by name": func(r *pullRig, _ *inproq.PullConsumer[string]) int { return len(r.pull(inproq.PullRequest{})) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newPullRig(t, inproq.Config{})
				c := r.consumer(inproq.PullConfig{MaxRetries: 1, MaxBatchSize: 1, DeadLetterQueue: "dead"})
				_, err := r.queue.Send(t.Context(), "a", inproq.Header("Tenant", "acme"))
				require.NoError(t, err)
				require.Equal(t, 1, pull(r, c))
				time.Sleep(30 * time.Second)
				require.Equal(t, 1, pull(r, c))
				time.Sleep(30 * time.Second)
				r.send("b")
				require.Equal(t, 1, pull(r, c), "the dead one does not make the pull an empty one")
				m, letter := r.letter("dead")
				assert.Equal(t, `"a"`, string(m.Body))
				assert.Equal(t, "acme", m.Headers["Tenant"])
				assert.Equal(t, inproq.DeadLetter{Queue: "jobs", Attempts: 2, Reason: inproq.Crashed, Time: letter.Time}, letter)
				st := r.stats()
				assert.EqualValues(t, 3, st.Pulls, "one for each call")
				assert.Zero(t, st.EmptyPulls)
				assert.EqualValues(t, 3, st.Delivered, "who buries it has not delivered it")
			})
		})
	}
}

// A pull that finds only dead ones is empty.
func TestPullThatFindsOnlySpentMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{MaxRetries: inproq.NoRetries})
		r.send("a", "b")
		require.Len(t, pullNow(t, c).Messages, 2)
		time.Sleep(time.Minute)
		pullNone(t, c, "both are spent")
		st := r.stats()
		assert.Equal(t, []uint64{2, 1, 2, 2}, []uint64{st.Pulls, st.EmptyPulls, st.Dropped, st.Delivered})
		assert.EqualValues(t, 3, st.Ops.Read, "two messages and an empty pull")
		assert.EqualValues(t, 2, st.Ops.Delete)
		assert.Zero(t, r.backlog().Leased)
	})
}

// Without a dead-letter queue what is spent is deleted.
func TestPullWithoutADeadLetterQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{MaxRetries: inproq.NoRetries})
		r.send("typed")
		b, m := pullOne(t, c, 1)
		m.Retry(inproq.Delay(time.Hour))
		assert.Equal(t, inproq.SettleResult{Retried: 1}, pullSettle(t, b))
		r.send("by name")
		assert.Equal(t, inproq.SettleResult{Retried: 1}, r.settle(inproq.SettleRequest{
			Retries: []inproq.LeaseDelay{{LeaseID: r.pullFirst(1), Delay: time.Hour}},
		}))
		assert.Zero(t, sendBacklog(t, r.broker, "jobs"))
		st := r.stats()
		assert.Equal(t, []uint64{2, 0, 0}, []uint64{st.Dropped, st.Retried, st.DeadLettered})
		assert.Len(t, r.log.find("message deleted"), 2)
	})
}

// A dead-letter queue that was deleted comes to be again.
func TestPullDeadLetterQueueComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{MaxRetries: inproq.NoRetries, DeadLetterQueue: "dead"})
		r.send("a")
		b, m := pullOne(t, c, 1)
		require.NoError(t, r.broker.DeleteQueue(t.Context(), "dead"))
		m.Retry()
		assert.Equal(t, inproq.SettleResult{Retried: 1}, pullSettle(t, b))
		r.letter("dead")
	})
}

// The settings of the pull count for a typed batch, those of the settlement for a
// lease.
func TestPullSettingsChangeBeforeTheSettlement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{MaxRetries: 3})
		r.send("a")
		b, m := pullOne(t, c, 1)
		r.send("b")
		lease := r.pullFirst(1)
		_, err := r.broker.UpdateConsumer(t.Context(), "jobs", inproq.ConsumerUpdate{MaxRetries: new(0), DeadLetterQueue: new("dead")})
		require.NoError(t, err)
		m.Retry(inproq.Delay(time.Hour))
		pullSettle(t, b)
		assert.EqualValues(t, 1, r.backlog().Delayed)
		r.settle(inproq.SettleRequest{Retries: []inproq.LeaseDelay{{LeaseID: lease, Delay: time.Hour}}})
		got, letter := r.letter("dead")
		assert.Equal(t, `"b"`, string(got.Body))
		assert.Equal(t, inproq.DeadLetter{Queue: "jobs", Attempts: 1, Reason: inproq.RetriesExhausted, Time: letter.Time}, letter)
	})
}
