package memory

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

func (r *rig) peek(after store.Lease, limit int) []store.Delivery {
	got, err := r.Peek(r.Context(), "q", after, limit)
	require.NoError(r, err)
	return got
}

func (r *rig) settle(outcomes ...store.Outcome) []int {
	lost, err := r.Settle(r.Context(), "q", outcomes)
	require.NoError(r, err)
	return lost
}

// References count places in a lane, and settling some of them does not shift the
// others, although whole chunks are dead then.
func TestReferencesKeepTheirPlaces(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.send(1000, 0)
		all := r.peek("", 1000)
		require.Len(t, all, 1000)
		r.ack(all[chunkSlots : 2*chunkSlots])
		assert.Len(t, r.peek(all[chunkSlots-1].Lease, 1000), 1000-2*chunkSlots, "behind the first chunk comes the third")
		r.ack(all[2*chunkSlots:])
		r.ack(all[:chunkSlots])
		assert.Zero(t, r.stats().Messages)
		assert.Empty(t, r.lease(store.Claim{Max: 10}))
	})
}

// The position in a lease may be made up. It leads to nothing outside the lease.
func TestPositionOutsideALease(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.send(2, 0)
		first := r.lease(store.Claim{Max: 1})
		require.Empty(t, r.settle(store.Outcome{Lease: first[0].Lease, Verb: store.Release}))
		batch := r.lease(store.Claim{Max: 2}) // one that was returned, and a fresh one
		require.Len(t, batch, 2)
		for position := range uint32(3) {
			forged := []byte(batch[1].Lease)
			if binary.LittleEndian.Uint32(forged[4:]) == inRun|position {
				continue
			}
			binary.LittleEndian.PutUint32(forged[4:], inRun|position)
			assert.Equal(t, []int{0}, r.settle(store.Outcome{Lease: store.Lease(forged)}))
		}
		r.ack(batch)
	})
}

// What one outcome releases, the next of the same call may take.
func TestReleaseAndReferenceInOneCall(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.send(1, 0)
		held := r.lease(store.Claim{Max: 1})
		require.Empty(t, r.settle(store.Outcome{Lease: held[0].Lease, Verb: store.Release}))
		seen := r.peek("", 1)
		held = r.lease(store.Claim{Max: 1})
		r.settle(store.Outcome{Lease: held[0].Lease, Verb: store.Release}, store.Outcome{Lease: seen[0].Lease, Verb: store.Ack})
		r.send(3, time.Second)
		time.Sleep(time.Second)
		r.ack(r.lease(store.Claim{Max: 10}))
		assert.Zero(t, r.stats().Messages)
	})
}

// Looking after every send does not cost a chunk for each message.
func TestLookingAfterEverySend(t *testing.T) {
	inBubble(t, func(r *rig) {
		for range 10 * chunkSlots {
			r.send(1, 0)
			r.peek("", 1)
		}
		chunks := 0
		for i := range r.q().lanes {
			for c := r.q().lanes[i].list.head; c != nil; c = c.next {
				chunks++
			}
		}
		assert.LessOrEqual(t, chunks, 11)
		for range 10 * chunkSlots {
			r.send(1, 0)
			r.ack(r.lease(store.Claim{Max: 1}))
		}
		assert.Equal(t, int64(10*chunkSlots), r.stats().Messages)
	})
}
