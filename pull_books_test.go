package inproq_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

func TestPullStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{MaxBatchSize: 4, MaxRetries: inproq.NoRetries, DeadLetterQueue: "dead"})
		pullNone(t, c, "")
		r.pull(inproq.PullRequest{})
		large := strings.Repeat("x", 64_000) // two operations, with its quotes
		r.send(large, "b")
		time.Sleep(time.Minute)
		typed := pullNow(t, c)
		r.send(large, large, "e")
		leases := r.pull(inproq.PullRequest{})
		time.Sleep(time.Second)
		st := r.stats()
		assert.Equal(t, []uint64{4, 2, 5, 0}, []uint64{st.Pulls, st.EmptyPulls, st.Delivered, st.Batches})
		assert.EqualValues(t, 8+2, st.Ops.Read, "each empty pull is one")
		assert.Zero(t, st.Lag, "of the latest batch")
		typed.Messages[0].Ack()
		typed.Messages[1].Retry()
		pullSettle(t, typed)
		r.settle(inproq.SettleRequest{
			Acks: []string{leases[0].LeaseID}, Retries: []inproq.LeaseDelay{{LeaseID: leases[1].LeaseID}},
			Extends: []inproq.LeaseDelay{{LeaseID: leases[2].LeaseID}},
		})
		st = r.stats()
		assert.Equal(t, []uint64{2, 2, 0, 0}, []uint64{st.Acked, st.DeadLettered, st.Retried, st.LeasesLost})
		assert.Equal(t, []uint64{4, 3, 0}, []uint64{st.Outcomes.Success, st.Outcomes.DeadLetter, st.Outcomes.Fail})
		assert.EqualValues(t, 8+3, st.Ops.Write, "sends, and moves to the dead-letter queue")
		assert.EqualValues(t, 4, st.Ops.Delete)
		assert.Zero(t, st.Running+st.Limit+int(st.FailedBatches))
	})
}

// Lag is the age of the oldest message of the latest pull.
func TestPullLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{})
		r.send("a")
		time.Sleep(time.Minute)
		r.send("b")
		pullNow(t, c)
		assert.Equal(t, time.Minute, r.stats().Lag)
		pullNone(t, c, "")
		assert.Equal(t, time.Minute, r.stats().Lag)
	})
}

// pullMixed returns a queue of numbers that holds a body which is none, among others.
func pullMixed(t *testing.T, r *pullRig) *inproq.Queue[int] {
	t.Helper()
	numbers, err := inproq.Declare[int](t.Context(), r.broker, "numbers", inproq.QueueConfig{})
	require.NoError(t, err)
	raw, err := inproq.Bind[[]byte](t.Context(), r.broker, "numbers")
	require.NoError(t, err)
	for _, body := range []string{"1", `"x"`, "3"} {
		_, err := raw.Send(t.Context(), []byte(body), inproq.ContentAs(inproq.JSON))
		require.NoError(t, err)
	}
	return numbers
}

// A body that does not decode fails alone: it is retried at once, and at last a dead
// letter that says why. The user gets the others.
func TestPullUndecodable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := pullConsumer(t, pullMixed(t, r), inproq.PullConfig{MaxRetries: 1, RetryDelay: time.Minute, DeadLetterQueue: "dead"})
		batch := pullNow(t, c)
		require.Len(t, batch.Messages, 2)
		assert.Equal(t, []int{1, 3}, []int{batch.Messages[0].Body, batch.Messages[1].Body})
		st := r.broker.Stats("numbers")
		assert.Equal(t, []uint64{3, 1, 1}, []uint64{st.Delivered, st.Undecodable, st.Retried})
		batch.Messages[1].Ack()
		batch.RetryAll(inproq.Delay(time.Hour))
		assert.Equal(t, inproq.SettleResult{Acked: 1, Retried: 1}, pullSettle(t, batch), "it is none of the user's")
		time.Sleep(time.Minute)
		assert.Empty(t, pullNow(t, c).Messages)
		m, letter := r.letter("dead")
		assert.Equal(t, `"x"`, string(m.Body))
		assert.Equal(t, inproq.Undecodable, letter.Reason)
		assert.Equal(t, 2, letter.Attempts)
		assert.Contains(t, letter.Error, "json body does not decode")
		st = r.broker.Stats("numbers")
		assert.Equal(t, []uint64{2, 1, 0}, []uint64{st.Undecodable, st.DeadLettered, st.EmptyPulls})
	})
}

// Batches yields none that has only bodies which do not decode.
func TestBatchesOfUndecodableBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := pullConsumer(t, pullMixed(t, r), inproq.PullConfig{MaxBatchSize: 1, MaxRetries: 2, DeadLetterQueue: "dead"})
		ctx, cancel := context.WithCancel(t.Context())
		var got []int
		loop := new(pullLoop)
		loop.wg.Go(func() {
			for batch, err := range c.Batches(ctx) {
				assert.NoError(t, err)
				loop.mu.Lock()
				got = append(got, batch.Messages[0].Body)
				loop.mu.Unlock()
				batch.AckAll()
			}
		})
		synctest.Wait()
		loop.mu.Lock()
		assert.Equal(t, []int{1, 3}, got)
		loop.mu.Unlock()
		_, letter := r.letter("dead")
		assert.Equal(t, 3, letter.Attempts)
		require.NoError(t, r.broker.Shutdown(t.Context()), "no turn is left open")
		cancel()
		loop.wg.Wait()
	})
}

// When what does not decode cannot be settled at once, the user's Settle does it.
func TestPullUndecodableAfterAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &pullStore{Store: accountStore(t)}
		r := newPullRig(t, inproq.Config{Store: st})
		c := pullConsumer(t, pullMixed(t, r), inproq.PullConfig{})
		st.set(nil, pullFails(1, errConsume))
		batch := pullNow(t, c)
		require.Len(t, batch.Messages, 2)
		require.Len(t, r.log.find("messages that do not decode not settled"), 1)
		batch.AckAll()
		assert.Equal(t, inproq.SettleResult{Acked: 2, Retried: 1}, pullSettle(t, batch))
	})
}

// What does not decode is settled although the pull's context has ended meanwhile.
func TestPullUndecodableAfterItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := newPullRig(t, inproq.Config{Store: &pullLate{&pullStore{Store: accountStore(t)}, cancel}})
		c := pullConsumer(t, pullMixed(t, r), inproq.PullConfig{})
		batch, err := c.Pull(ctx)
		require.NoError(t, err)
		assert.Len(t, batch.Messages, 2)
		assert.EqualValues(t, 1, r.broker.Stats("numbers").Retried)
	})
}

// What happens to pulled messages is told like what happens to others.
func TestPullEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{MaxRetries: inproq.NoRetries})
		ctx, cancel := context.WithCancel(t.Context())
		events := r.broker.Events(ctx, inproq.EventDelivered, inproq.EventAcked, inproq.EventDropped, inproq.EventLeaseLost, inproq.EventCallIgnored)
		r.send("a", "b")
		batch := pullNow(t, c)
		batch.Messages[0].Ack()
		batch.Messages[0].Retry()
		batch.Messages[1].Retry()
		pullSettle(t, batch)
		r.send("c")
		id := r.pullFirst(1)
		r.settle(inproq.SettleRequest{Acks: []string{id}})
		r.settle(inproq.SettleRequest{Acks: []string{id}})
		r.send("d")
		r.pullFirst(1)
		time.Sleep(time.Minute)
		pullNone(t, c, "spent")
		synctest.Wait()
		require.NoError(t, r.broker.Shutdown(t.Context()))
		var kinds []string
		for e := range events {
			kinds = append(kinds, fmt.Sprintf("%s %d", e.Kind, e.Attempts))
		}
		cancel()
		assert.Equal(t, []string{
			"delivered 1", "delivered 1", "call_ignored 0", "acked 1", "dropped 1",
			"delivered 1", "acked 1", "lease_lost 1",
			"delivered 1", "dropped 1",
		}, kinds)
	})
}
