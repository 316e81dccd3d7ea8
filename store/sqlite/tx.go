package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/inproq/inproq/store"
)

// EnqueueTx adds messages within a transaction of the application, on the store's own
// file: tx is a *sql.Tx or a *sql.Conn. They are there when it commits, and never if it
// is rolled back. With a *sql.Conn that is not in a transaction they are there at once.
//
// SQLite has one writer at a time. From its first write on, such as this, until its end
// the transaction keeps all other writers waiting: sends, settlements, and leases too.
// They wait for Options.BusyTimeout at the most. A transaction that has read before it
// writes fails with SQLITE_BUSY_SNAPSHOT if anybody has written meanwhile, so begin it
// with BEGIN IMMEDIATE.
//
// The store learns of the commit by waiting for the same lock: no hook is needed, and
// it does not matter which driver the application uses. It tries after a tenth of the
// time that it has been waiting, at least every 20 ms, so messages are delivered that
// much later at most.
func (s *Store) EnqueueTx(ctx context.Context, tx any, name string, msgs []store.Message) error {
	var x executor
	switch tx := tx.(type) {
	case *sql.Tx:
		x = tx
	case *sql.Conn:
		x = tx
	default:
		return fmt.Errorf("sqlite: the transaction is a %T, not a *sql.Tx or *sql.Conn", tx)
	}
	q, err := s.queue(ctx, name)
	if err != nil || len(msgs) == 0 {
		return err
	}
	if err := s.usable(); err != nil {
		return err
	}
	err = s.enqueueTx(ctx, x, q, msgs)
	if err == nil {
		// From now on the committer looks whether the transaction has ended.
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.closed.Load() {
			s.foreign = true
			s.start()
		}
		return nil
	}
	if code(err) == codeBusySnapshot {
		return fmt.Errorf("%w: begin the transaction with BEGIN IMMEDIATE", explain(err))
	}
	return err
}

// An executor runs statements in the application's transaction.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// enqueueTx writes the messages, all or none.
func (s *Store) enqueueTx(ctx context.Context, x executor, q *queue, msgs []store.Message) (err error) {
	const point = "inproq_enqueue"
	if _, err := x.ExecContext(ctx, "SAVEPOINT "+point); err != nil {
		return explain(err)
	}
	defer func() {
		// Also when ctx has ended: the transaction may still be committed, without them.
		undo := context.WithoutCancel(ctx)
		if err != nil {
			_, e := x.ExecContext(undo, "ROLLBACK TO "+point)
			err = errors.Join(err, explain(e))
		}
		_, e := x.ExecContext(undo, "RELEASE "+point)
		err = errors.Join(err, explain(e))
	}()
	size := 0
	for i := range msgs {
		size += len(msgs[i].Body)
	}
	// The next number is taken within the transaction. Since there is one writer, the
	// order of numbers is that of commits.
	const reserve = "UPDATE inproq_counts SET next = next + ?, messages = messages + ?, bytes = bytes + ? " +
		"WHERE queue = (SELECT number FROM inproq_queues WHERE name = ? AND number = ? AND deleted = 0) " +
		"AND (SELECT value FROM inproq_store WHERE key = 'id') = ? RETURNING next"
	var next int64
	err = x.QueryRowContext(ctx, reserve, len(msgs), len(msgs), size, q.name, q.number, s.id).Scan(&next)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return s.whyNoRow(ctx, x)
	case err != nil && strings.Contains(err.Error(), "no such table"):
		return fmt.Errorf("sqlite: the transaction is not on the store's file %s: %w", s.path, err)
	case err != nil:
		return explain(err)
	}
	// By this the committer knows, among all that others commit, that there are messages.
	if _, err := x.ExecContext(ctx, "UPDATE inproq_store SET value = value + 1 WHERE key = 'sends'"); err != nil {
		return explain(err)
	}
	return s.insertTx(ctx, x, q, msgs, next-int64(len(msgs)))
}

// insertTx inserts messages from a number on.
func (s *Store) insertTx(ctx context.Context, x executor, q *queue, msgs []store.Message, seq int64) error {
	now := s.now()
	var args []any
	for k, rows := range insertRows {
		for len(msgs) >= rows {
			args = args[:0]
			for i := range msgs[:rows] {
				a := addition{m: &msgs[i], seq: seq, sent: now}
				if d := msgs[i].Delay; d > 0 {
					a.due = after(now, d)
				}
				a.each(func(v driver.Value) { args = append(args, v) })
				seq++
			}
			msgs = msgs[rows:]
			if _, err := x.ExecContext(ctx, q.sql().insert(k, false), args...); err != nil {
				return explain(err)
			}
		}
	}
	return nil
}

// whyNoRow says why the transaction does not see the queue.
func (s *Store) whyNoRow(ctx context.Context, x executor) error {
	var id string
	err := x.QueryRowContext(ctx, "SELECT value FROM inproq_store WHERE key = 'id'").Scan(&id)
	switch {
	case err != nil:
		return explain(err)
	case id != s.id:
		return fmt.Errorf("sqlite: the transaction is not on the store's file %s, but on that of another store", s.path)
	}
	return store.ErrQueueNotFound
}

// absorb takes into account what others have committed since: the application's
// transactions. The committer calls it at the beginning of its own, when nobody else
// can write.
func (s *Store) absorb() error {
	version, err := s.w.number("PRAGMA data_version")
	if err != nil || version == s.version {
		return err
	}
	sends, err := s.w.number("SELECT value FROM inproq_store WHERE key = 'sends'")
	if err != nil {
		return err
	}
	if sends == s.sends {
		s.version = version
		return nil // others have written something else
	}
	type counts struct{ queue, next, messages, bytes int64 }
	var all []counts
	err = s.w.query("SELECT queue, next, messages, bytes FROM inproq_counts", nil, func(row []driver.Value) bool {
		all = append(all, counts{integer(row[0]), integer(row[1]), integer(row[2]), integer(row[3])})
		return true
	})
	if err != nil {
		return err
	}
	queues := s.records.byNumber()
	for _, n := range all {
		if q := queues[n.queue]; q != nil && n.next != q.next {
			if err := s.absorbInto(q, n.next, n.messages, n.bytes); err != nil {
				return err
			}
		}
	}
	s.version, s.sends = version, sends
	return nil
}

// absorbInto takes new messages of one queue into account.
func (s *Store) absorbInto(q *queue, next, messages, bytes int64) error {
	var delayed []wait
	total := int64(0)
	if q.loaded {
		var err error
		if total, err = s.w.number(q.sql().countFrom, q.next); err != nil {
			return err
		}
		err = s.w.query(q.sql().since, []driver.Value{q.next}, func(row []driver.Value) bool {
			delayed = append(delayed, wait{integer(row[1]), integer(row[0])})
			return true
		})
		if err != nil {
			return err
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := s.now()
	q.next, q.messages, q.bytes = next, messages, bytes
	q.oldest = 0
	if !q.loaded {
		return nil // it is read from the file
	}
	for range total - int64(len(delayed)) {
		q.gain(0, 0, now)
	}
	for _, w := range delayed {
		q.expiry = min(q.expiry, q.expires(now))
		q.delay(w.seq, w.due, now) // which is what it was, also if it is due by now
	}
	q.signal()
	return nil
}
