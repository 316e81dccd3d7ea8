package main

import (
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
)

// A database is an SQLite file in a directory of its own, as durable as SQLite can be: a
// commit in WAL mode is flushed before it returns (synchronous is FULL).
type database struct {
	*sql.DB
	dir     string
	witness *witness
}

// durablePragmas are what makes it so, for a connection.
var durablePragmas = []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)"}

// openSQLite opens a new database with one connection: SQLite has one writer at a time,
// and who waits for it in Go is served sooner than who tries again.
func openSQLite() (*database, error) {
	dir, err := os.MkdirTemp("", "sqlite")
	if err != nil {
		return nil, err
	}
	connector, err := sqlite.NewConnector(dsn(filepath.Join(dir, "queue.db"), durablePragmas))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	w := &witness{Connector: connector}
	db := sql.OpenDB(w)
	db.SetMaxOpenConns(1)
	return &database{db, dir, w}, nil
}

func dsn(path string, pragmas []string) string {
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: url.Values{"_pragma": pragmas}.Encode()}
	return u.String()
}

func (d *database) Close() error { return errors.Join(d.DB.Close(), os.RemoveAll(d.dir)) }
