package memory

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

// made reports whether the queue q is more than its record.
func (r *rig) made() bool {
	rec, err := r.record("q")
	require.NoError(r, err)
	return rec.made.Load() != nil
}

// What only looks at a queue, or gets ready for its use, does not make it.
func TestQueueIsMadeByItsFirstUse(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.retain(time.Hour)
		assert.Zero(t, r.stats())
		in, err := r.Inlet("q")
		require.NoError(t, err)
		assert.Zero(t, in.Sent())
		assert.False(t, r.made())
		_, err = in.Send(t.Context(), store.ID{}, []byte("x"), "text", r.Now())
		require.NoError(t, err)
		assert.True(t, r.made())
		assert.EqualValues(t, 1, in.Sent())
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.EqualValues(t, 1, r.stats().Expired, "the retention of before counts")
	})
}

// A pause from before the first use holds.
func TestQueueIsMadePaused(t *testing.T) {
	inBubble(t, func(r *rig) {
		_, err := r.PutQueue(t.Context(), store.Queue{Name: "paused", Paused: true})
		require.NoError(t, err)
		_, err = r.Lease(t.Context(), "paused", store.Claim{}, nil)
		require.ErrorIs(t, err, store.ErrPaused)
	})
}

// A queue that ended before its first use has none.
func TestEndBeforeTheFirstUse(t *testing.T) {
	inBubble(t, func(r *rig) {
		use := func(in store.Inlet) error {
			_, err := in.Send(t.Context(), store.ID{}, []byte("x"), "text", r.Now())
			return err
		}
		deleted, err := r.Inlet("q")
		require.NoError(t, err)
		require.NoError(t, r.DeleteQueue(t.Context(), "q"))
		require.ErrorIs(t, use(deleted), store.ErrQueueNotFound)
		_, err = r.Inlet("q")
		require.ErrorIs(t, err, store.ErrQueueNotFound)
		_, err = r.Stats(t.Context(), "q")
		require.ErrorIs(t, err, store.ErrQueueNotFound)

		_, err = r.PutQueue(t.Context(), store.Queue{Name: "q"})
		require.NoError(t, err)
		require.ErrorIs(t, use(deleted), store.ErrQueueNotFound, "the name was taken anew")
		unused, err := r.Inlet("q")
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.ErrorIs(t, use(unused), store.ErrClosed)
		_, err = r.Stats(t.Context(), "q")
		require.ErrorIs(t, err, store.ErrClosed)
	})
}

// The tombstone of a name that was taken anew is listed no more.
func TestTombstoneIsReplaced(t *testing.T) {
	inBubble(t, func(r *rig) {
		for range 3 {
			require.NoError(t, r.DeleteQueue(t.Context(), "q"))
			changes, last, err := r.Queues(t.Context(), 1, 0)
			require.NoError(t, err)
			assert.Equal(t, []store.Queue{{Name: "q", Deleted: true, Revision: last}}, changes)
			_, err = r.PutQueue(t.Context(), store.Queue{Name: "q"})
			require.NoError(t, err)
			changes, last, err = r.Queues(t.Context(), 1, 0)
			require.NoError(t, err)
			assert.Equal(t, []store.Queue{{Name: "q", Revision: last}}, changes)
		}
		assert.Equal(t, 1, r.names)
	})
}

// Whoever uses a queue first, all use the same, or none when it is deleted meanwhile.
func TestFirstUseByMany(t *testing.T) {
	s := New()
	for i := range 200 {
		name := fmt.Sprint(i)
		rec, err := s.PutQueue(t.Context(), store.Queue{Name: name})
		require.NoError(t, err)
		in, err := s.Inlet(name)
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				_, err := s.Enqueue(t.Context(), name, []store.Message{{Body: []byte("x")}})
				assert.NoError(t, err)
			})
			wg.Go(func() {
				_, err := in.Send(t.Context(), store.ID{}, []byte("x"), "text", s.Now())
				assert.NoError(t, err)
			})
		}
		wg.Go(func() {
			rec.Paused = true
			_, err := s.PutQueue(t.Context(), rec)
			assert.NoError(t, err)
		})
		wg.Wait()
		st, err := s.Stats(t.Context(), name)
		require.NoError(t, err)
		assert.EqualValues(t, 6, st.Messages)
		assert.EqualValues(t, 3, in.Sent())
		_, err = s.Lease(t.Context(), name, store.Claim{Max: 6}, nil)
		require.ErrorIs(t, err, store.ErrPaused)
	}
	require.NoError(t, s.Close())
}
