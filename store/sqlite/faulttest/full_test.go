package faulttest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

// full is a disk without any space left.
var full = Rule{Files: AnyFile, Calls: Write | Resize, Error: NoSpace}

func TestFullDisk(t *testing.T) {
	after, short := full, full
	short.Short = true
	after.After = 5
	for name, rule := range map[string]Rule{"AtOnce": full, "Short": short, "InACommit": after} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 20_000)
			f := r.disk.Inject(rule)
			failed := 0
			for _, err := range r.sends(t) {
				if err != nil {
					failed++
					require.ErrorIs(t, err, store.ErrFull)
					assert.NotErrorIs(t, err, store.ErrReadOnly)
					assert.ErrorContains(t, err, "disk is full")
				}
			}
			assert.NotZero(t, failed)
			r.reads(t)
			_, err := r.s.PutQueue(t.Context(), store.Queue{Name: "more"})
			require.ErrorIs(t, err, store.ErrFull)

			f.Lift()
			for _, err := range r.sends(t) {
				require.NoError(t, err, "there is space again")
			}
			require.NoError(t, r.ack())
			r.reads(t)
			r.audits(t, 2)
		})
	}
}

// TestFullDiskIsEmptied shows that messages can be acknowledged where there is no space for
// new ones: in the part of the log that is not needed any more.
func TestFullDiskIsEmptied(t *testing.T) {
	r := newRig(t, 20_000)
	r.restartLog(t)
	rule := full
	rule.Growing = true
	f := r.disk.Inject(rule)
	for range 3 {
		require.NoError(t, r.ack())
	}
	require.Zero(t, f.Hits())
	var err error
	for range 200 {
		if err = r.enqueue(first, newMessages(1, r.size)); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, store.ErrFull, "the log is as long as it was, and full")
	f.Lift()
	require.NoError(t, r.enqueue(first, newMessages(1, r.size)))
	r.audits(t, 2)
}

// TestFullDiskInCheckpoint lets the log fit and the file not.
func TestFullDiskInCheckpoint(t *testing.T) {
	r := newRig(t, 200_000)
	f := r.disk.Inject(Rule{Files: Database, Calls: Write | Resize, Error: NoSpace})
	fill(t, r, f)
	for _, err := range r.sends(t) {
		require.NoError(t, err, "the log has space")
	}
	hits := f.Hits()
	f.Lift()
	before := r.disk.Count(Database, Sync)
	for n := 0; r.disk.Count(Database, Sync) == before; n++ {
		require.Less(t, n, 100, "no checkpoint is made any more")
		require.NoError(t, r.enqueue(second, newMessages(10, r.size)))
	}
	t.Logf("%d calls had failed", hits)
	r.audits(t, 1)
}

// fill sends until a fault is met.
func fill(t testing.TB, r *rig, f *Fault) {
	t.Helper()
	for range 100 {
		select {
		case <-f.Hit():
			return
		default:
		}
		if err := r.enqueue(second, newMessages(20, r.size)); err != nil {
			select {
			case <-f.Hit():
				return
			default:
				require.NoError(t, err)
			}
		}
	}
	t.Fatal("the fault was never met")
}
