package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

// A Move takes its number among the sends to its queue, in one transaction with them.
func TestAMoveBetweenSends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queues.db")
	s := newQ(t, path, "moved", "moved too")
	_, err := s.PutQueue(t.Context(), store.Queue{Name: "other"})
	require.NoError(t, err)
	a, b := leaseQ(t, s, time.Hour), leaseQ(t, s, time.Hour)
	send := func() {
		msgs := make([]store.Message, 20)
		for i := range msgs {
			msgs[i].Body = []byte("sent")
		}
		_, err := s.Enqueue(t.Context(), "other", msgs)
		assert.NoError(t, err)
	}
	move := func(d store.Delivery) func() {
		return func() {
			lost, err := s.Settle(t.Context(), "q", []store.Outcome{{Lease: d.Lease, Verb: store.Move, To: "other"}})
			assert.NoError(t, err)
			assert.Empty(t, lost)
		}
	}
	together(s, send, move(a), send, move(b), send)
	send()
	q, err := s.records.find("other")
	require.NoError(t, err)
	last, err := s.w.number("SELECT max(seq) FROM " + quote(q.table))
	require.NoError(t, err)
	assert.Equal(t, int64(82), last)
	assert.Equal(t, last+1, q.next)
	got, err := s.Lease(t.Context(), "other", store.Claim{Max: 100, Visibility: time.Hour}, nil)
	require.NoError(t, err)
	assert.Len(t, got, 82)
}

// What was settled is forgotten, long before its lease would have ended.
func TestSettledLeasesAreForgotten(t *testing.T) {
	s := newQ(t, filepath.Join(t.TempDir(), "queues.db"), "a", "b", "c", "d")
	q, err := s.records.find("q")
	require.NoError(t, err)
	got, err := s.Lease(t.Context(), "q", store.Claim{Max: 4, Visibility: time.Hour}, nil)
	require.NoError(t, err)
	for range 3 {
		var extends []store.Outcome
		for _, d := range got {
			extends = append(extends, store.Outcome{Lease: d.Lease, Verb: store.Extend, Delay: time.Hour}, store.Outcome{Lease: d.Lease, Verb: store.Extend, Delay: 2 * time.Hour})
		}
		lost, err := s.Settle(t.Context(), "q", extends)
		require.NoError(t, err)
		require.Empty(t, lost)
	}
	q.mu.Lock()
	assert.LessOrEqual(t, len(q.leases), 4)
	q.mu.Unlock()
	for i, verb := range []store.Verb{store.Ack, store.Retry, store.Release, store.Move} {
		lost, err := s.Settle(t.Context(), "q", []store.Outcome{{Lease: got[i].Lease, Verb: verb, To: "q"}})
		require.NoError(t, err)
		require.Empty(t, lost)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	assert.Empty(t, q.leases)
	assert.Empty(t, q.out)
}

// A message of a transaction that is due when the store learns of it, in a bucket that
// waits in the file, is there once.
func TestATransactionInABucketThatWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queues.db")
	s := newQ(t, path)
	msgs := make([]store.Message, 1000)
	for i := range msgs {
		msgs[i] = store.Message{Body: []byte("x"), Delay: time.Millisecond}
	}
	for range maxReady/1000 + 1 {
		_, err := s.Enqueue(t.Context(), "q", msgs)
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	s = at(t, path)
	s.epoch = s.epoch.Add(-bucket) // what was sent is in a bucket before
	_, err := s.Enqueue(t.Context(), "q", []store.Message{{Body: []byte("in the current bucket"), Delay: time.Nanosecond}})
	require.NoError(t, err)
	statsQ(t, s)
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	tx, err := db.Begin()
	require.NoError(t, err)
	require.NoError(t, s.EnqueueTx(t.Context(), tx, "q", []store.Message{{Body: []byte("marked"), Delay: time.Microsecond}}))
	require.NoError(t, tx.Commit())
	marked, total := 0, 0
	var buf []store.Delivery
	for {
		buf, err = s.Lease(t.Context(), "q", store.Claim{Max: 1000, Visibility: time.Hour, Wait: 50 * time.Millisecond}, buf[:0])
		require.NoError(t, err)
		if len(buf) == 0 {
			break
		}
		for _, d := range buf {
			if total++; string(d.Body) == "marked" {
				marked++
			}
		}
	}
	assert.Equal(t, 1, marked)
	assert.Equal(t, (maxReady/1000+1)*1000+2, total)
	st := statsQ(t, s)
	assert.Zero(t, st.Delayed)
	assert.Equal(t, int64(total), st.Leased)
}

// Nobody waits longer than its context for a transaction of the application, and Close
// for none.
func TestContextsDuringATransaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queues.db")
	s := newQ(t, path, "m")
	require.NoError(t, s.Close())
	s, err := Open(path, Options{BusyTimeout: -1})
	require.NoError(t, err)
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	tx, err := db.Begin()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	calls := []func() error{
		func() error { _, err := s.Stats(ctx, "q"); return err },
		func() error { _, err := s.Peek(ctx, "q", "", 1); return err },
		func() error { _, err := s.Lease(ctx, "q", store.Claim{Visibility: time.Hour}, nil); return err },
		func() error {
			_, err := s.Lease(ctx, "q", store.Claim{Visibility: time.Hour, Wait: -1}, nil)
			return err
		},
		func() error { _, err := s.Enqueue(ctx, "q", []store.Message{{Body: []byte("x")}}); return err },
		func() error { return s.Purge(ctx, "q") },
	}
	var all sync.WaitGroup
	for _, call := range calls {
		all.Go(func() { assert.ErrorIs(t, call(), context.DeadlineExceeded) })
	}
	all.Wait()
	late := make(chan error, 1)
	go func() {
		_, err := s.Enqueue(context.Background(), "q", []store.Message{{Body: []byte("x")}})
		late <- err
	}()
	awaitPending(s, 1)
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-late, store.ErrClosed)
	require.NoError(t, tx.Rollback())
}

// The retention of a queue that is only sent to is kept, too.
func TestRetentionWithoutAConsumer(t *testing.T) {
	s := newQ(t, filepath.Join(t.TempDir(), "queues.db"))
	rec, _, err := s.Queues(t.Context(), 0, 0)
	require.NoError(t, err)
	rec[0].Retention = time.Nanosecond
	_, err = s.PutQueue(t.Context(), rec[0])
	require.NoError(t, err)
	for range 20 {
		before, err := s.Enqueue(t.Context(), "q", []store.Message{{Body: []byte("m")}})
		require.NoError(t, err)
		assert.Zero(t, before.Messages)
	}
	n, err := s.w.number("SELECT count(*) FROM inproq_queue_q")
	require.NoError(t, err)
	assert.LessOrEqual(t, n, int64(1))
}

// The log is copied into the file however it grows, and begun anew.
func TestTheLogStaysShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queues.db")
	s := newQ(t, path)
	msgs := make([]store.Message, 100)
	for i := range msgs {
		msgs[i].Body = make([]byte, 4000)
	}
	for range 20 {
		_, err := s.Enqueue(t.Context(), "q", msgs)
		require.NoError(t, err)
	}
	var buf []store.Delivery
	for range 15 * 20 {
		var err error
		buf, err = s.Lease(t.Context(), "q", store.Claim{Max: 100, Visibility: time.Hour}, buf[:0])
		require.NoError(t, err)
		retries := make([]store.Outcome, len(buf))
		for i, d := range buf {
			retries[i] = store.Outcome{Lease: d.Lease, Verb: store.Retry}
		}
		_, err = s.Settle(t.Context(), "q", retries)
		require.NoError(t, err)
	}
	info, err := os.Stat(path + "-wal")
	require.NoError(t, err)
	assert.Less(t, info.Size(), int64(100<<20))
}

// Very many leased messages do not make a Peek of one slow to find.
func TestPeekBehindLeasedMessages(t *testing.T) {
	s := newQ(t, filepath.Join(t.TempDir(), "queues.db"))
	for i := range 5 {
		msgs := make([]store.Message, 1000)
		for k := range msgs {
			msgs[k].Body = fmt.Appendf(nil, "%d", i*1000+k)
		}
		_, err := s.Enqueue(t.Context(), "q", msgs)
		require.NoError(t, err)
	}
	_, err := s.Lease(t.Context(), "q", store.Claim{Max: 4990, Visibility: time.Hour}, nil)
	require.NoError(t, err)
	after := store.Lease("")
	for want := 4990; want < 5000; want++ {
		shown, err := s.Peek(t.Context(), "q", after, 1)
		require.NoError(t, err)
		require.Len(t, shown, 1)
		assert.Equal(t, fmt.Sprint(want), string(shown[0].Body))
		after = shown[0].Lease
	}
}
