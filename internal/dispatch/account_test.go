package dispatch

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/store"
)

func TestOpUnits(t *testing.T) {
	for n, want := range map[int]uint64{0: 1, 1: 1, 63_999: 1, 64_000: 1, 64_001: 2, 128_000: 2, 128_001: 3} {
		assert.Equal(t, want, OpUnits(n), "%d bytes", n)
	}
}

func TestCountersOfAMixture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, succeed)
		sizes := []int{0, 1, 64_001, 128_000, 64_000, 10, 70_000, 1}
		ds := make([]store.Delivery, len(sizes))
		for i, n := range sizes {
			ds[i].Body = bytes.Repeat([]byte("x"), n)
		}
		list := []store.Outcome{
			{Verb: store.Ack},               // acked, 1 unit
			{Verb: store.Retry},             // retried
			{Verb: store.Ack},               // acked, 2 units
			{Verb: store.Move, To: "dead"},  // moved, 2 units
			{Verb: store.Ack},               // dropped, 1 unit
			{Verb: store.Ack},               // acked, and lost
			{Verb: store.Move, To: "dead"},  // moved, and lost
			{Verb: store.Retry, Delay: 1e9}, // retried
		}
		dead := []spent{{i: 3, reason: RetriesExhausted}, {i: 4, reason: Crashed}, {i: 6, reason: Crashed}}
		r.flowed(r.account(ds, &ruling{list: list, dead: dead}, []int{5, 6}), 0)
		c := r.cfg.Counters
		assert.EqualValues(t, 2, c.Acked.Load())
		assert.EqualValues(t, 2, c.Retried.Load())
		assert.EqualValues(t, 1, c.DeadLettered.Load())
		assert.EqualValues(t, 1, c.Dropped.Load())
		assert.EqualValues(t, 2, c.LeasesLost.Load())
		assert.EqualValues(t, 2, c.WriteOps.Load())
		assert.EqualValues(t, 1+2+1, c.DeleteOps.Load())
		assert.EqualValues(t, 1+2, c.SuccessOps.Load())
		assert.EqualValues(t, 2, c.DeadLetterOps.Load())
		assert.EqualValues(t, 1+1+1, c.FailOps.Load())
		assert.Equal(t, flow{left: 4, back: 2}, r.flow)
	})
}

func TestCountersOfAWholeLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(_ context.Context, b *Batch) error {
			time.Sleep(time.Second)
			if b.Deliveries[0].Attempts > 1 {
				return errors.New("refused")
			}
			b.Ack(0)
			b.Retry(1, settlement.Retry{})
			return nil
		}, with(func(s *Settings) { s.BatchSize, s.MaxRetries, s.BatchTimeout = 3, 1, 2*time.Second }))
		r.send(2)
		time.Sleep(time.Minute)
		c := r.cfg.Counters
		assert.EqualValues(t, 2, c.Batches.Load())
		assert.EqualValues(t, 1, c.FailedBatches.Load())
		assert.EqualValues(t, 3, c.Delivered.Load())
		assert.EqualValues(t, 3, c.ReadOps.Load())
		assert.EqualValues(t, 1, c.Acked.Load())
		assert.EqualValues(t, 1, c.Retried.Load())
		assert.EqualValues(t, 1, c.Dropped.Load())
		assert.EqualValues(t, 2, c.DeleteOps.Load())
		assert.Equal(t, 5*time.Second, time.Duration(c.Lag.Load()).Round(10*time.Millisecond), "from the send to the second delivery")
		assert.Len(t, r.book.find("message deleted: it has no attempts left and the consumer no dead-letter queue"), 1)
	})
}

func TestArrivalsAreCountedFromTheBacklog(t *testing.T) {
	var f flow
	assert.EqualValues(t, 100, f.arrived(f.mark(), store.Stats{Messages: 100}), "a backlog found at the start is urgent")
	assert.EqualValues(t, 0, f.arrived(f.mark(), store.Stats{Messages: 100}))
	f.left += 10
	assert.EqualValues(t, 0, f.arrived(f.mark(), store.Stats{Messages: 90}), "they left, nothing came")
	f.left += 10
	assert.EqualValues(t, 10, f.arrived(f.mark(), store.Stats{Messages: 90}), "as many came as left")
	f.back += 5
	assert.EqualValues(t, 5, f.arrived(f.mark(), store.Stats{Messages: 90}), "what comes back arrives again")
	assert.EqualValues(t, 0, f.arrived(f.mark(), store.Stats{Messages: 70, Expired: 20}), "what expired has not left through here")
	assert.EqualValues(t, 0, f.arrived(f.mark(), store.Stats{Messages: 0, Expired: 20}), "a purge is no arrival")
	assert.EqualValues(t, 3, f.arrived(f.mark(), store.Stats{Messages: 3, Expired: 20}))
	assert.EqualValues(t, 5, new(flow).arrived(mark{}, store.Stats{Messages: 5, Expired: -1}), "unknown")
}

// TestConsumerSeesTheProducersRate: the engine is told nothing of sends.
func TestConsumerSeesTheProducersRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(time.Second), with(func(s *Settings) { s.MaxConcurrency = 10 }))
		for range 300 {
			r.send(20) // in a second
			time.Sleep(time.Second)
		}
		d := r.State().LastScale
		assert.InDelta(t, 20, d.ArrivalRate, 2)
		assert.InDelta(t, 1, d.ServiceSeconds, 0.01)
		assert.Zero(t, d.FailureRate)
		assert.GreaterOrEqual(t, r.State().Limit, 2)
		assert.LessOrEqual(t, r.State().Limit, 4)
		assert.LessOrEqual(t, r.stats().Messages, int64(60), "it keeps up")
	})
}

func TestBacklogIsWhatRemains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backlogs := make(chan store.Stats, 10)
		r := newRig(t, func(_ context.Context, b *Batch) error { backlogs <- b.Backlog; return nil })
		first := time.Now()
		r.send(10)
		time.Sleep(time.Second)
		r.send(5)
		r.Start(t.Context())
		synctest.Wait()
		st := <-backlogs
		assert.EqualValues(t, 5, st.Messages)
		assert.EqualValues(t, 5*len("body"), st.Bytes)
		assert.True(t, st.Oldest.IsZero() || st.Oldest.After(first), "the oldest is in the batch")
		time.Sleep(time.Minute)
		st = <-backlogs
		assert.Zero(t, st.Messages)
		assert.Zero(t, st.Bytes)
		assert.True(t, st.Oldest.IsZero())
	})
}

// The figures that came with the lease still have those that were buried since.
func TestBacklogIsWithoutTheBuried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backlogs := make(chan store.Stats, 1)
		r := newRig(t, func(_ context.Context, b *Batch) error { backlogs <- b.Backlog; return nil }, local,
			with(func(s *Settings) { s.MaxRetries = 0 }))
		r.send(3)
		_, err := r.store.Lease(t.Context(), "q", store.Claim{Max: 3, Visibility: time.Second}, nil)
		require.NoError(t, err)
		time.Sleep(2 * time.Second) // it crashed: they are spent
		r.send(9)
		r.Start(t.Context())
		synctest.Wait()
		st := <-backlogs
		assert.Equal(t, []int{7}, r.seen.sizes(), "with the three it was full")
		assert.EqualValues(t, 2, st.Messages)
		assert.EqualValues(t, 2*len("body"), st.Bytes)
	})
}

func TestBacklogKnowsAnOlderMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, succeed)
		r.sendDelayed(1, time.Hour)
		old := time.Now()
		time.Sleep(time.Minute)
		r.send(1)
		ds, err := r.store.Lease(t.Context(), "q", store.Claim{Visibility: time.Hour}, nil)
		require.NoError(t, err)
		s := surveyOf(ds)
		assert.Equal(t, survey{bytes: 4, units: 1, first: old.Add(time.Minute), base: old.Add(time.Minute).UnixNano(), largest: 4}, s)
		assert.True(t, old.Equal(r.backlogAfterStart(&s).Oldest))
	})
}

// backlogAfterStart is backlog for an engine that was not started.
func (r *rig) backlogAfterStart(s *survey) store.Stats {
	r.base = context.Background()
	return r.backlog(1, s)
}

func TestSurveyFindsTheOldestOfThoseThatCameBack(t *testing.T) {
	at := time.Unix(1000, 0)
	ds := []store.Delivery{{Sent: at, Attempts: 1}, {Sent: at.Add(time.Second), Attempts: 1}, {Sent: at.Add(-time.Hour), Attempts: 2}}
	assert.Equal(t, at.Add(-time.Hour), surveyOf(ds).first)
}
