package sqlite_test

import (
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/sqlite"
)

// A look is what a file holds after a crash, as the store shows it and as its tables have it.
type look struct {
	s        *sqlite.Store
	clock    clock // as the store's
	recs     []store.Queue
	revision uint64
	found    map[string][]*sighting // by queue, in the order of Peek
}

// A sighting is of one message.
type sighting struct {
	store.Delivery
	due   int64 // 0: at once
	since int64 // 0: retention counts from Sent
}

// takeLook opens the file, and checks that what the store says agrees with itself and
// with the tables.
func takeLook(t *testing.T, path string) *look {
	t.Helper()
	s, err := sqlite.Open(path, sqlite.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() }) // if the test fails
	l := &look{s: s, clock: newClock(), found: map[string][]*sighting{}}
	l.recs, l.revision, err = s.Queues(t.Context(), 0, 0)
	require.NoError(t, err)
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=query_only(1)")
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	var sound string
	require.NoError(t, db.QueryRow("PRAGMA integrity_check").Scan(&sound))
	require.Equal(t, "ok", sound)
	for _, rec := range l.recs {
		l.lookAt(t, db, rec.Name)
	}
	var tables, queues int
	require.NoError(t, db.QueryRow("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name LIKE 'inproq\\_queue\\_%' ESCAPE '\\'").Scan(&tables))
	require.NoError(t, db.QueryRow("SELECT count(*) FROM inproq_counts").Scan(&queues))
	assert.Equal(t, []int{len(l.recs), len(l.recs)}, []int{tables, queues}, "tables of messages, and rows of counts")
	require.NoError(t, db.Close())
	return l
}

// lookAt looks at one queue.
func (l *look) lookAt(t *testing.T, db *sql.DB, queue string) {
	t.Helper()
	var table string
	var number int64
	require.NoError(t, db.QueryRow("SELECT number, messages FROM inproq_queues WHERE name = ?", queue).Scan(&number, &table))

	// What the table has, and what the store has counted.
	before := l.clock.now()
	stats, err := l.s.Stats(t.Context(), queue)
	require.NoError(t, err)
	after := l.clock.now()
	var next, messages, bytes, seen, last, count, size, oldest, delayedBefore, delayedAfter int64
	row := db.QueryRow("SELECT next, messages, bytes, seen FROM inproq_counts WHERE queue = ?", number)
	require.NoError(t, row.Scan(&next, &messages, &bytes, &seen))
	row = db.QueryRow(`SELECT coalesce(max(seq), 0), count(*), coalesce(sum(length(body)), 0), coalesce(min(sent), 0),
		count(CASE WHEN due > ? THEN 1 END), count(CASE WHEN due > ? THEN 1 END) FROM "`+table+`"`, before, after)
	require.NoError(t, row.Scan(&last, &count, &size, &oldest, &delayedBefore, &delayedAfter))
	assert.Equal(t, []int64{count, size}, []int64{messages, bytes}, "%s: messages and bytes in the table and in inproq_counts", queue)
	assert.Less(t, max(last, seen), next, "%s: the numbers given", queue)
	assert.Equal(t, []int64{count, size, 0}, []int64{stats.Messages, stats.Bytes, stats.Leased}, "%s: messages, bytes and leased in the table and by Stats", queue)
	assert.True(t, delayedAfter <= stats.Delayed && stats.Delayed <= delayedBefore, "%s: %d delayed, not %d to %d", queue, stats.Delayed, delayedAfter, delayedBefore)
	if count > 0 {
		assert.Equal(t, oldest, stats.Oldest.UnixNano(), "%s: sent of the oldest", queue)
	}

	l.found[queue] = l.peek(t, queue, 97)
	byID := map[store.ID]*sighting{}
	peeked := int64(0)
	for _, s := range l.found[queue] {
		require.Nil(t, byID[s.ID], "%s: message %x is there twice", queue, s.ID)
		byID[s.ID] = s
		peeked += int64(len(s.Body))
	}
	assert.Equal(t, []int64{count, size}, []int64{int64(len(byID)), peeked}, "%s: messages and bytes in the table and by Peek", queue)
	rows, err := db.Query(`SELECT id, coalesce(due, 0), coalesce(since, 0) FROM "` + table + `"`)
	require.NoError(t, err)
	for rows.Next() {
		var id []byte
		var s sighting
		require.NoError(t, rows.Scan(&id, &s.due, &s.since))
		seen := byID[store.ID(id)]
		require.NotNil(t, seen, "%s: message %x is in the table and not found by Peek", queue, id)
		seen.due, seen.since = s.due, s.since
	}
	require.NoError(t, rows.Close())
	require.NoError(t, rows.Err())
	delayed := false
	for _, s := range l.found[queue] {
		require.False(t, delayed && s.due <= before, "%s: message %x is ready, and shown after delayed ones", queue, s.ID)
		delayed = delayed || s.due > l.clock.now()
	}
}

// peek pages through a queue.
func (l *look) peek(t *testing.T, queue string, page int) (all []*sighting) {
	t.Helper()
	for after := store.Lease(""); ; after = all[len(all)-1].Lease {
		ds, err := l.s.Peek(t.Context(), queue, after, page)
		require.NoError(t, err)
		for _, d := range ds {
			all = append(all, &sighting{Delivery: d})
		}
		if len(ds) < page {
			return all
		}
	}
}

// copyFile copies a file and its log into another directory, as a crash has left them,
// and returns the path there.
func copyFile(t *testing.T, path, dir string) string {
	t.Helper()
	to := filepath.Join(dir, filepath.Base(path))
	for _, end := range []string{"", "-wal"} {
		from, err := os.Open(path + end)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		f, err := os.Create(to + end)
		require.NoError(t, err)
		_, err = io.Copy(f, from)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		require.NoError(t, from.Close())
	}
	return to
}
