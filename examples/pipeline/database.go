package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/inproq/inproq"
)

// A row is a document in the database: summarised, or failed.
type row struct {
	id      inproq.MessageID
	name    string
	summary summary
	failure string // "": it has a summary
}

func (r row) String() string {
	if r.failure != "" {
		return fmt.Sprintf("%-10s failed: %s", r.name, r.failure)
	}
	return fmt.Sprintf("%-10s %d words, often %s: %q", r.name, r.summary.words, strings.Join(r.summary.frequent, ", "), r.summary.first)
}

// A database keeps what became of each document, by the id of its message: that
// stays the same over retries and in the dead-letter queue.
type database struct{ *sql.DB }

const schema = `CREATE TABLE IF NOT EXISTS documents (
	message_id TEXT PRIMARY KEY,
	name       TEXT NOT NULL,
	first      TEXT NOT NULL DEFAULT '',
	words      INTEGER NOT NULL DEFAULT 0,
	frequent   TEXT NOT NULL DEFAULT '',
	failure    TEXT NOT NULL DEFAULT ''
) STRICT`

// openDatabase opens the file, and makes it if there is none.
func openDatabase(ctx context.Context, file string) (*database, error) {
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // SQLite has one writer: handlers queue up here, not at a lock that times out
	if _, err := db.ExecContext(ctx, schema); err != nil {
		_ = db.Close() // the first error says more
		return nil, err
	}
	return &database{db}, nil
}

// saveSummaries writes all of the rows or none. One that is there already is
// written again, which changes nothing, or replaces a failure.
func (db *database) saveSummaries(ctx context.Context, rows []row) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after the commit there is nothing to roll back
	for _, r := range rows {
		_, err := tx.ExecContext(ctx, `INSERT INTO documents (message_id, name, first, words, frequent) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (message_id) DO UPDATE SET first = excluded.first, words = excluded.words, frequent = excluded.frequent, failure = ''`,
			r.id.String(), r.name, r.summary.first, r.summary.words, strings.Join(r.summary.frequent, " "))
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

// saveFailure records a document without a summary. It does not replace one: a
// message may be dead-lettered whose last delivery was processed and only could not
// be acknowledged.
func (db *database) saveFailure(ctx context.Context, r row) error {
	_, err := db.ExecContext(ctx, `INSERT INTO documents (message_id, name, failure) VALUES (?, ?, ?) ON CONFLICT (message_id) DO NOTHING`,
		r.id.String(), r.name, r.failure)
	return err
}

// all returns the rows by name.
func (db *database) all(ctx context.Context) ([]row, error) {
	rows, err := db.QueryContext(ctx, `SELECT message_id, name, first, words, frequent, failure FROM documents ORDER BY name, message_id`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // what can go wrong says Err
	var all []row
	for rows.Next() {
		var r row
		var id, frequent string
		if err := rows.Scan(&id, &r.name, &r.summary.first, &r.summary.words, &frequent, &r.failure); err != nil {
			return nil, err
		}
		if r.id, err = inproq.ParseMessageID(id); err != nil {
			return nil, err
		}
		r.summary.frequent = strings.Fields(frequent)
		all = append(all, r)
	}
	return all, rows.Err()
}
