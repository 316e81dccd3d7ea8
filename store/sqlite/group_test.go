package sqlite

import (
	"context"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

// What calls do to each other when they are written in one transaction.

// newQ is a store with a queue "q" and some messages in it.
func newQ(t *testing.T, path string, bodies ...string) *Store {
	t.Helper()
	s := at(t, path)
	_, err := s.PutQueue(t.Context(), store.Queue{Name: "q"})
	require.NoError(t, err)
	for i, body := range bodies {
		_, err = s.Enqueue(t.Context(), "q", []store.Message{{ID: store.ID{15: byte(i)}, Body: []byte(body)}})
		require.NoError(t, err)
	}
	return s
}

// leaseQ takes a message of "q".
func leaseQ(t *testing.T, s *Store, visibility time.Duration) store.Delivery {
	t.Helper()
	got, err := s.Lease(t.Context(), "q", store.Claim{Visibility: visibility}, nil)
	require.NoError(t, err)
	require.Len(t, got, 1)
	return got[0]
}

// runOutQ takes a message of "q" and waits until its lease has run out.
func runOutQ(t *testing.T, s *Store) store.Delivery {
	t.Helper()
	d := leaseQ(t, s, time.Nanosecond)
	st, err := s.Stats(t.Context(), "q")
	require.NoError(t, err)
	require.Zero(t, st.Leased)
	return d
}

func statsQ(t *testing.T, s *Store) store.Stats {
	t.Helper()
	st, err := s.Stats(t.Context(), "q")
	require.NoError(t, err)
	return st
}

// A lease that has run out is lost when its message is purged, whichever call came first.
func TestPurgeBesideALateSettlement(t *testing.T) {
	for _, verb := range []store.Verb{store.Ack, store.Retry, store.Move, store.Extend, store.Release} {
		t.Run(verb.String(), func(t *testing.T) {
			s := newQ(t, filepath.Join(t.TempDir(), "queues.db"), "m")
			d := runOutQ(t, s)
			together(s, func() {
				lost, err := s.Settle(t.Context(), "q", []store.Outcome{{Lease: d.Lease, Verb: verb, Delay: time.Hour, To: "q"}})
				assert.NoError(t, err)
				assert.Equal(t, []int{0}, lost)
			}, func() { assert.NoError(t, s.Purge(t.Context(), "q")) })
			assert.Equal(t, store.Stats{}, statsQ(t, s))
		})
	}
}

// A lease that runs out while its queue is being purged: the message was leased, and stays.
func TestALeaseThatRunsOutDuringAPurge(t *testing.T) {
	s := newQ(t, filepath.Join(t.TempDir(), "queues.db"), "m")
	leaseQ(t, s, time.Hour)
	q, err := s.records.find("q")
	require.NoError(t, err)
	g := &group{s: s, c: s.w, now: s.now()}
	s.wal.hold()
	_, err = s.begin()
	require.NoError(t, err)
	o := &purge{q: q}
	require.NoError(t, o.plan(g))
	q.mu.Lock()
	q.runOut(never - 1)
	q.mu.Unlock()
	for _, c := range g.touched {
		require.NoError(t, c.flush(s.w))
	}
	require.NoError(t, s.w.exec("COMMIT"))
	g.ops = []op{o}
	o.done = make(chan error, 1)
	g.finish()
	s.wal.release()
	assert.Equal(t, int64(1), statsQ(t, s).Messages)
	assert.Equal(t, 2, leaseQ(t, s, time.Hour).Attempts)
}

// A Lease whose context ends has delivered nothing, though one behind it has.
func TestALeaseThatIsGivenUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queues.db")
	s := newQ(t, path, "first", "second")
	ctx, giveUp := context.WithCancel(t.Context())
	errs := make(chan error, 2)
	lease := func(ctx context.Context) {
		_, err := s.Lease(ctx, "q", store.Claim{Visibility: time.Hour}, nil)
		errs <- err
	}
	s.wal.hold()
	go lease(ctx)
	awaitPending(s, 1)
	go lease(t.Context())
	awaitPending(s, 2)
	giveUp()
	require.ErrorIs(t, <-errs, context.Canceled)
	s.wal.release()
	require.NoError(t, <-errs)
	shown, err := s.Peek(t.Context(), "q", "", 10)
	require.NoError(t, err)
	require.Len(t, shown, 1)
	assert.Equal(t, "first", string(shown[0].Body))
	assert.Zero(t, shown[0].Attempts)
	require.NoError(t, s.Close())
	s = at(t, path)
	shown, err = s.Peek(t.Context(), "q", "", 10)
	require.NoError(t, err)
	require.Len(t, shown, 2)
	for _, d := range shown {
		assert.Equal(t, map[string]int{"first": 0, "second": 1}[string(d.Body)], d.Attempts)
	}
}

// The lease that an Extend keeps does not run out before it takes effect.
func TestALeaseThatRunsOutDuringAnExtend(t *testing.T) {
	s := newQ(t, filepath.Join(t.TempDir(), "queues.db"), "m")
	d := leaseQ(t, s, time.Hour)
	q, err := s.records.find("q")
	require.NoError(t, err)
	together(s, func() {
		lost, err := s.Settle(t.Context(), "q", []store.Outcome{{Lease: d.Lease, Verb: store.Extend, Delay: time.Hour}})
		assert.NoError(t, err)
		assert.Empty(t, lost)
	}, func() {
		_, err := s.Enqueue(t.Context(), "q", nil)
		assert.NoError(t, err)
	})
	q.mu.Lock()
	it := q.find(d.Lease)
	it.extending++ // as between plan and apply
	q.runOut(never - 1)
	assert.Equal(t, leased, it.state)
	it.extending--
	q.mu.Unlock()
}

func TestARetentionWithoutEnd(t *testing.T) {
	s := newQ(t, filepath.Join(t.TempDir(), "queues.db"))
	rec, _, err := s.Queues(t.Context(), 0, 0)
	require.NoError(t, err)
	rec[0].Retention = math.MaxInt64
	_, err = s.PutQueue(t.Context(), rec[0])
	require.NoError(t, err)
	_, err = s.Enqueue(t.Context(), "q", []store.Message{{Body: []byte("m")}})
	require.NoError(t, err)
	shown, err := s.Peek(t.Context(), "q", "", 10)
	require.NoError(t, err)
	assert.Len(t, shown, 1)
	leaseQ(t, s, time.Hour)
}

// Two changes of one revision in one transaction: one is applied.
func TestRecordsInOneGroup(t *testing.T) {
	s := newQ(t, filepath.Join(t.TempDir(), "queues.db"))
	rec, _, err := s.Queues(t.Context(), 0, 0)
	require.NoError(t, err)
	errs := make(chan error, 4)
	put := func(q store.Queue) func() {
		return func() {
			_, err := s.PutQueue(t.Context(), q)
			errs <- err
		}
	}
	together(s, put(rec[0]), put(rec[0]), put(store.Queue{Name: "new"}), put(store.Queue{Name: "new"}))
	conflicts := 0
	for range 4 {
		if err := <-errs; err != nil {
			assert.ErrorIs(t, err, store.ErrConflict)
			conflicts++
		}
	}
	assert.Equal(t, 2, conflicts)
	// A queue that is deleted takes what comes behind with it.
	together(s, func() { assert.NoError(t, s.DeleteQueue(t.Context(), "new")) }, func() {
		_, err := s.Enqueue(t.Context(), "new", []store.Message{{Body: []byte("m")}})
		assert.ErrorIs(t, err, store.ErrQueueNotFound)
	}, func() { assert.ErrorIs(t, s.DeleteQueue(t.Context(), "new"), store.ErrQueueNotFound) })
}
