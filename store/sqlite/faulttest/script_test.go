package faulttest

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/sqlite"
)

// TestPowerLossAtEveryCall loses the power before each call that the disk gets from the
// creation of a file to its end.
func TestPowerLossAtEveryCall(t *testing.T) {
	for calls := 1; ; calls += thin {
		d := NewDisk(uint64(calls), 0)
		books := newLedger()
		var known *ledger
		images := d.CrashAfter(calls, uint64(calls), func() { known = books.copy() })
		path := filepath.Join(t.TempDir(), "queue.db")
		s, err := sqlite.Open(path, on(d, path))
		require.NoError(t, err)
		script(t, s, books)
		d.Close()
		select {
		case img := <-images:
			_, wrong, err := survivors(t, scratchDir(t, img), known, usual)
			require.NoError(t, err, "call %d", calls)
			require.Empty(t, wrong, "call %d", calls)
		default:
			t.Logf("Less than %d calls", calls)
			return
		}
	}
}

// script does a little of everything, and closes the store.
func script(t *testing.T, s store.Store, books *ledger) {
	create(t, s, books)
	l := &load{s: s, books: books}
	late := newMessages(2, 500)
	late[0].Delay = forever
	require.NoError(t, l.enqueue(first, newMessages(8, 5000)))
	require.NoError(t, l.enqueue(first, late))
	require.NoError(t, l.enqueue(scratch, newMessages(3, 500)))
	chance := rand.New(rand.NewPCG(1, 1))
	for _, verb := range []store.Verb{store.Ack, store.Move, store.Retry, store.Release} {
		taken, err := s.Lease(t.Context(), first, store.Claim{Max: 2, Visibility: forever}, nil)
		require.NoError(t, err)
		require.Len(t, taken, 2)
		require.NoError(t, l.settle(first, verb, taken, chance))
	}
	there := books.purge()
	require.NoError(t, s.Purge(t.Context(), scratch))
	books.purged(there)
	require.NoError(t, s.Close())
}
