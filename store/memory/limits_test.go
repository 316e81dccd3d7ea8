package memory

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

// A rig is a store with one queue, in a bubble.
type rig struct {
	*testing.T
	*Store
	sent uint64
}

func inBubble(t *testing.T, f func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, Store: New()}
		defer func() { assert.NoError(t, r.Close()) }()
		_, err := r.PutQueue(t.Context(), store.Queue{Name: "q"})
		require.NoError(t, err)
		f(r)
	})
}

func (r *rig) q() *queue {
	q, err := r.queue(context.Background(), "q")
	require.NoError(r, err)
	return q
}

func (r *rig) send(n int, delay time.Duration) {
	msgs := make([]store.Message, n)
	for i := range msgs {
		r.sent++
		binary.BigEndian.PutUint64(msgs[i].ID[:], r.sent)
		msgs[i].Body, msgs[i].Delay = fmt.Append(nil, r.sent), delay
	}
	_, err := r.Enqueue(r.Context(), "q", msgs)
	require.NoError(r, err)
}

func (r *rig) lease(c store.Claim) []store.Delivery {
	c.Visibility = time.Hour
	got, err := r.Lease(r.Context(), "q", c, nil)
	require.NoError(r, err)
	return got
}

func (r *rig) ack(ds []store.Delivery) {
	outcomes := make([]store.Outcome, len(ds))
	for i := range ds {
		outcomes[i].Lease = ds[i].Lease
	}
	lost, err := r.Settle(r.Context(), "q", outcomes)
	require.NoError(r, err)
	require.Empty(r, lost)
}

func (r *rig) retain(d time.Duration) {
	all, _, err := r.Queues(r.Context(), 0, 0)
	require.NoError(r, err)
	all[0].Retention = d
	_, err = r.PutQueue(r.Context(), all[0])
	require.NoError(r, err)
}

func (r *rig) stats() store.Stats {
	st, err := r.Stats(r.Context(), "q")
	require.NoError(r, err)
	return st
}

// The slab shrinks when its last entry goes, under the hands of Purge.
func TestPurgeOfAShrinkingSlab(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.send(slabKept*slabChunk+1000, time.Hour)
		r.send(500, time.Second)
		time.Sleep(time.Second)
		r.ack(r.lease(store.Claim{Max: 500}))
		require.NoError(t, r.Purge(t.Context(), "q"))
		assert.Zero(t, r.stats().Messages)
		r.send(1, time.Second)
		assert.EqualValues(t, 1, r.stats().Delayed)
	})
}

// A flow of delayed messages whose lives overlap leaves nothing behind.
func TestAgesDoNotGrow(t *testing.T) {
	inBubble(t, func(r *rig) {
		for range 2000 {
			r.send(10, 10*time.Second)
			time.Sleep(100 * time.Millisecond)
			r.ack(r.lease(store.Claim{Max: 100}))
		}
		q := r.q()
		assert.Less(t, q.slab.live, 1100)
		assert.LessOrEqual(t, len(q.ages.run)+len(q.ages.heap), 2*1100+64)
	})
}

// A delay may be so long that it never ends. Then nothing is on the wheel, and a
// change of the retention has to know that.
func TestDelayWithoutEnd(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.send(1, math.MaxInt64)
		r.retain(time.Hour)
		time.Sleep(time.Minute)
		assert.Equal(t, int64(1), r.stats().Delayed)
		r.retain(2 * time.Hour)
		r.send(1, time.Second) // now there is a wheel
		time.Sleep(time.Minute)
		assert.Equal(t, int64(1), r.stats().Delayed)
		r.retain(3 * time.Hour)
		time.Sleep(2 * time.Hour)
		assert.Equal(t, int64(1), r.stats().Delayed, "at the end of the first retentions it was not delivered")
		time.Sleep(time.Hour)
		assert.Zero(t, r.stats().Messages, "retention ends it")
		assert.Equal(t, int64(2), r.stats().Expired)
	})
}

// What a claim asks for need not fit into memory.
func TestClaimBeyondMemory(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.send(3, 0)
		assert.Len(t, r.lease(store.Claim{Min: 1, Max: math.MaxInt}), 3)
	})
}

// The history of records does not grow with the number of changes.
func TestHistoryIsCompacted(t *testing.T) {
	inBubble(t, func(r *rig) {
		for i := range 1000 {
			r.retain(time.Duration(i+1) * time.Hour)
		}
		assert.Less(t, len(r.changes), 100)
		all, last, err := r.Queues(t.Context(), 500, 0)
		require.NoError(t, err)
		require.Len(t, all, 1)
		assert.Equal(t, last, all[0].Revision)
	})
}

// Senders who find the first shard taken use others, and come back to it when the
// queue is empty.
func TestSendersDisperse(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.send(1, 0)
		in, err := r.Inlet("q")
		require.NoError(t, err)
		one := func() {
			_, err := in.Send(t.Context(), store.ID{}, []byte("x"), "text", r.Now())
			assert.NoError(t, err)
		}
		one()
		q := r.q()
		first := &(*q.inlets.Load())[0]
		for range manyMeetings {
			first.mu.Lock()
			done := make(chan struct{})
			go func() { defer close(done); one() }()
			for q.meetings.Load() == 0 { // until the sender waits for the lock
				runtime.Gosched()
			}
			q.meetings.Add(-1)
			first.mu.Unlock()
			<-done
		}
		assert.False(t, q.crowded.Load())
		q.meetings.Store(manyMeetings - 1)
		first.mu.Lock()
		done := make(chan struct{})
		go func() { defer close(done); one() }()
		for !q.crowded.Load() {
			runtime.Gosched()
		}
		one() // in another shard, although the first is taken
		first.mu.Unlock()
		<-done
		assert.Len(t, r.lease(store.Claim{Max: 100}), 3+manyMeetings+1)
		assert.False(t, q.crowded.Load(), "all is taken: the senders meet no more")
	})
}

// A lease that runs out when its entries are gone, and the slab has given back the
// memory of a flood, returns the fresh messages that it holds too.
func TestLeaseRunsOutAfterAFlood(t *testing.T) {
	inBubble(t, func(r *rig) {
		const flood, fresh = (slabKept + 1) * slabChunk, 10
		r.send(flood, time.Second)
		time.Sleep(2 * time.Second)
		r.send(fresh, 0)
		first := r.lease(store.Claim{Max: flood - fresh})
		mixed := r.lease(store.Claim{Max: 2 * fresh})
		require.Len(t, mixed, 2*fresh)
		r.ack(first)
		r.ack(mixed[:fresh]) // those that were delayed: they have waited longer
		time.Sleep(time.Hour)
		assert.Len(t, r.lease(store.Claim{Max: flood}), fresh)
	})
}

// What an Ack returns has all that was sent before, although senders that have met keep
// their counts to themselves.
func TestAckCountsWhatShardsKeep(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.send(10, 0)
		out, err := r.Outlet("q")
		require.NoError(t, err)
		ds := r.lease(store.Claim{Max: 10})
		r.q().crowded.Store(true)
		r.send(flushAt/2, 0)
		_, st, err := out.Ack(t.Context(), ds)
		require.NoError(t, err)
		assert.EqualValues(t, flushAt/2, st.Messages)
	})
}
