package sqlite

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/inproq/inproq/store"
)

// Stats counts what the queue holds.
func (s *Store) Stats(ctx context.Context, name string) (store.Stats, error) {
	q, err := s.queue(ctx, name)
	if err != nil {
		return store.Stats{}, err
	}
	now, err := s.current(ctx, q)
	if err != nil {
		return store.Stats{}, err
	}
	st := q.stats()
	if q.behind(now) {
		st.Delayed = -1 // some of them are due
	}
	known := q.oldest != 0 || q.messages == 0
	cut, messages, head := q.cut, q.messages, q.head
	q.mu.Unlock()
	if known {
		return st, nil
	}
	oldest, err := s.oldest(ctx, q, head)
	if err != nil {
		return store.Stats{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.cut == cut && q.messages == messages && q.cutting == 0 && q.oldest == 0 {
		q.oldest = oldest
	}
	if oldest > 0 {
		st.Oldest = time.Unix(0, oldest)
	}
	return st, nil
}

// stats is what memory knows. The caller holds mu.
func (q *queue) stats() store.Stats {
	st := store.Stats{
		Messages:     q.messages,
		Bytes:        q.bytes,
		Delayed:      q.delayed,
		Leased:       q.leased,
		Expired:      q.expired,
		ExpiredBytes: q.expiredBytes,
	}
	if q.oldest > 0 && q.messages > 0 {
		st.Oldest = time.Unix(0, q.oldest)
	}
	return st
}

// oldest reads when the oldest message was sent.
func (s *Store) oldest(ctx context.Context, q *queue, head int64) (oldest int64, err error) {
	err = s.read(ctx, func(r *conn) error {
		return r.query(q.sql().oldest, []driver.Value{head}, func(row []driver.Value) bool {
			for _, v := range row {
				if sent := integer(v); sent > 0 && (oldest == 0 || sent < oldest) {
					oldest = sent
				}
			}
			return false
		})
	})
	return oldest, err
}

// recount counts the messages in the file: some that should be there are not.
func (s *Store) recount(ctx context.Context, q *queue) error {
	s.logger.Warn("messages are missing: another program has deleted them from the file", "file", s.path, "queue", q.name)
	return s.submit(ctx, &recount{q: q})
}

type recount struct {
	opHead
	q     *queue
	fresh int64
}

func (o *recount) plan(g *group) error {
	c, err := g.change(o.q)
	if err != nil {
		return err
	}
	if err := c.remove(g.c); err != nil { // what an upkeep of the same group has found
		return err
	}
	c.removed = nil
	c.cut()
	c.dirty = true
	err = g.c.query(o.q.sql().count, nil, func(row []driver.Value) bool {
		c.messages, c.bytes = integer(row[0]), integer(row[1])
		return false
	})
	if err != nil {
		return err
	}
	o.q.mu.Lock()
	cursor := o.q.cursor
	o.q.mu.Unlock()
	o.fresh, err = g.c.number(o.q.sql().countFresh, cursor)
	return err
}

func (o *recount) undo()  {}
func (o *recount) abort() {}

func (o *recount) apply(*group) {
	o.q.mu.Lock()
	defer o.q.mu.Unlock()
	o.q.fresh = o.fresh
	o.q.oldest = 0
}
