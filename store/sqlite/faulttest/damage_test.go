package faulttest

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/sqlite"
)

const pageSize = 8192

// sound returns the content of a database with some hundred messages, which was closed.
func sound(t *testing.T) []byte {
	t.Helper()
	r := newRig(t, 2000)
	for range 10 {
		msgs := newMessages(20, 2000)
		msgs[0].Delay = forever
		require.NoError(t, r.enqueue(first, msgs))
		require.NoError(t, r.enqueue(second, newMessages(20, 20_000)))
	}
	require.NoError(t, r.s.Close())
	content, err := os.ReadFile(r.path)
	require.NoError(t, err)
	require.Greater(t, len(content), 20*pageSize)
	return content
}

// exercise does everything that a store can do, and returns the errors.
func exercise(t testing.TB, content []byte) (errs []error) {
	t.Helper()
	path := restore(t, Image{"queue.db": content})
	s, err := sqlite.Open(path, usual)
	if err != nil {
		return []error{err}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	for _, queue := range queues {
		_, err := peekAll(s, queue)
		note(err)
		_, err = s.Stats(ctx, queue)
		note(err)
		_, err = s.Enqueue(ctx, queue, newMessages(3, 2000))
		note(err)
		taken, err := s.Lease(ctx, queue, store.Claim{Max: 1000, Visibility: forever}, nil)
		note(err)
		outcomes := make([]store.Outcome, len(taken))
		for i, d := range taken {
			outcomes[i] = store.Outcome{Lease: d.Lease, Verb: verbs[i%len(verbs)], To: second}
		}
		_, err = s.Settle(ctx, queue, outcomes)
		note(err)
		note(s.Purge(ctx, queue))
		_, err = s.PutQueue(ctx, store.Queue{Name: "more-" + queue})
		note(err)
		note(s.DeleteQueue(ctx, queue))
	}
	_, _, err = s.Queues(ctx, 0, 0)
	note(err)
	require.NoError(t, ctx.Err(), "something has hung")
	note(s.Close())
	return errs
}

// TestDamage flips bytes of the file. Nothing panics, nothing hangs, and errors tell
// where they come from.
func TestDamage(t *testing.T) {
	content := sound(t)
	assert.Empty(t, exercise(t, content))
	seen := 0
	for seed := uint64(0); seed < rounds(40) || seen == 0 && seed < 1000; seed++ { // most bytes are those of bodies
		chance := rand.New(rand.NewPCG(seed, 5))
		damaged := bytes.Clone(content)
		for range 1 + chance.IntN(8) {
			page := chance.IntN(len(damaged) / pageSize)
			at := page * pageSize
			if chance.IntN(2) == 0 {
				at += chance.IntN(120) // where a page says what is in it
			} else {
				at += chance.IntN(pageSize)
			}
			damaged[at] ^= byte(1 + chance.IntN(255))
		}
		for _, err := range exercise(t, damaged) {
			assert.ErrorContains(t, err, "sqlite: ")
			seen++
		}
	}
	assert.NotZero(t, seen, "no damage was seen")
}

// TestDamagedTable destroys the table of a queue.
func TestDamagedTable(t *testing.T) {
	content := sound(t)
	path := restore(t, Image{"queue.db": content})
	db := connect(t, Plain(path))
	root := value[int](t, db, "SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name = 'inproq_queue_first'")
	require.NoError(t, db.Close())
	copy(content[(root-1)*pageSize:root*pageSize], bytes.Repeat([]byte{0xa5}, pageSize))
	errs := exercise(t, content)
	require.NotEmpty(t, errs)
	require.ErrorIs(t, errs[0], store.ErrReadOnly)
	assert.ErrorContains(t, errs[0], "damaged")
}

// TestDamagedHeader destroys the beginning of the file.
func TestDamagedHeader(t *testing.T) {
	content := sound(t)
	clear(content[:16])
	_, err := sqlite.Open(restore(t, Image{"queue.db": content}), usual)
	require.Error(t, err)
	assert.ErrorContains(t, err, "no SQLite database")
	short := sound(t)[:5*pageSize+100]
	errs := exercise(t, short)
	require.NotEmpty(t, errs)
	assert.ErrorContains(t, errs[0], "damaged")
}

// TestForeignFile opens what is no database at all.
func TestForeignFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("text\n"), 5000), 0o600))
	_, err := sqlite.Open(path, usual)
	require.ErrorContains(t, err, "no SQLite database")
}
