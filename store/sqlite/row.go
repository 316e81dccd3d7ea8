package sqlite

import (
	"database/sql/driver"
	"time"

	"github.com/inproq/inproq/store"
)

// A stored is a message as it was read.
type stored struct {
	store.Delivery
	seq   int64
	since int64 // retention counts from here
	due   int64
	fresh bool // it has no due
}

// message makes a stored of a row with columns.
func message(c *conn, row []driver.Value) stored {
	m := stored{
		seq:   integer(row[0]),
		since: integer(row[1]),
		due:   integer(row[6]),
		fresh: row[6] == nil,
	}
	m.Sent = time.Unix(0, m.since)
	m.ContentType = text(row[2])
	copy(m.ID[:], c.bytes(row[3]))
	m.Body, m.Headers = c.bytes(row[4]), c.bytes(row[5])
	m.Attempts = int(integer(row[7]))
	if row[8] != nil {
		m.since = integer(row[8])
	}
	return m
}
