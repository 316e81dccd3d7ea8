package inproq_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

// pullWaits returns the times between calls.
func pullWaits(calls []time.Time) []time.Duration {
	var waits []time.Duration
	for i := 1; i < len(calls); i++ {
		waits = append(waits, calls[i].Sub(calls[i-1]))
	}
	return waits
}

// While the store is out of reach a loop gets errors, with a pause that grows from 50
// milliseconds to 5 seconds.
func TestBatchesWhileTheStoreIsOutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ms, s = time.Millisecond, time.Second
		st := &pullStore{Store: accountStore(t)}
		r := newPullRig(t, inproq.Config{Store: st})
		c := r.consumer(inproq.PullConfig{})
		r.send("a")
		st.set(pullFails(10, store.ErrUnavailable), nil)
		ctx, cancel := context.WithCancel(t.Context())
		l := pullStart(ctx, c, pullAckAll)
		consumePass(time.Hour)
		assert.Equal(t, []string{"a"}, l.bodies())
		require.Len(t, l.failures(), 10)
		require.ErrorIs(t, l.failures()[0], store.ErrUnavailable)
		assert.ErrorContains(t, l.failures()[0], `"jobs"`)
		assert.Equal(t, []time.Duration{
			50 * ms, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 5 * s, 5 * s, 5 * s, 0,
		}, pullWaits(st.leases()))
		cancel()
		l.wg.Wait()
	})
}

// A success lets the pause begin anew.
func TestBatchesPauseBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &pullStore{Store: accountStore(t)}
		r := newPullRig(t, inproq.Config{Store: st})
		c := r.consumer(inproq.PullConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r.send("a")
		st.set(pullFails(3, errors.New("no route")), nil)
		l := pullStart(ctx, c, func(b *inproq.PulledBatch[string]) bool {
			b.AckAll()
			if b.Messages[0].Body == "a" {
				st.set(pullFails(2, errors.New("no route")), nil)
			}
			return true
		})
		consumePass(time.Minute)
		assert.Equal(t, []time.Duration{50 * time.Millisecond, 100 * time.Millisecond}, pullWaits(st.leases()))
		assert.Len(t, l.failures(), 5)
		cancel()
		l.wg.Wait()
	})
}

// A loop that is told of an error may be left, and a pause after one ends with the loop.
func TestBatchesEndAfterAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &pullStore{Store: accountStore(t)}
		r := newPullRig(t, inproq.Config{Store: st})
		c := r.consumer(inproq.PullConfig{})
		st.set(pullFails(1000, store.ErrUnavailable), nil)
		n := 0
		for batch, err := range c.Batches(t.Context()) {
			assert.Nil(t, batch)
			require.ErrorIs(t, err, store.ErrUnavailable)
			if n++; n == 8 {
				break
			}
		}
		began := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		first, second := pullStart(ctx, c, pullAckAll), pullStart(t.Context(), c, pullAckAll)
		consumePass(20 * time.Second)
		cancel()
		first.wg.Wait()
		require.NoError(t, r.broker.Shutdown(t.Context()))
		second.wg.Wait()
		assert.Equal(t, 20*time.Second, time.Since(began))
	})
}

// After a settlement that failed, a loop gets the error, and goes on after a pause that
// grows too: a store that delivers and does not settle would burn all attempts.
func TestBatchesWhoseSettlementsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ms = time.Millisecond
		st := &pullStore{Store: accountStore(t)}
		r := newPullRig(t, inproq.Config{Store: st})
		c := r.consumer(inproq.PullConfig{MaxBatchSize: 1, VisibilityTimeout: time.Minute})
		r.send("a", "b", "c", "d", "e")
		broken := errors.New("disk full")
		st.set(nil, pullFails(3, broken))
		ctx, cancel := context.WithCancel(t.Context())
		l := pullStart(ctx, c, pullAckAll)
		consumePass(30 * time.Second)
		assert.Equal(t, []string{"a", "b", "c", "d", "e"}, l.bodies())
		assert.Equal(t, []time.Duration{50 * ms, 100 * ms, 200 * ms, 0, 0}, pullWaits(st.leases()))
		require.Len(t, l.failures(), 3)
		require.ErrorIs(t, l.failures()[2], broken)
		consumePass(time.Minute)
		assert.Equal(t, []string{"a", "b", "c", "d", "e", "a", "b", "c"}, l.bodies(), "they come again")
		assert.Zero(t, sendBacklog(t, r.broker, "jobs"))
		cancel()
		l.wg.Wait()
	})
}

// Who leaves the loop is not told that its last settlement failed: the log is.
func TestBatchesWhoseLastSettlementFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &pullStore{Store: accountStore(t)}
		r := newPullRig(t, inproq.Config{Store: st})
		c := r.consumer(inproq.PullConfig{})
		r.send("a")
		st.set(nil, pullFails(1000, store.ErrUnavailable))
		began := time.Now()
		for batch, err := range c.Batches(t.Context()) {
			require.NoError(t, err)
			batch.AckAll()
			break
		}
		assert.Equal(t, 5*time.Second, time.Since(began), "it is tried that long")
		lines := r.log.find("batch not settled")
		require.Len(t, lines, 1)
		assert.Equal(t, "jobs", lines[0].Attrs["queue"])
	})
}

// A turn that outlives its leases is told of in the log.
func TestBatchesWithLostLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{})
		r.send("a", "b")
		for batch, err := range c.Batches(t.Context()) {
			require.NoError(t, err)
			time.Sleep(30 * time.Second)
			require.Len(t, pullNow(t, c).Messages, 2)
			batch.AckAll()
			break
		}
		lines := r.log.find("leases lost")
		require.Len(t, lines, 1)
		assert.Equal(t, map[string]any{"queue": "jobs", "messages": int64(2)}, lines[0].Attrs)
		assert.EqualValues(t, 2, r.backlog().Leased)
	})
}

// A context that ends during a turn does not keep its settlement from the store.
func TestBatchesSettleAfterTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{})
		r.send("a")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for batch, err := range c.Batches(ctx) {
			require.NoError(t, err)
			batch.AckAll()
			cancel()
		}
		assert.EqualValues(t, 1, r.stats().Acked)
	})
}

// What a store hands out although the loop has ended meanwhile goes back unseen.
func TestBatchesReleaseWhatComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		st := &pullStore{Store: accountStore(t)}
		late := &pullLate{pullStore: st, after: cancel}
		r := newPullRig(t, inproq.Config{Store: late})
		c := r.consumer(inproq.PullConfig{})
		r.send("a")
		for _, err := range c.Batches(ctx) {
			t.Error("it has ended", err)
		}
		assert.EqualValues(t, 1, r.backlog().Ready)
		late.after = func() {}
		pullOne(t, c, 1)
		assert.EqualValues(t, 1, r.stats().Delivered)
	})
}

// A pullLate is a store whose Lease returns just when something happens.
type pullLate struct {
	*pullStore
	after func()
}

func (s *pullLate) Lease(ctx context.Context, queue string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
	buf, err := s.pullStore.Lease(ctx, queue, c, buf)
	s.after()
	return buf, err
}

// A loop that waits ends with a shutdown, whoever the store belongs to, and with its
// store.
func TestBatchesEndWithTheBrokerOrItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		first, second := newPullRig(t, inproq.Config{Store: st}), newPullRig(t, inproq.Config{Store: st})
		a := pullStart(t.Context(), first.consumer(inproq.PullConfig{}), pullAckAll)
		b := pullStart(t.Context(), second.consumer(inproq.PullConfig{}), pullAckAll)
		synctest.Wait()
		require.NoError(t, first.broker.Shutdown(t.Context()))
		synctest.Wait()
		assert.Equal(t, []bool{true, false}, []bool{a.over(), b.over()})
		assert.Empty(t, a.failures())
		require.NoError(t, st.Close())
		b.wg.Wait()
		require.Len(t, b.failures(), 1)
		assert.ErrorIs(t, b.failures()[0], inproq.ErrBrokerClosed)
	})
}
