package sqlite

import (
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

// together has calls written in one group.
func together(s *Store, calls ...func()) {
	s.wal.hold() // no round begins
	var all sync.WaitGroup
	for i, call := range calls {
		all.Go(call)
		awaitPending(s, i+1)
	}
	s.wal.release()
	all.Wait()
}

// awaitPending waits until n calls wait to be written.
func awaitPending(s *Store, n int) {
	for pending := 0; pending < n; runtime.Gosched() {
		s.mu.Lock()
		pending = len(s.pending)
		s.mu.Unlock()
	}
}

// What is due is read once, though several calls find out at the same time.
func TestSeveralUpkeepsAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queues.db")
	s := at(t, path)
	_, err := s.PutQueue(t.Context(), store.Queue{Name: "q", Retention: time.Hour})
	require.NoError(t, err)
	msgs := make([]store.Message, 100)
	for i := range msgs {
		msgs[i] = store.Message{ID: store.ID{byte(i)}, Body: []byte("x"), Delay: time.Nanosecond}
	}
	_, err = s.Enqueue(t.Context(), "q", msgs)
	require.NoError(t, err)
	require.NoError(t, s.Close())

	s = at(t, path)
	q, err := s.records.find("q")
	require.NoError(t, err)
	keepUp := func() { assert.NoError(t, s.keepUp(t.Context(), q)) }
	// The first round reads the queue; that bucket 0 is due is known from then on.
	together(s, keepUp, keepUp, keepUp)
	got, err := s.Lease(t.Context(), "q", store.Claim{Max: 1000, Visibility: time.Hour}, nil)
	require.NoError(t, err)
	assert.Len(t, got, 100)
	st, err := s.Stats(t.Context(), "q")
	require.NoError(t, err)
	assert.Equal(t, int64(100), st.Leased)
	assert.Zero(t, st.Delayed)
}

// When there are more messages in line than memory is to have, buckets wait in the
// file, and come in their order.
func TestBucketsThatWaitInTheFile(t *testing.T) {
	s := at(t, filepath.Join(t.TempDir(), "queues.db"))
	_, err := s.PutQueue(t.Context(), store.Queue{Name: "q"})
	require.NoError(t, err)
	q, err := s.records.find("q")
	require.NoError(t, err)
	const bucketsOf, each = 4, maxReady/2 + 1000
	for b := range bucketsOf {
		for range each / 1000 {
			msgs := make([]store.Message, 1000)
			for i := range msgs {
				msgs[i] = store.Message{Body: []byte{byte(b)}, Delay: time.Duration(b+1) * 2 * bucket}
			}
			_, err = s.Enqueue(t.Context(), "q", msgs)
			require.NoError(t, err)
		}
	}
	n := int64(each / 1000 * 1000 * bucketsOf)
	s.epoch = s.epoch.Add(-24 * time.Hour) // a day passes
	st, err := s.Stats(t.Context(), "q")
	require.NoError(t, err)
	assert.Equal(t, n, st.Messages)
	assert.Equal(t, int64(-1), st.Delayed, "some of those that count as delayed are due")
	q.mu.Lock()
	assert.Less(t, q.ready.len(), int(n))
	q.mu.Unlock()
	last, seen := byte(0), int64(0)
	var buf []store.Delivery
	for seen < n {
		buf, err = s.Lease(t.Context(), "q", store.Claim{Max: 1000, Visibility: time.Hour}, buf[:0])
		require.NoError(t, err)
		require.NotEmpty(t, buf)
		seen += int64(len(buf))
		outcomes := make([]store.Outcome, len(buf))
		for i, d := range buf {
			assert.GreaterOrEqual(t, d.Body[0], last)
			last = d.Body[0]
			outcomes[i].Lease = d.Lease
		}
		_, err = s.Settle(t.Context(), "q", outcomes)
		require.NoError(t, err)
	}
	st, err = s.Stats(t.Context(), "q")
	require.NoError(t, err)
	assert.Equal(t, store.Stats{}, st)
}
