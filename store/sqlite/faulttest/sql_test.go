package faulttest

import (
	"database/sql"
	"database/sql/driver"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// newDisk returns a disk and the path of a database on it.
func newDisk(t testing.TB, latency time.Duration) (*Disk, string) {
	d := NewDisk(1, latency)
	t.Cleanup(d.Close)
	return d, filepath.Join(t.TempDir(), "queue.db")
}

// connect opens a database for one connection.
func connect(t testing.TB, c driver.Connector, statements ...string) *sql.DB {
	t.Helper()
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() }) // it may have failed for good
	for _, s := range statements {
		execute(t, db, s)
	}
	return db
}

func execute(t testing.TB, db *sql.DB, statement string, args ...any) {
	t.Helper()
	_, err := db.Exec(statement, args...)
	require.NoError(t, err, statement)
}

// value returns the one value that a query has.
func value[T any](t testing.TB, db *sql.DB, query string) (v T) {
	t.Helper()
	require.NoError(t, db.QueryRow(query).Scan(&v), query)
	return v
}

// restore writes an image to a directory, and returns the path of its database.
func restore(t testing.TB, img Image) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, img.WriteTo(dir))
	return filepath.Join(dir, "queue.db")
}

// recovered opens an image, and checks that the database is sound.
func recovered(t testing.TB, img Image) *sql.DB {
	t.Helper()
	db := connect(t, Plain(restore(t, img)))
	require.Equal(t, "ok", value[string](t, db, "PRAGMA integrity_check"))
	return db
}
