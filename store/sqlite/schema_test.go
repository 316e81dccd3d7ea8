package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

// at opens a store, and closes it with the test.
func at(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path, Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// edit changes a file behind the store's back.
func edit(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.Exec(statement)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

func TestANewerFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queues.db")
	require.NoError(t, at(t, path).Close())
	edit(t, path, "UPDATE inproq_store SET value = 99 WHERE key = 'version'")
	_, err := Open(path, Options{})
	require.ErrorContains(t, err, "the file has version 99 of the schema, this program knows up to 1")
	edit(t, path, "UPDATE inproq_store SET value = 1 WHERE key = 'version'")
	at(t, path)
}

func TestAFileWithoutAVersionIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queues.db")
	edit(t, path, "CREATE TABLE inproq_store (key TEXT PRIMARY KEY, value)")
	_, err := Open(path, Options{})
	require.ErrorContains(t, err, "has no version")
}

// Steps are made in their order, each once, and all of them or none.
func TestMigration(t *testing.T) {
	s := at(t, filepath.Join(t.TempDir(), "queues.db"))
	c, err := s.connect("PRAGMA busy_timeout=5000")
	require.NoError(t, err)
	defer func() { require.NoError(t, c.close()) }()
	version := func() int {
		n, err := schemaVersion(c)
		require.NoError(t, err)
		return n
	}
	id, err := migrate(c, migrations)
	require.NoError(t, err)
	assert.Equal(t, s.id, id, "the file keeps its identity")
	require.Equal(t, 1, version())

	made := []string{}
	step := func(name string) migration {
		return func(c *conn) error {
			made = append(made, name)
			return c.run("CREATE TABLE " + name + " (x)")
		}
	}
	failed := errors.New("no")
	steps := append(migrations[:1:1], step("two"), func(*conn) error { return failed })
	_, err = migrate(c, steps)
	require.ErrorIs(t, err, failed)
	require.Equal(t, 1, version())
	n, err := c.number("SELECT count(*) FROM sqlite_schema WHERE name = 'two'")
	require.NoError(t, err)
	require.Zero(t, n, "a step that fails undoes those before it")

	made = nil
	steps = append(migrations[:1:1], step("two"), step("three"))
	for range 2 {
		again, err := migrate(c, steps)
		require.NoError(t, err)
		assert.Equal(t, id, again)
	}
	assert.Equal(t, []string{"two", "three"}, made)
	assert.Equal(t, 3, version())
}

func TestNamesOfTables(t *testing.T) {
	s := at(t, filepath.Join(t.TempDir(), "queues.db"))
	tables := map[string]string{}
	for _, name := range []string{"emails", "Emails", "a-b", "größe", `"; DROP TABLE inproq_queues; --`} {
		_, err := s.PutQueue(t.Context(), store.Queue{Name: name})
		require.NoError(t, err)
		_, err = s.Enqueue(t.Context(), name, []store.Message{{Body: []byte(name)}})
		require.NoError(t, err)
		tables[name] = s.records.byName[name].table
	}
	assert.Equal(t, "inproq_queue_emails", tables["emails"])
	assert.Equal(t, "inproq_queue__2", tables["Emails"], "names of tables do not differ in case")
	assert.Equal(t, "inproq_queue_a-b", tables["a-b"])
	assert.Equal(t, "inproq_queue__4", tables["größe"])
	for name := range tables {
		got, err := s.Lease(t.Context(), name, store.Claim{Visibility: 1e9}, nil)
		require.NoError(t, err)
		require.Len(t, got, 1)
		assert.Equal(t, name, string(got[0].Body))
	}
	// A name that is free again may be taken by the other.
	require.NoError(t, s.DeleteQueue(t.Context(), "emails"))
	_, err := s.PutQueue(t.Context(), store.Queue{Name: "EMAILS"})
	require.NoError(t, err)
	assert.Equal(t, "inproq_queue_EMAILS", s.records.byName["EMAILS"].table)
}

// What other programs do to the file is noticed, and heals.
func TestMessagesThatAnotherProgramDeletes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queues.db")
	s := at(t, path)
	_, err := s.PutQueue(t.Context(), store.Queue{Name: "q"})
	require.NoError(t, err)
	_, err = s.Enqueue(t.Context(), "q", []store.Message{{Body: []byte("gone")}, {Body: []byte("gone too")}, {Body: []byte("kept")}})
	require.NoError(t, err)
	edit(t, path, "DELETE FROM inproq_queue_q WHERE seq < 3")
	got, err := s.Lease(t.Context(), "q", store.Claim{Max: 10, Visibility: 1e9}, nil)
	require.NoError(t, err)
	require.Len(t, got, 1)
	assert.Equal(t, "kept", string(got[0].Body))
	st, err := s.Stats(t.Context(), "q")
	require.NoError(t, err)
	assert.Equal(t, int64(1), st.Messages)
	assert.Equal(t, int64(4), st.Bytes)
	got, err = s.Lease(t.Context(), "q", store.Claim{Max: 10, Visibility: 1e9}, nil)
	require.NoError(t, err)
	assert.Empty(t, got)
}

// With very many queues statements are prepared anew rather than all kept.
func TestStatementsAreBounded(t *testing.T) {
	s := at(t, filepath.Join(t.TempDir(), "queues.db"))
	for i := range maxStmts + 10 {
		require.NoError(t, s.w.exec(fmt.Sprintf("SELECT %d", i)))
	}
	assert.LessOrEqual(t, len(s.w.stmts), maxStmts)
}

func TestCountsThatAnotherProgramChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queues.db")
	s := newQ(t, path, "a", "b")
	_, err := s.Enqueue(t.Context(), "q", []store.Message{{Body: []byte("c"), Delay: 1 << 50}})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	edit(t, path, "UPDATE inproq_counts SET messages = 0, bytes = 0")
	s = at(t, path)
	st := statsQ(t, s)
	assert.Equal(t, []int64{3, 3, 1}, []int64{st.Messages, st.Bytes, st.Delayed})
	leaseQ(t, s, 1<<50)
}
