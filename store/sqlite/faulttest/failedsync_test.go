package faulttest

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/sqlite"
)

// readOnly checks that everything is refused that writes.
func (r *rig) readOnly(t testing.TB) {
	t.Helper()
	for _, err := range r.sends(t) {
		require.ErrorIs(t, err, store.ErrReadOnly)
		assert.NotErrorIs(t, err, store.ErrUnavailable, "nothing was written")
		assert.True(t, strings.HasPrefix(err.Error(), "sqlite: "), "%v", err)
	}
	there, err := r.s.Peek(t.Context(), first, "", 1)
	require.NoError(t, err)
	require.NotEmpty(t, there)
	_, err = r.s.Settle(t.Context(), first, []store.Outcome{{Lease: there[0].Lease, Verb: store.Ack}})
	require.ErrorIs(t, err, store.ErrReadOnly)
	require.ErrorIs(t, r.s.Purge(t.Context(), first), store.ErrReadOnly)
	_, err = r.s.PutQueue(t.Context(), store.Queue{Name: "more"})
	require.ErrorIs(t, err, store.ErrReadOnly)
	require.ErrorIs(t, r.s.DeleteQueue(t.Context(), first), store.ErrReadOnly)
	r.reads(t)
}

// brokenRig returns a rig whose disk has failed one sync of the log. Before that there
// were commits that were not synced.
func brokenRig(t testing.TB) (r *rig, syncs int) {
	t.Helper()
	r = newRig(t, 2000)
	for range 10 {
		require.NoError(t, r.enqueue(first, newMessages(20, r.size)))
	}
	r.restartLog(t) // so that nothing older in the log covers what comes
	taken, err := r.s.Lease(t.Context(), first, store.Claim{Max: 200, Visibility: forever}, nil)
	require.NoError(t, err)
	require.Len(t, taken, 200)
	require.NoError(t, r.settle(first, store.Release, taken, nil))
	require.NotZero(t, r.disk.Pending(Log))
	f := r.disk.Inject(Rule{Files: Log, Calls: Sync, Times: 1})
	err = r.enqueue(first, newMessages(5, r.size))
	require.ErrorIs(t, err, store.ErrReadOnly)
	require.ErrorIs(t, err, store.ErrUnavailable, "it may be there or not")
	require.Equal(t, 1, f.Hits())
	return r, r.disk.Count(Log, Sync)
}

// TestFailedSync shows that what the disk could not write is not built upon: a second sync
// would succeed and mean nothing.
func TestFailedSync(t *testing.T) {
	r, syncs := brokenRig(t)
	r.readOnly(t)
	assert.Equal(t, syncs, r.disk.Count(Log, Sync), "the log was synced again")
	r.audits(t, 2)
}

// TestPowerLossAfterFailedSync loses the power at every moment of the Close that follows.
func TestPowerLossAfterFailedSync(t *testing.T) {
	for calls := 1; ; calls++ {
		r, _ := brokenRig(t)
		r.disk.chance = newChance(uint64(calls))
		images := r.disk.CrashAfter(calls, uint64(calls), func() {})
		require.NoError(t, r.s.Close())
		select {
		case img := <-images:
			r.survives(t, img, r.books)
		default:
			t.Logf("Close makes less than %d calls", calls)
			return
		}
	}
}

// TestReopeningAfterFailedSync goes on with the file after its disk has failed. What
// the log has that the disk does not can still be read, so it must get there before
// anything is built on it.
func TestReopeningAfterFailedSync(t *testing.T) {
	for seed := range rounds(8) {
		r, _ := brokenRig(t)
		require.NoError(t, r.s.Close())
		r.s = open(t, r.path, on(r.disk, r.path))
		require.NoError(t, r.enqueue(first, newMessages(5, r.size)))
		r.survives(t, r.disk.Crash(seed), r.books)
		r.audits(t, 0)
	}
}

// TestFailedSyncInCheckpoint fails the sync that comes after the log was copied. The store
// learns of it beside all calls.
func TestFailedSyncInCheckpoint(t *testing.T) {
	r := newRig(t, 200_000)
	f := r.disk.Inject(Rule{Files: Database, Calls: Sync, Times: 1})
	fill(t, r, f)
	for range 10_000 { // until the store has seen it
		if r.enqueue(second, newMessages(1, 10)) != nil {
			break
		}
	}
	syncs := r.disk.Count(Database, Sync)
	r.readOnly(t)
	assert.Equal(t, syncs, r.disk.Count(Database, Sync), "the database was synced again")
	r.audits(t, 1)
}

// gatedLog is one whose syncs end while nobody holds the gate.
type gatedLog struct {
	sqlite.Log
	gate *sync.Mutex
}

func (l gatedLog) Sync() error {
	err := l.Log.Sync()
	l.gate.Lock()
	defer l.gate.Unlock()
	return err
}

// TestFailedSyncWithOthersBehind commits more while the disk is at the sync that fails.
// That is not synced any more, and nobody can say whether it is there: it can be read
// when the file is opened again.
func TestFailedSyncWithOthersBehind(t *testing.T) {
	r := newRig(t, 200)
	require.NoError(t, r.s.Close())
	opts, gate := on(r.disk, r.path), &sync.Mutex{}
	opts.Log = gatedLog{opts.Log, gate}
	r.s = open(t, r.path, opts)
	require.NoError(t, r.enqueue(first, newMessages(1, r.size))) // SQLite itself syncs the log's beginning
	f := r.disk.Inject(Rule{Files: Log, Calls: Sync, Times: 1})
	results := make(chan error, 2)
	gate.Lock()
	go func() { results <- r.enqueue(first, newMessages(1, r.size)) }()
	<-f.Hit()
	go func() { results <- r.enqueue(second, newMessages(400, r.size)) }() // too much to wait for the disk
	assert.Eventually(t, func() bool {
		st, err := r.s.Stats(t.Context(), second)
		return err == nil && st.Messages == 400
	}, 10*time.Second, time.Millisecond, "they are committed beside the sync")
	gate.Unlock()
	for range cap(results) {
		err := <-results
		require.ErrorIs(t, err, store.ErrReadOnly)
		assert.ErrorIs(t, err, store.ErrUnavailable, "it may be there or not")
	}
	r.audits(t, 4)
}

// TestFailedSyncUnderLoad fails one sync at some time, with many goroutines at work.
func TestFailedSyncUnderLoad(t *testing.T) {
	for seed := range rounds(6) {
		r := newRig(t, 2000)
		r.fault = true
		f := r.disk.Inject(Rule{Files: Log, Calls: Sync, Times: 1, After: rand.New(rand.NewPCG(seed, 3)).IntN(30)})
		r.start(seed)
		<-f.Hit()
		r.end(t)
		syncs := r.disk.Count(Log, Sync)
		assert.Error(t, r.enqueue(first, newMessages(1, 10)))
		assert.Equal(t, syncs, r.disk.Count(Log, Sync))
		r.audits(t, 2)
	}
}
