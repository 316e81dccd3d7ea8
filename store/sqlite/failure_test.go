package sqlite_test

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	modernc "modernc.org/sqlite"

	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/sqlite"
)

// A dsn opens connections with parameters of the driver's.
type dsn string

func (d dsn) Connect(context.Context) (driver.Conn, error) { return d.Driver().Open(string(d)) }
func (dsn) Driver() driver.Driver                          { return new(modernc.Driver) }

// A file that may not grow any more, as on a full disk: what was confirmed stays, sends
// fail clearly and as a whole, and when there is room again they work.
func TestAFullFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queues.db")
	s, err := sqlite.Open(path, sqlite.Options{Connector: dsn("file:" + path + "?_pragma=max_page_count(60)")})
	require.NoError(t, err)
	closing(t, s)
	_, err = s.PutQueue(t.Context(), store.Queue{Name: "q"})
	require.NoError(t, err)
	body := bytes.Repeat([]byte("x"), 10_000)
	sent := int64(0)
	for {
		_, err = s.Enqueue(t.Context(), "q", []store.Message{{ID: store.ID{1}, Body: body}, {ID: store.ID{2}, Body: body}})
		if err != nil {
			break
		}
		sent += 2
	}
	require.ErrorIs(t, err, store.ErrFull)
	require.ErrorContains(t, err, "the disk is full")
	require.Positive(t, sent)
	st, err := s.Stats(t.Context(), "q")
	require.NoError(t, err)
	assert.Equal(t, sent, st.Messages)

	got, err := s.Lease(t.Context(), "q", store.Claim{Max: 100, Visibility: time.Minute}, nil)
	require.NoError(t, err)
	assert.Len(t, got, int(sent))
	_, err = s.Settle(t.Context(), "q", []store.Outcome{{Lease: got[0].Lease}, {Lease: got[1].Lease}})
	require.NoError(t, err, "an acknowledgement makes room")
	_, err = s.Enqueue(t.Context(), "q", []store.Message{{ID: store.ID{3}, Body: body}})
	require.NoError(t, err)
}

// When only one of several calls cannot be done, the others are.
func TestATableThatIsGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queues.db")
	s := openAt(t, path)
	closing(t, s)
	for _, name := range []string{"q", "gone"} {
		_, err := s.PutQueue(t.Context(), store.Queue{Name: name})
		require.NoError(t, err)
	}
	_, err := appDB(t, path).Exec("DROP TABLE inproq_queue_gone")
	require.NoError(t, err)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			_, err := s.Enqueue(t.Context(), "q", []store.Message{{ID: store.ID{byte(i)}, Body: []byte("fine")}})
			assert.NoError(t, err)
		})
		all.Go(func() {
			_, err := s.Enqueue(t.Context(), "gone", []store.Message{{Body: []byte("lost")}})
			assert.ErrorContains(t, err, "no such table")
		})
	}
	all.Wait()
	st, err := s.Stats(t.Context(), "q")
	require.NoError(t, err)
	assert.Equal(t, int64(16), st.Messages)
}

func TestFilesThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "letter.txt")
	require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("Dear sir or madam, "), 1000), 0o600))
	_, err := sqlite.Open(path, sqlite.Options{})
	require.ErrorContains(t, err, "the file is no SQLite database")
	require.ErrorIs(t, err, store.ErrReadOnly)

	_, err = sqlite.Open(filepath.Join(dir, "missing", "queues.db"), sqlite.Options{})
	require.ErrorIs(t, err, os.ErrNotExist)

	path = filepath.Join(dir, "queues.db")
	s, err := sqlite.Open(path, sqlite.Options{})
	require.NoError(t, err)
	_, err = sqlite.Open(path, sqlite.Options{})
	require.ErrorContains(t, err, "is in use by another process, or another Store in this one")
	require.NoError(t, s.Close())

	_, err = sqlite.Open(path, sqlite.Options{Connector: dsn("file:" + path + "?mode=ro")})
	require.ErrorIs(t, err, store.ErrReadOnly)
	s, err = sqlite.Open(path, sqlite.Options{})
	require.NoError(t, err, "what failed has let go of the file")
	require.NoError(t, s.Close())
}

// A disk is a log of which nothing is known but how often it was to be confirmed.
type disk struct {
	syncs int
	err   error
}

func (d *disk) Sync() error  { d.syncs++; return d.err }
func (*disk) Rewrite() error { return nil }
func (*disk) Close() error   { return nil }

// A disk that does not confirm a write is not asked again.
func TestADiskThatFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queues.db")
	fails := errors.New("input/output error")
	disk := &disk{}
	s, err := sqlite.Open(path, sqlite.Options{Log: disk})
	require.NoError(t, err)
	closing(t, s)
	var told []error
	defer s.OnFailure(func(err error) { told = append(told, err) })()
	_, err = s.PutQueue(t.Context(), store.Queue{Name: "q"})
	require.NoError(t, err)
	_, err = s.Enqueue(t.Context(), "q", []store.Message{{Body: []byte("a")}, {Body: []byte("b")}})
	require.NoError(t, err)
	got, err := s.Lease(t.Context(), "q", store.Claim{Visibility: time.Minute}, nil)
	require.NoError(t, err)

	disk.err = fails
	before := disk.syncs
	_, err = s.Enqueue(t.Context(), "q", []store.Message{{Body: []byte("c")}})
	require.ErrorIs(t, err, store.ErrReadOnly)
	require.ErrorIs(t, err, fails)
	require.ErrorIs(t, err, store.ErrUnavailable, "it may be there or not")
	disk.err = nil
	for range 3 {
		_, err = s.Enqueue(t.Context(), "q", []store.Message{{Body: []byte("d")}})
		require.ErrorIs(t, err, store.ErrReadOnly)
		require.ErrorContains(t, err, "open the file again")
		_, err = s.Settle(t.Context(), "q", []store.Outcome{{Lease: got[0].Lease}})
		require.ErrorIs(t, err, store.ErrReadOnly)
	}
	assert.Equal(t, before+1, disk.syncs, "the disk is asked once")
	require.Len(t, told, 1)
	assert.ErrorIs(t, told[0], store.ErrReadOnly)
	var late error
	s.OnFailure(func(err error) { late = err })()
	assert.Equal(t, told[0], late, "who comes later is told at once")
	shown, err := s.Peek(t.Context(), "q", "", 10)
	require.NoError(t, err, "reading goes on")
	assert.NotEmpty(t, shown)
	require.NoError(t, s.Close())

	again, err := sqlite.Open(path, sqlite.Options{})
	require.NoError(t, err)
	closing(t, again)
	shown, err = again.Peek(t.Context(), "q", "", 10)
	require.NoError(t, err)
	bodies := []string{}
	for _, d := range shown {
		bodies = append(bodies, string(d.Body))
	}
	assert.Subset(t, bodies, []string{"a", "b"})
	assert.NotContains(t, bodies, "d")
}
