package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/sqlite"
)

// Its snippets are parts of examples.
func TestSnippetsOfTheReadme(t *testing.T) {
	unindented := func(path string) string {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return regexp.MustCompile(`(?m)^[ \t]+`).ReplaceAllString(string(text), "")
	}
	snippets := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(unindented("README.md"), -1)
	require.Len(t, snippets, 2)
	for _, s := range snippets {
		assert.Contains(t, unindented("example_test.go"), s[1])
	}
}

type email struct {
	To string `json:"to"`
}

// The queries in the README say what it says they do.
func TestQueriesOfTheReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var queries []string
	for _, m := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllSubmatch(text, -1) {
		queries = append(queries, string(m[1]))
	}
	require.Len(t, queries, 5)

	path := filepath.Join(t.TempDir(), "queues.db")
	s, err := sqlite.Open(path, sqlite.Options{})
	require.NoError(t, err)
	closing(t, s)
	b, err := inproq.NewBroker(inproq.Config{Store: s})
	require.NoError(t, err)
	emails, err := inproq.Declare[email](t.Context(), b, "emails", inproq.QueueConfig{})
	require.NoError(t, err)
	_, err = inproq.Declare[string](t.Context(), b, "empty", inproq.QueueConfig{})
	require.NoError(t, err)
	ada, alan := email{"ada@example.org"}, email{"alan@example.org"}
	_, err = emails.SendBatch(t.Context(), inproq.Bodies(ada, alan, ada))
	require.NoError(t, err)
	_, err = emails.Send(t.Context(), alan, inproq.Delay(time.Hour))
	require.NoError(t, err)
	got, err := s.Lease(t.Context(), "emails", store.Claim{Max: 2, Visibility: time.Minute}, nil)
	require.NoError(t, err)
	_, err = s.Settle(t.Context(), "emails", []store.Outcome{{Lease: got[1].Lease, Verb: store.Retry, Delay: time.Minute}})
	require.NoError(t, err)

	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	require.NoError(t, err)
	closing(t, db)
	assert.Equal(t, [][]any{{"emails", int64(4), int64(24 + 25 + 24 + 25), int64(0)}, {"empty", int64(0), int64(0), int64(0)}}, rows(t, db, queries[0]))
	oldest := rows(t, db, queries[1])
	require.Len(t, oldest, 4)
	assert.Equal(t, `{"to":"ada@example.org"}`, oldest[0][3])
	waiting := rows(t, db, queries[2])
	require.Len(t, waiting, 2)
	assert.Equal(t, []any{int64(2), int64(1)}, waiting[0][:2], "the retried one")
	assert.Equal(t, []any{int64(4), int64(0)}, waiting[1][:2], "the delayed one")
	assert.Equal(t, [][]any{{int64(0), int64(2)}, {int64(1), int64(2)}}, rows(t, db, queries[3]))
	assert.Equal(t, [][]any{{"ada@example.org", int64(2)}, {"alan@example.org", int64(2)}}, rows(t, db, queries[4]))
	require.NoError(t, b.Shutdown(t.Context()))
}

func rows(t *testing.T, db *sql.DB, query string) (all [][]any) {
	t.Helper()
	r, err := db.Query(query)
	require.NoError(t, err, query)
	closing(t, r)
	columns, err := r.Columns()
	require.NoError(t, err)
	for r.Next() {
		row, to := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			to[i] = &row[i]
		}
		require.NoError(t, r.Scan(to...))
		all = append(all, row)
	}
	require.NoError(t, r.Err())
	return all
}
