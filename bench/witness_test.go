package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"
)

func connectorOf(t *testing.T, pragmas ...string) driver.Connector {
	c, err := sqlite.NewConnector(dsn(filepath.Join(t.TempDir(), "a file.db"), pragmas))
	require.NoError(t, err)
	return c
}

func TestDatabase(t *testing.T) {
	db, err := openSQLite()
	require.NoError(t, err)
	require.NoError(t, db.Ping())
	assert.Equal(t, durability{full, "wal"}, db.witness.durability())
	require.NoError(t, db.Close())
	assert.NoDirExists(t, db.dir)
}

// A connection that would lose what it has accepted is refused.
func TestWitness(t *testing.T) {
	for name, pragmas := range map[string][]string{
		`synchronous is 1, journal_mode "wal"`:    {"journal_mode(WAL)", "synchronous(NORMAL)"},
		`synchronous is 0, journal_mode "wal"`:    {"journal_mode(WAL)", "synchronous(OFF)"},
		`synchronous is 2, journal_mode "delete"`: {"synchronous(FULL)"},
	} {
		w := &witness{Connector: connectorOf(t, pragmas...)}
		db := sql.OpenDB(w)
		require.ErrorContains(t, db.Ping(), name)
		assert.Zero(t, w.durability())
		require.NoError(t, db.Close())
	}
	w := &witness{Connector: connectorOf(t, "journal_mode(WAL)", "synchronous(EXTRA)")}
	db := sql.OpenDB(w)
	require.NoError(t, db.Ping())
	assert.Equal(t, durability{3, "wal"}, w.durability())
	require.NoError(t, db.Close())
}

// filed is a queue that does nothing but write to a file, and flushes it or not.
type filed struct {
	Queue[[]byte]
	file    *os.File
	flushes bool
}

func (q filed) files() string { return filepath.Dir(q.file.Name()) }

func (q filed) Send(_ context.Context, body []byte) error {
	if _, err := q.file.Write(body); err != nil || !q.flushes {
		return err
	}
	return q.file.Sync()
}

func (q filed) Close() error { return errors.Join(q.Queue.Close(), q.file.Close()) }

func filedContestant(t *testing.T, flushes bool) Contestant {
	return Contestant{Open: func(s Setup) (Queue[[]byte], error) {
		f, err := os.Create(filepath.Join(t.TempDir(), "log"))
		require.NoError(t, err)
		q, err := channelContestant.Open(s)
		return filed{q, f, flushes}, err
	}}
}

// kernelTells skips a test where nobody knows what the disk has.
func kernelTells(t *testing.T) {
	if _, err := unwritten(t.TempDir()); errors.Is(err, errors.ErrUnsupported) || inMemory(thisMachine().Files) {
		t.Skip("the kernel does not tell, or there is no disk")
	}
}

func TestInspect(t *testing.T) {
	found, err := inspect(filedContestant(t, true))
	require.NoError(t, err)
	assert.NotContains(t, found, "synchronous", "it has no connections")

	_, err = inspect(channelContestant)
	require.ErrorContains(t, err, "does not say where its files are")

	kernelTells(t)
	assert.Contains(t, found, "unwritten")
	_, err = inspect(filedContestant(t, false))
	assert.ErrorContains(t, err, "it is not durable: when Send had returned, the disk did not have 1 pages of its files")
}

// Every durable contestant is, also as the kernel sees it.
func TestDurableContestants(t *testing.T) {
	for _, c := range Contestants {
		if !c.Durable {
			continue
		}
		found, err := inspect(c)
		require.NoError(t, err, c.Name)
		if c.Name == backliteContestant.Name || c.Name == riverContestant.Name {
			assert.Equal(t, float64(full), found["synchronous"], c.Name)
		}
	}
}

func TestWitnessed(t *testing.T) {
	s, err := witnessed(filedContestant(t, true), func() (Sample, error) { return Sample{"ns": 1}, nil })
	require.NoError(t, err)
	assert.Equal(t, 1.0, s["ns"])

	_, err = witnessed(filedContestant(t, true), func() (Sample, error) { return nil, errBusy })
	require.ErrorIs(t, err, errBusy)
	_, err = witnessed(channelContestant, func() (Sample, error) { return Sample{}, nil })
	require.ErrorContains(t, err, "where its files are")
}

// What a commit without a flush leaves is seen; what SQLite makes anew after a crash does
// not count.
func TestUnwritten(t *testing.T) {
	kernelTells(t)
	for mode, flushed := range map[string]bool{"synchronous(FULL)": true, "synchronous(NORMAL)": false} {
		dir := t.TempDir()
		c, err := sqlite.NewConnector(dsn(filepath.Join(dir, "queue.db"), []string{"journal_mode(WAL)", mode}))
		require.NoError(t, err)
		db := sql.OpenDB(c)
		for _, query := range []string{"CREATE TABLE t (x)", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"} {
			_, err := db.ExecContext(t.Context(), query)
			require.NoError(t, err)
		}
		assert.FileExists(t, filepath.Join(dir, "queue.db-shm"))
		pages, err := unwritten(dir)
		require.NoError(t, err)
		assert.Equal(t, flushed, pages == 0, "%s: %d pages", mode, pages)
		require.NoError(t, db.Close())
	}
	_, err := unwritten(filepath.Join(t.TempDir(), "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}
