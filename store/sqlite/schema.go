package sqlite

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The tables, as the sqlite3 shell shows them. Times and durations are in nanoseconds,
// times since 1970.
//
// inproq_store says what the file is. inproq_queues has the records of queues; a deleted
// one stays as a tombstone. inproq_counts has what changes with every commit. And each queue
// has a table of its own for its messages.
const schemaV1 = `
CREATE TABLE inproq_store (
  key   TEXT PRIMARY KEY,
  value
) WITHOUT ROWID;
CREATE TABLE inproq_queues (
  number    INTEGER PRIMARY KEY, -- names it in inproq_counts
  name      TEXT NOT NULL UNIQUE,
  messages  TEXT NOT NULL,       -- the table of its messages
  paused    INTEGER NOT NULL,
  deleted   INTEGER NOT NULL,    -- a tombstone
  retention INTEGER NOT NULL,    -- 0: for ever
  revision  INTEGER NOT NULL,
  settings  TEXT                 -- of the runtime, as JSON
);
CREATE TABLE inproq_counts (
  queue    INTEGER PRIMARY KEY,  -- its number
  next     INTEGER NOT NULL,     -- seq of the next message
  messages INTEGER NOT NULL,
  bytes    INTEGER NOT NULL,     -- of their bodies
  seen     INTEGER NOT NULL      -- messages with due NULL up to this seq have been delivered once
);`

// messagesTable is the table of a queue's messages. They are appended in the order of
// seq and stay where they are until they are gone.
const messagesTable = `
CREATE TABLE %[1]s (
  seq          INTEGER PRIMARY KEY,
  sent         INTEGER NOT NULL,
  since        INTEGER,           -- retention counts from here; NULL: from sent
  due          INTEGER,           -- delivered from then on; NULL: at once
  attempts     INTEGER NOT NULL DEFAULT 0,
  content_type TEXT NOT NULL,
  id           BLOB NOT NULL,
  headers      BLOB,              -- NULL: none
  body         BLOB NOT NULL
);
CREATE INDEX %[2]s ON %[1]s (due/%[5]d, seq, due) WHERE due IS NOT NULL;
CREATE INDEX %[3]s ON %[1]s (since) WHERE since IS NOT NULL;
CREATE INDEX %[4]s ON %[1]s (sent) WHERE since IS NOT NULL;`

// A bucket is a span of time. The messages whose delay ends within the current one
// are in memory; those of later buckets are only in the index, where messages of one
// bucket lie in the order of seq: so delayed messages are added in few places.
const bucket = 5 * time.Minute

// A migration brings a file from the version before to the next.
type migration func(c *conn) error

// migrations are all there are, the first makes version 1 of an empty file. Steps are
// only ever added.
var migrations = []migration{script(schemaV1)}

func script(sql string) migration {
	return func(c *conn) error {
		for q := range strings.SplitSeq(sql, ";\n") {
			if err := c.run(q); err != nil {
				return err
			}
		}
		return nil
	}
}

// migrate brings the file to the newest version, in one transaction, and returns the
// identity that it got at its creation.
func migrate(c *conn, steps []migration) (id string, err error) {
	if err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.exec("ROLLBACK"))
		}
	}()
	version, err := schemaVersion(c)
	if err != nil {
		return "", err
	}
	if version > len(steps) {
		return "", fmt.Errorf("sqlite: the file has version %d of the schema, this program knows up to %d: use a newer one", version, len(steps))
	}
	for _, step := range steps[version:] {
		if err := step(c); err != nil {
			return "", err
		}
	}
	const set = "INSERT INTO inproq_store(key, value) VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value"
	if version < len(steps) {
		if err := c.exec(set, "version", int64(len(steps))); err != nil {
			return "", err
		}
	}
	if version == 0 {
		if err := c.exec(set, "id", uuid.NewString()); err != nil {
			return "", err
		}
		if err := c.exec(set, "sends", int64(0)); err != nil { // by transactions of the application
			return "", err
		}
	}
	// Also where there is nothing to change: a file that cannot be written is noticed now.
	if err := c.exec("UPDATE inproq_store SET value = value WHERE key = 'id'"); err != nil {
		return "", err
	}
	err = c.query("SELECT value FROM inproq_store WHERE key = 'id'", nil, func(row []driver.Value) bool {
		id = text(row[0])
		return false
	})
	if err != nil {
		return "", err
	}
	return id, c.exec("COMMIT")
}

// schemaVersion is the version of the file's schema, 0 for a file without ours.
func schemaVersion(c *conn) (int, error) {
	n, err := c.number("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'inproq_store'")
	if n == 0 || err != nil {
		return 0, err
	}
	n, err = c.number("SELECT value FROM inproq_store WHERE key = 'version'")
	if err == nil && n < 1 {
		err = errors.New("sqlite: the table inproq_store has no version: it is not as the store makes it")
	}
	return int(n), err
}

// tableName names the table for the messages of a queue: after the queue, so that it is
// found in the shell. Names of tables are not case-sensitive, and those of queues are:
// of two that differ in nothing else, the second table is named by number.
func tableName(queue string, number int64, taken func(table string) bool) string {
	name := "inproq_queue_" + queue
	for _, r := range queue {
		if r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			name = "" // not a name that the runtime gives
		}
	}
	if name == "" || taken(name) {
		name = fmt.Sprintf("inproq_queue__%d", number)
	}
	return name
}

// createMessages makes the table of a queue's messages.
func createMessages(c *conn, table string) error {
	sql := fmt.Sprintf(messagesTable, quote(table), quote(table+"_due"), quote(table+"_since"), quote(table+"_sent"), int64(bucket))
	return script(sql)(c)
}
