package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// What is not decided stays leased; Settle may be called again, and settles each
// message once.
func TestPulledBatchIsSettledPieceByPiece(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{MaxBatchSize: 4, VisibilityTimeout: time.Minute})
		r.send("a", "b", "c", "d")
		batch := pullNow(t, c)
		assert.Zero(t, pullSettle(t, batch), "nothing is decided")
		assert.EqualValues(t, 4, r.backlog().Leased)
		batch.Messages[0].Ack()
		assert.EqualValues(t, 4, r.backlog().Leased, "nothing happens before Settle")
		assert.Equal(t, inproq.SettleResult{Acked: 1}, pullSettle(t, batch))
		assert.Zero(t, pullSettle(t, batch))
		batch.Messages[1].Retry(inproq.Delay(time.Hour))
		assert.Equal(t, inproq.SettleResult{Retried: 1}, pullSettle(t, batch))
		batch.Messages[2].Ack()
		batch.RetryAll(inproq.Delay(time.Hour))
		assert.Equal(t, inproq.SettleResult{Acked: 1, Retried: 1}, pullSettle(t, batch))
		assert.Zero(t, pullSettle(t, batch))
		assert.Equal(t, []int64{0, 2, 0}, []int64{r.backlog().Ready, r.backlog().Delayed, r.backlog().Leased})
		assert.Equal(t, []uint64{2, 2, 0}, []uint64{r.stats().Acked, r.stats().Retried, r.stats().LeasesLost})
	})
}

func TestPulledBatchUndecidedComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{})
		r.send("a", "b")
		batch := pullNow(t, c)
		batch.Messages[0].Ack()
		pullSettle(t, batch)
		time.Sleep(30 * time.Second)
		_, m := pullOne(t, c, 2)
		assert.Equal(t, "b", m.Body)
	})
}

// The first call decides, a message's own before those on the batch: as in a
// MessageBatch, but that there is no outcome to decide the rest.
func TestPulledBatchPrecedence(t *testing.T) {
	type pulled = *inproq.PulledBatch[string]
	calls := map[string]func(pulled){
		"Ack":      func(b pulled) { b.Messages[0].Ack() },
		"Retry":    func(b pulled) { b.Messages[0].Retry(inproq.Delay(time.Minute)) },
		"AckAll":   func(b pulled) { b.AckAll() },
		"RetryAll": func(b pulled) { b.RetryAll(inproq.Delay(time.Hour)) },
	}
	for _, row := range []struct {
		first, second string
		own, other    string // what becomes of the first message, and of the second: ack, retry delay, or nothing
		ignored       bool
	}{
		{"Ack", "Ack", "ack", "", false},
		{"Ack", "Retry", "ack", "", true},
		{"Ack", "AckAll", "ack", "ack", false},
		{"Ack", "RetryAll", "ack", "1h0m0s", false},
		{"Retry", "Ack", "1m0s", "", true},
		{"Retry", "Retry", "1m0s", "", false},
		{"Retry", "AckAll", "1m0s", "ack", false},
		{"Retry", "RetryAll", "1m0s", "1h0m0s", false},
		{"AckAll", "Ack", "ack", "ack", false},
		{"AckAll", "Retry", "ack", "ack", true},
		{"AckAll", "AckAll", "ack", "ack", false},
		{"AckAll", "RetryAll", "ack", "ack", true},
		{"RetryAll", "Ack", "1h0m0s", "1h0m0s", true},
		{"RetryAll", "Retry", "1m0s", "1h0m0s", false},
		{"RetryAll", "AckAll", "1h0m0s", "1h0m0s", true},
		{"RetryAll", "RetryAll", "1h0m0s", "1h0m0s", false},
	} {
		for _, between := range []bool{false, true} {
			t.Run(fmt.Sprint(row.first, " ", row.second, " settled between ", between), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newPullRig(t, inproq.Config{})
					c := r.consumer(inproq.PullConfig{VisibilityTimeout: 3 * time.Hour})
					r.send("own", "other")
					b := pullNow(t, c)
					began := time.Now()
					calls[row.first](b)
					if between {
						pullSettle(t, b)
					}
					calls[row.second](b)
					pullSettle(t, b)
					late := between && row.second == "Retry"
					assert.Equal(t, row.ignored && !late, len(r.log.find("call ignored: an earlier one")) == 1)
					assert.Equal(t, late, len(r.log.find("call ignored: the batch is settled")) == 1)
					if between && row.first == "RetryAll" && row.second == "Retry" {
						row.own = "1h0m0s" // too late for another delay
					}
					fates := map[string]string{}
					if st := r.stats(); st.Acked > 0 && row.own == "ack" {
						fates["own"] = "ack"
					}
					if st := r.stats(); st.Acked > 0 && row.other == "ack" {
						fates["other"] = "ack"
					}
					for range 120 { // before the leases run out
						for _, m := range pullNow(t, c).Messages {
							fates[m.Body] = time.Since(began).String()
						}
						time.Sleep(time.Minute)
					}
					assert.Equal(t, row.own, fates["own"])
					assert.Equal(t, row.other, fates["other"])
					want := 0
					for _, f := range []string{row.own, row.other} {
						if f == "ack" {
							want++
						}
					}
					assert.EqualValues(t, want, r.stats().Acked)
				})
			})
		}
	}
}

// A settlement that fails can be called again.
func TestPulledBatchSettleAfterAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &pullStore{Store: accountStore(t)}
		r := newPullRig(t, inproq.Config{Store: st})
		c := r.consumer(inproq.PullConfig{})
		r.send("a", "b")
		batch := pullNow(t, c)
		batch.Messages[0].Ack()
		batch.Messages[1].Retry()
		broken := errors.New("disk full")
		st.set(nil, pullFails(1, broken))
		res, err := batch.Settle(t.Context())
		require.ErrorIs(t, err, broken)
		assert.ErrorContains(t, err, `"jobs"`)
		assert.Zero(t, res)
		assert.Zero(t, r.stats().Acked+r.stats().Retried)
		assert.Equal(t, inproq.SettleResult{Acked: 1, Retried: 1}, pullSettle(t, batch))
		assert.Zero(t, pullSettle(t, batch))
	})
}

// Two that settle one batch at the same time do not settle a message twice.
func TestPulledBatchSettledByTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &pullStore{Store: accountStore(t)}
		r := newPullRig(t, inproq.Config{Store: st})
		c := r.consumer(inproq.PullConfig{})
		r.send("a", "b")
		batch := pullNow(t, c)
		batch.Messages[0].Ack()
		st.set(nil, func() error { time.Sleep(time.Second); return nil })
		loop := make(chan inproq.SettleResult, 1)
		first := new(pullLoop)
		first.wg.Go(func() {
			res, err := batch.Settle(context.Background())
			assert.NoError(t, err)
			loop <- res
		})
		synctest.Wait()
		batch.Messages[1].Ack()
		assert.Equal(t, inproq.SettleResult{Acked: 1}, pullSettle(t, batch))
		assert.Equal(t, inproq.SettleResult{Acked: 1}, <-loop)
		first.wg.Wait()
		assert.Zero(t, r.stats().LeasesLost)
	})
}

// The settlement of a queue that was deleted fails, and does not bring it back.
func TestPulledBatchOfADeletedQueue(t *testing.T) {
	r := newPullRig(t, inproq.Config{})
	c := r.consumer(inproq.PullConfig{})
	r.send("a")
	batch, m := pullOne(t, c, 1)
	require.NoError(t, r.broker.DeleteQueue(t.Context(), "jobs"))
	m.Ack()
	_, err := batch.Settle(t.Context())
	sendReject(t, err, inproq.ErrQueueNotFound, 10104, `"jobs"`)
	require.ErrorIs(t, batch.Extend(t.Context(), time.Second), inproq.ErrQueueNotFound)
}

// Extend counts from now, and concerns what is not settled.
func TestPulledBatchExtend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{})
		r.send("a", "b")
		batch := pullNow(t, c)
		batch.Messages[0].Retry(inproq.Delay(time.Second))
		pullSettle(t, batch)
		time.Sleep(20 * time.Second)
		require.NoError(t, batch.Extend(t.Context(), time.Minute))
		pullOne(t, c, 2)
		time.Sleep(29 * time.Second)
		require.NoError(t, batch.Extend(t.Context(), 10*time.Second), "shorter is fine too")
		time.Sleep(10*time.Second - time.Nanosecond)
		assert.Equal(t, []int64{1, 1}, []int64{r.backlog().Ready, r.backlog().Leased}, "a's second lease has run out, b's first has not")
		time.Sleep(time.Nanosecond)
		assert.EqualValues(t, 2, r.backlog().Ready)
		require.NoError(t, batch.Extend(t.Context(), time.Minute), "nobody else has it")
		assert.EqualValues(t, 1, r.backlog().Leased)
		assert.Empty(t, r.log.find("leases lost"))
		batch.AckAll()
		assert.Equal(t, inproq.SettleResult{Acked: 1}, pullSettle(t, batch))
	})
}

func TestPulledBatchExtendOutOfBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{})
		r.send("a")
		batch, _ := pullOne(t, c, 1)
		for text, d := range map[string]time.Duration{
			"visibility is 0s, allowed: 1ns to 12h0m0s":   0,
			"visibility is -1ns, allowed: 1ns to 12h0m0s": -1,
			"visibility is 12h0m0.000000001s, allowed":    12*time.Hour + 1,
		} {
			sendReject(t, batch.Extend(t.Context(), d), inproq.ErrInvalidConfig, 100128, text)
		}
		require.NoError(t, batch.Extend(t.Context(), 12*time.Hour))
		time.Sleep(12*time.Hour - time.Nanosecond)
		pullNone(t, c, "still leased")
		require.NoError(t, batch.Extend(t.Context(), 1))
		time.Sleep(time.Millisecond)
		pullOne(t, c, 2)
	})
}

// A lease that Extend finds lost is logged, and told again by the Settle that would
// have settled it.
func TestPulledBatchExtendOfALostLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{})
		r.send("a", "b")
		batch := pullNow(t, c)
		time.Sleep(30 * time.Second)
		other := pullNow(t, c)
		require.Len(t, other.Messages, 2)
		require.NoError(t, batch.Extend(t.Context(), time.Hour))
		require.NoError(t, batch.Extend(t.Context(), time.Hour))
		lines := r.log.find("leases lost")
		require.Len(t, lines, 1, "once")
		assert.Equal(t, slog.LevelWarn, lines[0].Level)
		assert.Equal(t, map[string]any{"queue": "jobs", "messages": int64(2)}, lines[0].Attrs)
		batch.Messages[0].Ack()
		pullWarned(t, pullSettle(t, batch), "lease is lost", batch.Messages[0].ID.String())
		assert.Zero(t, pullSettle(t, batch))
		other.AckAll()
		assert.Equal(t, inproq.SettleResult{Acked: 2}, pullSettle(t, other))
	})
}

func TestPulledBatchMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{MaxBatchSize: 2})
		r.send("a", "b", "c")
		_, err := r.queue.Send(t.Context(), "late", inproq.Delay(time.Hour))
		require.NoError(t, err)
		assert.Equal(t, inproq.Metrics{BacklogCount: 2, BacklogBytes: 9}, pullNow(t, c).Metrics, "what remains; its oldest is in the batch")
		res, err := r.broker.Pull(t.Context(), "jobs", inproq.PullRequest{BatchSize: 1})
		require.NoError(t, err)
		assert.EqualValues(t, 3, res.Metrics.BacklogCount, "unacknowledged, leased and delayed included")
		assert.EqualValues(t, 12, res.Metrics.BacklogBytes)
	})
}

// Calls that a batch made by hand gets do nothing.
func TestPulledBatchMadeByHand(t *testing.T) {
	var b inproq.PulledBatch[string]
	b.AckAll()
	b.RetryAll()
	assert.Zero(t, pullSettle(t, &b))
	assert.NoError(t, b.Extend(t.Context(), time.Second))
}

// An Extend that a Settle overtakes takes no settled message for a lost one.
func TestPulledBatchSettledWhileItIsExtended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &pullStore{Store: accountStore(t)}
		r := newPullRig(t, inproq.Config{Store: st})
		c := r.consumer(inproq.PullConfig{})
		r.send("a")
		batch, m := pullOne(t, c, 1)
		st.set(nil, func() error { time.Sleep(time.Second); return nil })
		extends := new(pullLoop)
		extends.wg.Go(func() { assert.NoError(t, batch.Extend(context.Background(), time.Minute)) })
		synctest.Wait()
		st.set(nil, nil)
		m.Ack()
		assert.Equal(t, inproq.SettleResult{Acked: 1}, pullSettle(t, batch))
		extends.wg.Wait()
		assert.Empty(t, r.log.find("leases lost"))
		assert.Zero(t, pullSettle(t, batch), "it is settled already")
	})
}
