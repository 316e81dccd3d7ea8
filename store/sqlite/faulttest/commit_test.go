package faulttest

import (
	"bytes"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// modes are settings of SQLite with what they promise.
var modes = []struct {
	name     string
	settings []string
	durable  bool // commits survive
}{
	{"LogFull", []string{"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"}, true},
	{"LogNormal", []string{"PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL"}, false},
	{"JournalExtra", []string{"PRAGMA journal_mode=DELETE", "PRAGMA synchronous=EXTRA"}, true},
	{"JournalTruncate", []string{"PRAGMA journal_mode=TRUNCATE", "PRAGMA synchronous=EXTRA"}, true},
}

// TestCommits takes an image after every commit, where SQLite says what must be there.
func TestCommits(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			lost := 0
			for seed := range uint64(4) {
				lost += commits(t, mode.settings, seed)
			}
			assert.Equal(t, mode.durable, lost == 0, "%d commits were lost", lost)
		})
	}
}

// commits returns how many commits were lost.
func commits(t *testing.T, settings []string, seed uint64) (lost int) {
	d, path := newDisk(t, 0)
	db := connect(t, d.Connector(path), settings...)
	execute(t, db, "CREATE TABLE a (n INTEGER PRIMARY KEY, body BLOB)")
	for n := range 12 {
		execute(t, db, "INSERT INTO a VALUES (?, ?)", n, bytes.Repeat([]byte{byte(n)}, 3000))
		if n == 6 {
			execute(t, db, "PRAGMA wal_checkpoint(PASSIVE)")
		}
		after := recovered(t, d.Crash(seed<<8|uint64(n)))
		if value[int](t, after, "SELECT count(*) FROM sqlite_schema") == 0 {
			lost += n + 1
			continue
		}
		lost += n + 1 - value[int](t, after, "SELECT count(*) FROM a")
	}
	return lost
}

// TestUnsyncedCommits shows that commits which nothing syncs are lost, and more.
func TestUnsyncedCommits(t *testing.T) {
	d, path := newDisk(t, 0)
	db := connect(t, d.Connector(path), "PRAGMA journal_mode=WAL",
		"PRAGMA synchronous=FULL", "CREATE TABLE a (n)", "PRAGMA synchronous=OFF")
	for n := range 10 {
		execute(t, db, "INSERT INTO a VALUES (?)", n)
	}
	counts := map[int]bool{}
	for seed := range uint64(40) {
		counts[value[int](t, recovered(t, d.Crash(seed)), "SELECT count(*) FROM a")] = true
	}
	assert.True(t, counts[0], "no crash lost all")
	assert.True(t, counts[10], "no crash left all")
	assert.Greater(t, len(counts), 2, "no crash left some: %v", counts)
	assert.NotZero(t, d.Pending(Log))
	execute(t, db, "PRAGMA synchronous=FULL")
	execute(t, db, "INSERT INTO a VALUES (10)")
	assert.Zero(t, d.Pending(Log))
	assert.Equal(t, 11, value[int](t, recovered(t, d.Crash(99)), "SELECT count(*) FROM a"))
}

// TestCorruption shows that what SQLite says of synchronous=OFF is seen on this disk:
// a checkpoint that syncs nothing leaves databases that are torn.
func TestCorruption(t *testing.T) {
	d, path := newDisk(t, 0)
	db := connect(t, d.Connector(path), "PRAGMA journal_mode=WAL", "CREATE TABLE a (n INTEGER PRIMARY KEY, body BLOB)")
	execute(t, db, "PRAGMA synchronous=OFF")
	for n := range 40 {
		execute(t, db, "INSERT INTO a VALUES (?, zeroblob(1000))", n)
	}
	execute(t, db, "PRAGMA wal_checkpoint(TRUNCATE)")
	for seed := range uint64(40) {
		db := connect(t, Plain(restore(t, d.Crash(seed))))
		var verdict string
		if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
			return
		}
	}
	t.Error("no crash has damaged the database")
}

// TestCrashInUse takes images while one connection writes, one reads and one makes
// checkpoints.
func TestCrashInUse(t *testing.T) {
	d, path := newDisk(t, 100*time.Microsecond)
	settings := []string{"PRAGMA synchronous=FULL", "PRAGMA wal_autocheckpoint=0"}
	writer := connect(t, d.Connector(path), append(settings, "PRAGMA journal_mode=WAL", "CREATE TABLE a (n INTEGER PRIMARY KEY, body BLOB)")...)
	others := map[string]*sql.DB{
		"SELECT count(*) FROM a":         connect(t, d.Connector(path), settings...),
		"PRAGMA wal_checkpoint(PASSIVE)": connect(t, d.Connector(path), settings...),
	}
	stop, stopped := make(chan struct{}), make(chan error, len(others))
	for query, db := range others {
		go func() { stopped <- repeat(db, query, stop) }()
	}
	for n := range 60 {
		execute(t, writer, "INSERT OR REPLACE INTO a VALUES (?, zeroblob(?))", n, n*100)
		img := d.Crash(uint64(n))
		if n%3 == 0 {
			assert.Equal(t, n+1, value[int](t, recovered(t, img), "SELECT count(*) FROM a"))
		}
	}
	close(stop)
	for range others {
		require.NoError(t, <-stopped)
	}
}

// repeat runs a query until stop.
func repeat(db *sql.DB, query string, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		rows, err := db.Query(query)
		if err != nil {
			return err
		}
		for rows.Next() {
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
	}
}
