package inproq_test

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/internal/leasetoken"
	"github.com/inproq/inproq/queuetest"
	"github.com/inproq/inproq/store"
)

const pullNoLease = "not a lease id of this queue"

// Broker.Pull returns bodies as they are stored, and what belongs to them.
func TestPullByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		r.consumer(inproq.PullConfig{})
		sent, err := r.queue.Send(t.Context(), "hello", inproq.Header("Tenant", "acme"))
		require.NoError(t, err)
		born := time.Now()
		time.Sleep(time.Minute)
		res, err := r.broker.Pull(t.Context(), "jobs", inproq.PullRequest{})
		require.NoError(t, err)
		require.Len(t, res.Messages, 1)
		m := res.Messages[0]
		assert.True(t, m.Timestamp.Equal(born))
		m.Timestamp = time.Time{}
		assert.Equal(t, inproq.PulledMessage{
			ID: sent.ID, LeaseID: m.LeaseID, Body: []byte(`"hello"`), ContentType: inproq.JSON,
			Headers: map[string]string{"Tenant": "acme"}, Attempts: 1,
		}, m)
		res, err = r.broker.Pull(t.Context(), "jobs", inproq.PullRequest{})
		require.NoError(t, err)
		assert.NotNil(t, res.Messages)
		assert.Empty(t, res.Messages)
		assert.Equal(t, inproq.SettleResult{Acked: 1}, r.settle(inproq.SettleRequest{Acks: []string{m.LeaseID}}))
		assert.Zero(t, r.settle(inproq.SettleRequest{}), "nothing asked, nothing done")
	})
}

// Lease ids are text without structure, and none is like another.
func TestPullLeaseIDsAreOpaque(t *testing.T) {
	r := newPullRig(t, inproq.Config{})
	r.consumer(inproq.PullConfig{})
	r.send("a", "b", "c")
	seen := make(map[string]bool)
	for _, m := range r.pull(inproq.PullRequest{}) {
		assert.Regexp(t, "^[A-Za-z0-9_-]{64,100}$", m.LeaseID)
		assert.NotContains(t, m.LeaseID, m.ID.String())
		seen[m.LeaseID] = true
	}
	assert.Len(t, seen, 3)
}

// What is no lease id of the queue is warned of, each time it is named, and keeps nothing
// else from being settled.
func TestPullSettleOfForgedLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{})
		other := accountDeclare(t, r.broker, "other", inproq.QueueConfig{})
		pullConsumer(t, other, inproq.PullConfig{})
		never := accountDeclare(t, r.broker, "never", inproq.QueueConfig{})
		accountSend(t, other, "x")
		accountSend(t, never, "x")
		res, err := r.broker.Pull(t.Context(), "other", inproq.PullRequest{})
		require.NoError(t, err)
		foreign := res.Messages[0].LeaseID

		r.send("a", "b")
		peeked, err := r.broker.Peek(t.Context(), "jobs", 1)
		require.NoError(t, err)
		ref := peeked[0].Ref
		good := r.pull(inproq.PullRequest{BatchSize: 1})[0].LeaseID
		tampered := []byte(good)
		tampered[len(tampered)/2] ^= 1
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(ref, "p."))
		require.NoError(t, err)
		forged := leasetoken.NewCodec(nil).Encode(&leasetoken.Token{Lease: string(raw), Attempts: 1, Size: 1})
		bad := []string{"", "x", ref, strings.TrimPrefix(ref, "p."), foreign, string(tampered), good + "A", good + "\n", good[1:], forged, strings.Repeat("A", 2<<20)}

		got := r.settle(inproq.SettleRequest{Acks: append(bad, good)})
		assert.Equal(t, 1, got.Acked)
		pullWarned(t, got, pullNoLease, bad...)
		for _, id := range bad {
			got = r.settle(inproq.SettleRequest{
				Acks:    []string{id, id},
				Retries: []inproq.LeaseDelay{{LeaseID: id}}, Extends: []inproq.LeaseDelay{{LeaseID: id}},
			})
			assert.Zero(t, got.Acked+got.Retried+got.Extended)
			pullWarned(t, got, pullNoLease, id)
		}
		_, m := pullOne(t, c, 1)
		assert.Equal(t, "b", m.Body, "untouched")

		// Of a queue that was never pulled from, there is no key to forge with.
		msgs, err := r.broker.Peek(t.Context(), "never", 1)
		require.NoError(t, err)
		raw, err = base64.RawURLEncoding.DecodeString(strings.TrimPrefix(msgs[0].Ref, "p."))
		require.NoError(t, err)
		forged = leasetoken.NewCodec(nil).Encode(&leasetoken.Token{Lease: string(raw), Attempts: 1, Size: 1})
		got, err = r.broker.Settle(t.Context(), "never", inproq.SettleRequest{Acks: []string{forged}})
		require.NoError(t, err)
		pullWarned(t, got, pullNoLease, forged)
		assert.Equal(t, 1, sendBacklog(t, r.broker, "never"))
	})
}

// Of a lease that is named twice the ack counts, then the retry, then the extension.
func TestPullSettleOfOneLeaseTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const twice = "named twice: the ack counts"
		r := newPullRig(t, inproq.Config{})
		r.consumer(inproq.PullConfig{})
		r.send("a", "b", "c", "d")
		var ids []string
		for _, m := range r.pull(inproq.PullRequest{}) {
			ids = append(ids, m.LeaseID)
		}
		all := []inproq.LeaseDelay{
			{LeaseID: ids[0], Delay: time.Hour}, {LeaseID: ids[1], Delay: time.Hour}, {LeaseID: ids[2], Delay: time.Hour},
		}
		res := r.settle(inproq.SettleRequest{Acks: []string{ids[0], ids[0]}, Retries: all[:2], Extends: all})
		assert.Equal(t, []int{1, 1, 1}, []int{res.Acked, res.Retried, res.Extended})
		pullWarned(t, res, twice, ids[0], ids[1])
		assert.Equal(t, []int64{1, 2}, []int64{r.backlog().Delayed, r.backlog().Leased})
		res = r.settle(inproq.SettleRequest{Retries: []inproq.LeaseDelay{{LeaseID: ids[3], Delay: time.Minute}, {LeaseID: ids[3], Delay: time.Hour}}})
		assert.Equal(t, 1, res.Retried)
		pullWarned(t, res, twice, ids[3])
		time.Sleep(time.Minute)
		assert.EqualValues(t, 1, r.backlog().Ready, "the first of two retries")
	})
}

func TestPullSettleOutOfBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		r.consumer(inproq.PullConfig{})
		r.send("a")
		id := r.pullFirst(1)
		for _, d := range []time.Duration{-2, 12*time.Hour + 1} {
			_, err := r.broker.Settle(t.Context(), "jobs", inproq.SettleRequest{Acks: []string{id}, Retries: []inproq.LeaseDelay{{LeaseID: "x", Delay: d}}})
			sendReject(t, err, inproq.ErrDelayOutOfRange, 10203, "12h0m0s", d.String(), `queue "jobs"`)
		}
		for _, d := range []time.Duration{-1, 12*time.Hour + 1} {
			_, err := r.broker.Settle(t.Context(), "jobs", inproq.SettleRequest{Acks: []string{id}, Extends: []inproq.LeaseDelay{{LeaseID: "x", Delay: d}}})
			sendReject(t, err, inproq.ErrInvalidConfig, 100128, "Extends.Delay is "+d.String(), "1ns to 12h0m0s", `queue "jobs"`)
		}
		assert.EqualValues(t, 1, r.backlog().Leased, "nothing is settled")
		for name, want := range map[string]error{"-": inproq.ErrInvalidQueueName, "none": inproq.ErrQueueNotFound} {
			_, err := r.broker.Settle(t.Context(), name, inproq.SettleRequest{Acks: []string{id}})
			require.ErrorIs(t, err, want)
		}
	})
}

// An extension is as long as it says, or as the consumer's visibility, from now.
func TestPullSettleExtends(t *testing.T) {
	for name, c := range map[string]struct {
		delay, want time.Duration
		remove      bool
		limit       time.Duration
	}{
		"own":                      {time.Hour, time.Hour, false, 0},
		"the consumer's":           {0, time.Minute, false, 0},
		"the default":              {0, 30 * time.Second, true, 0},
		"the default, by a limit":  {0, 20 * time.Second, true, 20 * time.Second},
		"the settings, by a limit": {0, 20 * time.Second, false, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := accountStore(t)
				first := newPullRig(t, inproq.Config{Store: st})
				first.consumer(inproq.PullConfig{VisibilityTimeout: time.Minute})
				first.send("a")
				id := first.pullFirst(1)
				if c.remove {
					require.NoError(t, first.broker.RemoveConsumer(t.Context(), "jobs"))
				}
				r := newPullRig(t, inproq.Config{Store: st, Limits: inproq.Limits{MaxVisibility: c.limit}})
				time.Sleep(50 * time.Second)
				assert.Equal(t, inproq.SettleResult{Extended: 1}, r.settle(inproq.SettleRequest{
					Extends: []inproq.LeaseDelay{{LeaseID: id, Delay: c.delay}},
				}))
				time.Sleep(c.want - time.Nanosecond)
				assert.EqualValues(t, 1, r.backlog().Leased)
				time.Sleep(time.Nanosecond)
				assert.EqualValues(t, 1, r.backlog().Ready)
				assert.Equal(t, inproq.SettleResult{Acked: 1}, r.settle(inproq.SettleRequest{Acks: []string{id}}), "the same lease")
			})
		})
	}
}

// A lease is good in another process on the same store.
func TestPullSettleInAnotherBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		first := newPullRig(t, inproq.Config{Store: st})
		first.consumer(inproq.PullConfig{MaxRetries: inproq.NoRetries, DeadLetterQueue: "dead"})
		for _, body := range []string{"acked", "spent"} {
			_, err := first.queue.Send(t.Context(), body, inproq.Header("Tenant", "acme"))
			require.NoError(t, err)
		}
		leases := first.pull(inproq.PullRequest{})
		require.NoError(t, first.broker.Shutdown(t.Context()))
		second := newPullRig(t, inproq.Config{Store: st})
		assert.Equal(t, inproq.SettleResult{Acked: 1, Retried: 1}, second.settle(inproq.SettleRequest{
			Acks: []string{leases[0].LeaseID}, Retries: []inproq.LeaseDelay{{LeaseID: leases[1].LeaseID}},
		}))
		m, letter := second.letter("dead")
		assert.Equal(t, leases[1].ID, m.ID)
		assert.Equal(t, "acme", m.Headers["Tenant"], "headers survive the last attempt")
		assert.Equal(t, inproq.RetriesExhausted, letter.Reason)
	})
}

// What was pulled is settled after the queue's consumer was removed: nothing is lost.
func TestPullSettleWithoutAConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		r.consumer(inproq.PullConfig{MaxRetries: inproq.NoRetries, RetryDelay: time.Hour})
		r.send("a", "b")
		leases := r.pull(inproq.PullRequest{})
		require.NoError(t, r.broker.RemoveConsumer(t.Context(), "jobs"))
		assert.Equal(t, inproq.SettleResult{Acked: 1, Retried: 1}, r.settle(inproq.SettleRequest{
			Acks: []string{leases[0].LeaseID}, Retries: []inproq.LeaseDelay{{LeaseID: leases[1].LeaseID}},
		}))
		assert.Equal(t, []int64{1, 0}, []int64{r.backlog().Ready, r.backlog().Leased}, "there is no policy that would delete it")
	})
}

// After a switch to push, leases are settled by the handler's policy.
func TestPullSettleAfterASwitchToPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		queuetest.Start(t, r.broker)
		synctest.Wait()
		c := r.consumer(inproq.PullConfig{RetryDelay: time.Minute})
		r.send("a", "b")
		leases := r.pull(inproq.PullRequest{})
		require.NoError(t, c.Stop(t.Context()))
		var sink accountSink
		accountConsume(t, r.queue, sink.handle, inproq.ConsumerConfig{RetryDelay: time.Second, MaxBatchTimeout: inproq.NoWait})
		assert.Equal(t, inproq.SettleResult{Acked: 1, Retried: 1}, r.settle(inproq.SettleRequest{
			Acks: []string{leases[0].LeaseID}, Retries: []inproq.LeaseDelay{{LeaseID: leases[1].LeaseID}},
		}))
		retried := time.Now()
		consumePass(time.Minute)
		assert.Equal(t, []accountDelivery{{"b", 2, retried.Add(time.Second)}}, sink.deliveries())
	})
}

// When MaxRetries was lowered after the pull, the lease does not know the headers that a
// dead letter needs. Then the next pull buries the message.
func TestPullHeadersSurviveLoweredRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{MaxRetries: 3, RetryDelay: time.Hour})
		_, err := r.queue.Send(t.Context(), "a", inproq.Header("Tenant", "acme"))
		require.NoError(t, err)
		id := r.pullFirst(1)
		_, err = r.broker.UpdateConsumer(t.Context(), "jobs", inproq.ConsumerUpdate{MaxRetries: new(0), DeadLetterQueue: new("dead")})
		require.NoError(t, err)
		assert.Equal(t, inproq.SettleResult{Retried: 1}, r.settle(inproq.SettleRequest{Retries: []inproq.LeaseDelay{{LeaseID: id}}}))
		pullNone(t, c, "it is spent")
		m, letter := r.letter("dead")
		assert.Equal(t, "acme", m.Headers["Tenant"])
		assert.Equal(t, inproq.DeadLetter{Queue: "jobs", Attempts: 1, Reason: inproq.Crashed, Time: letter.Time}, letter)
	})
}

// Headers may be larger than a lease id can carry.
func TestPullHeadersTooLargeForALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{Limits: inproq.Limits{MaxHeaderBytes: inproq.NoLimit}})
		c := r.consumer(inproq.PullConfig{MaxRetries: inproq.NoRetries, DeadLetterQueue: "dead"})
		large := strings.Repeat("x", 1<<20)
		for _, body := range []string{"acked", "spent"} {
			_, err := r.queue.Send(t.Context(), body, inproq.Header("Tenant", large))
			require.NoError(t, err)
		}
		leases := r.pull(inproq.PullRequest{})
		assert.Equal(t, inproq.SettleResult{Acked: 1, Retried: 1}, r.settle(inproq.SettleRequest{
			Acks: []string{leases[0].LeaseID}, Retries: []inproq.LeaseDelay{{LeaseID: leases[1].LeaseID}},
		}))
		pullNone(t, c, "it is spent")
		m, _ := r.letter("dead")
		assert.Len(t, m.Headers["Tenant"], 1<<20)
	})
}

// A settlement that the store refuses settles nothing, and may be repeated.
func TestPullSettleAfterAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &pullStore{Store: accountStore(t)}
		r := newPullRig(t, inproq.Config{Store: st})
		r.consumer(inproq.PullConfig{})
		r.send("a")
		req := inproq.SettleRequest{Acks: []string{r.pullFirst(1)}}
		st.set(nil, pullFails(1, store.ErrReadOnly))
		_, err := r.broker.Settle(t.Context(), "jobs", req)
		require.ErrorIs(t, err, store.ErrReadOnly)
		assert.Equal(t, inproq.SettleResult{Acked: 1}, r.settle(req))
		assert.EqualValues(t, 1, r.stats().Acked)

		st.set(nil, pullFails(1000, store.ErrUnavailable))
		r.send("b")
		began := time.Now()
		_, err = r.broker.Settle(context.Background(), "jobs", inproq.SettleRequest{Acks: []string{r.pullFirst(1)}})
		require.ErrorIs(t, err, store.ErrUnavailable)
		assert.Equal(t, 10*time.Second, time.Since(began), "it is tried that long")
	})
}
