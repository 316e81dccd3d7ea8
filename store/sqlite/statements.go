package sqlite

import (
	"fmt"
	"strings"
	"sync"
)

// The columns of a message as deliveries are made of them, see message.
const columns = "seq, sent, content_type, id, body, headers, due, attempts, since"

// statements are those of one queue.
type statements struct {
	// What leases and Peek read.
	fresh      string // from seq, before seq, limit
	one        string // seq
	ready      string // after seq, now, limit
	delayed    string // bucket, after seq, now, limit
	later      string // after bucket, now, limit
	buckets    string
	due        string // bucket
	oldest     string
	old        string // since
	nextOld    string // after since
	head       string // from seq, limit
	since      string // from seq: what was added with a due
	count      string
	countFrom  string // from seq
	countFresh string // from seq
	named      string // seq

	// What settlements write.
	attempt  string // attempts, seq
	explicit string // due, attempts, seq
	remove   string // from seq, to seq
	clear    string
	drop     string
	setAside string // seq
	restore  string

	table   string
	mu      sync.Mutex
	inserts [len(insertRows)][2]string // made when they are needed: they are long
}

// insertRows are the numbers of rows for which there is an INSERT: SQLite's work for a
// statement is shared by its rows.
var insertRows = [...]int{100, 16, 1}

// insert returns the INSERT of insertRows[k] messages. A plain one is for neighbours
// without headers and delay, of one content type: its parameters are the first seq,
// sent, the content type, and then id and body of each. The other has the columns of
// each.
func (s *statements) insert(k int, plain bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	form := 0
	if plain {
		form = 1
	}
	if s.inserts[k][form] == "" {
		text := fullInsert
		if plain {
			text = plainInsert
		}
		s.inserts[k][form] = text(quote(s.table), insertRows[k])
	}
	return s.inserts[k][form]
}

func newStatements(table string) *statements {
	t := quote(table)
	from := "SELECT " + columns + " FROM " + t
	in := fmt.Sprintf("due/%d", int64(bucket))
	index := t + " INDEXED BY " + quote(table+"_due")
	s := &statements{
		table:   table,
		fresh:   from + " WHERE seq >= ? AND seq < ? AND due IS NULL ORDER BY seq LIMIT ?",
		one:     from + " WHERE seq = ?",
		ready:   from + " WHERE seq > ? AND (due IS NULL OR due <= ?) ORDER BY seq LIMIT ?",
		delayed: "SELECT " + columns + " FROM " + index + " WHERE due IS NOT NULL AND " + in + " = ? AND seq > ? AND due > ? ORDER BY " + in + ", seq LIMIT ?",
		later:   "SELECT " + columns + " FROM " + index + " WHERE due IS NOT NULL AND " + in + " > ? AND due > ? ORDER BY " + in + ", seq LIMIT ?",
		buckets: "SELECT " + in + ", count(*) FROM " + index + " WHERE due IS NOT NULL GROUP BY " + in,
		due:     "SELECT seq, due FROM " + index + " WHERE due IS NOT NULL AND " + in + " = ?",
		oldest: "SELECT (SELECT sent FROM " + t + " WHERE since IS NULL AND seq >= ? ORDER BY seq LIMIT 1), " +
			"(SELECT min(sent) FROM " + t + " WHERE since IS NOT NULL)",
		old:        "SELECT seq, since, due, length(body) FROM " + t + " WHERE since IS NOT NULL AND since <= ? ORDER BY since",
		nextOld:    "SELECT since FROM " + t + " WHERE since IS NOT NULL AND since > ? ORDER BY since LIMIT 1",
		head:       "SELECT seq, sent, due, length(body) FROM " + t + " WHERE since IS NULL AND seq >= ? ORDER BY seq LIMIT ?",
		since:      "SELECT seq, due FROM " + t + " WHERE seq >= ? AND due IS NOT NULL",
		count:      "SELECT count(*), coalesce(sum(length(body)), 0) FROM " + t,
		countFrom:  "SELECT count(*) FROM " + t + " WHERE seq >= ?",
		countFresh: "SELECT count(*) FROM " + t + " WHERE due IS NULL AND seq >= ?",
		named:      "SELECT id, sent, since, due, length(body) FROM " + t + " WHERE seq = ?",

		attempt:  "UPDATE " + t + " SET attempts = ? WHERE seq = ?",
		explicit: "UPDATE " + t + " SET due = ?, attempts = ? WHERE seq = ?",
		remove:   "DELETE FROM " + t + " WHERE seq BETWEEN ? AND ?",
		clear:    "DELETE FROM " + t,
		drop:     "DROP TABLE " + t,
		setAside: "INSERT INTO temp." + asideTable + " (" + columns + ") " + from + " WHERE seq = ?",
		restore:  "INSERT INTO " + t + " (" + columns + ") SELECT " + columns + " FROM temp." + asideTable + " ORDER BY seq",
	}
	return s
}

// moving moves a message from another table to this: seq there, seq here, new headers or
// NULL, whether these replace the old ones, and since or NULL.
func moving(from, to *queue) string {
	return "INSERT INTO " + quote(to.table) + " (seq, sent, content_type, id, body, headers, since) " +
		"SELECT ?2, sent, content_type, id, body, CASE WHEN ?4 THEN ?3 ELSE headers END, coalesce(?5, since, sent) FROM " +
		quote(from.table) + " WHERE seq = ?1"
}

// plainInsert inserts neighbours: only the first has its seq in words, those of the
// others follow, which SQLite is quicker at than at numbers that it is given. The
// parameters that all rows share are numbered; the others are not, because SQLite looks
// numbers up one by one.
func plainInsert(t string, n int) string {
	return "INSERT INTO " + t + " (seq, sent, content_type, id, body) VALUES (?1, ?2, ?3, ?, ?)" +
		strings.Repeat(", (NULL, ?2, ?3, ?, ?)", n-1)
}

func fullInsert(t string, n int) string {
	const row = "(?, ?, ?, ?, ?, ?, ?)"
	return "INSERT INTO " + t + " (seq, sent, content_type, id, body, headers, due) VALUES " + row + strings.Repeat(", "+row, n-1)
}
