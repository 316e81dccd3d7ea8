package faulttest

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

// rig is a store on a disk, with some messages in it and a ledger.
type rig struct {
	load
	disk *Disk
	path string
}

// confirmed is how many messages a new rig has in its first queue.
const confirmed = 20

func newRig(t testing.TB, size int) *rig {
	t.Helper()
	d, path := newDisk(t, 0)
	r := &rig{disk: d, path: path}
	r.s, r.books, r.size = open(t, path, on(d, path)), newLedger(), size
	create(t, r.s, r.books)
	for range confirmed / 2 {
		require.NoError(t, r.enqueue(first, newMessages(2, size)))
	}
	return r
}

// restartLog has all of the log copied, so that it is written from its beginning again.
func (r *rig) restartLog(t testing.TB) {
	t.Helper()
	db := connect(t, r.disk.Connector(r.path), "PRAGMA synchronous=FULL")
	var busy, log, copied int
	require.NoError(t, db.QueryRow("PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &log, &copied))
	require.Equal(t, log, copied)
	require.NoError(t, db.Close())
}

// sends sends in every way, and returns the errors.
func (r *rig) sends(t testing.TB) []error {
	t.Helper()
	errs := []error{
		r.enqueue(first, newMessages(1, r.size)),
		r.enqueue(second, newMessages(30, r.size)),
	}
	results := make(chan error, 16)
	for range cap(results) {
		go func() { results <- r.enqueue(first, newMessages(3, r.size)) }()
	}
	for range cap(results) {
		errs = append(errs, <-results)
	}
	return errs
}

// reads checks that what only reads works.
func (r *rig) reads(t testing.TB) {
	t.Helper()
	there, err := peekAll(r.s, first)
	require.NoError(t, err)
	for _, d := range there {
		assert.Empty(t, compare(d))
	}
	st, err := r.s.Stats(t.Context(), first)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, st.Messages, int64(confirmed-10)) // some tests acknowledge some
	assert.Equal(t, st.Messages, int64(len(there))+st.Leased)
	records, _, err := r.s.Queues(t.Context(), 0, 0)
	require.NoError(t, err)
	assert.Len(t, records, len(queues))
}

// ack leases and acknowledges a message.
func (r *rig) ack() error {
	taken, err := r.s.Lease(context.Background(), first, store.Claim{Visibility: forever}, nil)
	if err != nil {
		return err
	}
	if len(taken) == 0 {
		return errors.New("there is nothing to lease")
	}
	return r.settle(first, store.Ack, taken, nil)
}

// audits checks that all is there that must be, and nothing else: after some losses of power
// now, and after the store was closed.
func (r *rig) audits(t testing.TB, losses uint64) {
	t.Helper()
	for seed := range losses {
		r.survives(t, r.disk.Crash(seed), r.books)
	}
	require.NoError(t, r.s.Close())
	_, wrong, err := survivors(t, filepath.Dir(r.path), r.books, usual)
	require.NoError(t, err)
	assert.Empty(t, wrong)
}

func (r *rig) survives(t testing.TB, img Image, known *ledger) {
	t.Helper()
	_, wrong, err := survivors(t, scratchDir(t, img), known, usual)
	require.NoError(t, err)
	assert.Empty(t, wrong)
}
