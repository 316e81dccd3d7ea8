package faulttest

import (
	"database/sql"
	"io/fs"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHandle(t *testing.T) {
	d, path := newDisk(t, 0)
	h := d.Handle(path + "-wal")
	require.ErrorIs(t, h.Sync(), fs.ErrNotExist)
	require.ErrorIs(t, h.Rewrite(), fs.ErrNotExist)
	db := connect(t, d.Connector(path), "PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", "CREATE TABLE a (body)")
	require.NotZero(t, d.Pending(Log))
	require.NoError(t, h.Sync())
	assert.Zero(t, d.Pending(Log))
	assert.Equal(t, 0, value[int](t, recovered(t, d.Crash(1)), count), "it was committed without waiting")

	d.Inject(Rule{Files: Log, Calls: Sync, Times: 1, Error: NoSpace})
	execute(t, db, insert)
	require.ErrorIs(t, h.Sync(), syscall.ENOSPC)
	require.NoError(t, h.Sync(), "it was told")
	execute(t, db, "PRAGMA synchronous=FULL")
	_, err := db.Exec(insert)
	require.Error(t, err, "another handle was not told yet")
	require.NoError(t, d.Handle(path+"-wal").Sync(), "nor would one be that was opened later")

	require.NoError(t, h.Close())
	require.ErrorIs(t, h.Close(), fs.ErrClosed)
	require.ErrorIs(t, h.Sync(), fs.ErrClosed)
	require.ErrorIs(t, h.Rewrite(), fs.ErrClosed)
}

func TestHandleOfAFileThatIsGone(t *testing.T) {
	d, path := newDisk(t, 0)
	log := func() *sql.DB {
		return connect(t, d.Connector(path), "PRAGMA journal_mode=WAL", "CREATE TABLE IF NOT EXISTS a (body)", insert)
	}
	db := log()
	h := d.Handle(path + "-wal")
	require.NoError(t, h.Sync())
	require.NoError(t, db.Close())
	require.ErrorIs(t, h.Sync(), fs.ErrNotExist)
	log()
	require.ErrorContains(t, h.Sync(), "another file has its name")
	require.ErrorContains(t, h.Rewrite(), "another file has its name")
	require.NoError(t, d.Handle(path+"-wal").Sync())
}

// TestFailingRewrite fails each of its calls.
func TestFailingRewrite(t *testing.T) {
	for _, rule := range []Rule{
		{Files: Log, Calls: Read},
		{Files: Log, Calls: Write, Error: NoSpace},
		{Files: Log, Calls: Write, Error: Forbidden, Short: true},
	} {
		d, db := logged(t)
		h := d.Handle(value[string](t, db, "SELECT file FROM pragma_database_list") + "-wal")
		f := d.Inject(rule)
		require.ErrorIs(t, h.Rewrite(), rule.Error.errno())
		f.Lift()
		assert.Equal(t, rule.Short, d.Pending(Log) > 0)
		assert.Equal(t, 1, value[int](t, recovered(t, d.Crash(1)), count), "it has changed nothing")
		require.NoError(t, h.Rewrite())
		require.NoError(t, h.Sync())
		assert.Equal(t, 1, value[int](t, recovered(t, d.Crash(2)), count))
	}
}

// TestRewriting shows what makes a file whole again after a sync that has failed.
func TestRewriting(t *testing.T) {
	for seed := range uint64(10) {
		d, path := newDisk(t, 0)
		d.chance = newChance(seed)
		db := connect(t, d.Connector(path), "PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", "CREATE TABLE a (body)", insert)
		d.Inject(Rule{Files: Log, Calls: Sync, Times: 1})
		require.Error(t, d.Handle(path+"-wal").Sync())
		h := d.Handle(path + "-wal")
		require.NoError(t, h.Rewrite())
		execute(t, db, insert)
		require.NoError(t, h.Sync())
		assert.Equal(t, 2, value[int](t, recovered(t, d.Crash(seed)), count))
	}
}
