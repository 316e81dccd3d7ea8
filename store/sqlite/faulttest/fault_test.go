package faulttest

import (
	"database/sql"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// logged returns a database with a log, a table, and one row that is safe.
func logged(t *testing.T) (*Disk, *sql.DB) {
	d, path := newDisk(t, 0)
	db := connect(t, d.Connector(path), "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL",
		"CREATE TABLE a (body)", "INSERT INTO a VALUES (zeroblob(5000))")
	return d, db
}

const (
	insert = "INSERT INTO a VALUES (zeroblob(5000))"
	count  = "SELECT count(*) FROM a"
)

func TestErrors(t *testing.T) {
	cases := []struct {
		name string
		rule Rule
		code error
	}{
		{"FullLog", Rule{Files: Log, Calls: Write, Error: NoSpace}, sqlite3.FULL},
		{"FullLogShort", Rule{Files: Log, Calls: Write, Error: NoSpace, Short: true}, sqlite3.FULL},
		{"FullLater", Rule{Files: Log, Calls: Write, Error: NoSpace, After: 3}, sqlite3.FULL},
		{"WriteError", Rule{Files: Log, Calls: Write}, sqlite3.IOERR_WRITE},
		{"SyncError", Rule{Files: Log, Calls: Sync}, sqlite3.IOERR_FSYNC},
		{"ReadOnly", Rule{Files: Log, Calls: Write, Error: Forbidden}, sqlite3.READONLY},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d, db := logged(t)
			f := d.Inject(c.rule)
			_, err := db.Exec(insert)
			require.ErrorIs(t, err, c.code)
			assert.Equal(t, 1, f.Hits())
			<-f.Hit()
			assert.Equal(t, 1, value[int](t, recovered(t, d.Crash(1)), count))

			f.Lift()
			execute(t, db, insert)
			assert.Equal(t, 2, value[int](t, db, count))
		})
	}
}

func TestErrorsOfTheDatabase(t *testing.T) {
	for _, rule := range []Rule{
		{Files: Database, Calls: Write, Error: NoSpace},
		{Files: Database, Calls: Resize, Error: NoSpace},
		{Files: Database, Calls: Sync},
	} {
		d, db := logged(t)
		f := d.Inject(rule)
		_, err := db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
		require.Error(t, err)
		execute(t, db, insert)
		assert.Equal(t, 2, value[int](t, recovered(t, d.Crash(1)), count))
		f.Lift()
		execute(t, db, "PRAGMA wal_checkpoint(TRUNCATE)")
		assert.Equal(t, 2, value[int](t, recovered(t, d.Crash(1)), count))
	}
}

func TestFullDiskTakesOverwrites(t *testing.T) {
	d, db := logged(t)
	execute(t, db, "PRAGMA wal_checkpoint(RESTART)")
	f := d.Inject(Rule{Files: AnyFile, Calls: Write | Resize, Error: NoSpace, Growing: true})
	execute(t, db, "DELETE FROM a")
	assert.Zero(t, f.Hits(), "the log is overwritten from its beginning")
	_, err := db.Exec("INSERT INTO a VALUES (zeroblob(100000))")
	require.ErrorIs(t, err, sqlite3.FULL)
}

func TestReadErrors(t *testing.T) {
	d, db := logged(t)
	execute(t, db, "PRAGMA wal_checkpoint(TRUNCATE)")
	execute(t, db, "PRAGMA shrink_memory")
	f := d.Inject(Rule{Files: Database, Calls: Read, Times: 1})
	_, err := db.Exec("SELECT length(body) FROM a")
	require.ErrorIs(t, err, sqlite3.IOERR_READ)
	assert.Equal(t, 1, value[int](t, db, count), "it has failed once")
	f.Lift()
}

func TestErrorsOfOpening(t *testing.T) {
	d, path := newDisk(t, 0)
	d.Inject(Rule{Files: Database, Calls: Open})
	_, err := d.Connector(path).Connect(t.Context())
	require.ErrorIs(t, err, sqlite3.CANTOPEN)
}

// TestSyncAfterFailure shows why a sync that failed must not be repeated: what it did
// not write is gone, and a later commit, whose sync succeeds, is built on it.
func TestSyncAfterFailure(t *testing.T) {
	lost := 0
	for seed := range uint64(10) {
		d, db := logged(t)
		d.chance = newChance(seed)
		execute(t, db, "PRAGMA synchronous=NORMAL")
		execute(t, db, insert)
		execute(t, db, "PRAGMA synchronous=FULL")
		d.Inject(Rule{Files: Log, Calls: Sync, Times: 1})
		_, err := db.Exec(insert)
		require.ErrorIs(t, err, sqlite3.IOERR_FSYNC)
		execute(t, db, insert)
		assert.Equal(t, 3, value[int](t, db, count))
		lost += 3 - value[int](t, recovered(t, d.Crash(seed)), count)
	}
	assert.NotZero(t, lost)
}

func TestRulesCount(t *testing.T) {
	d := NewDisk(1, 0)
	defer d.Close()
	f := d.Inject(Rule{Files: Log, Calls: Write | Sync, After: 2, Times: 2})
	g := d.Inject(Rule{Files: AnyFile, Calls: Sync, Error: NoSpace})
	var failed []Error
	for range 6 {
		if r := d.call(Log, Sync, false); r != nil {
			failed = append(failed, r.Error)
		}
	}
	assert.Equal(t, []Error{NoSpace, NoSpace, IOError, IOError, NoSpace, NoSpace}, failed)
	assert.Nil(t, d.call(Database, Write, false))
	assert.Equal(t, 2, f.Hits())
	assert.Equal(t, 4, g.Hits())
	assert.Equal(t, 6, d.Count(Log, Sync))
	assert.Equal(t, 7, d.Count(AnyFile, Sync|Write))
	f.Lift()
	g.Lift()
	assert.False(t, d.injured.Load())
}
