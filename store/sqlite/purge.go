package sqlite

import (
	"context"
	"slices"
)

// Purge deletes what is ready and delayed.
func (s *Store) Purge(ctx context.Context, name string) error {
	q, err := s.queue(ctx, name)
	if err != nil {
		return err
	}
	return s.submit(ctx, &purge{q: q})
}

// asideTable has rows for the moment in which their table is cleared. It belongs to the
// writing connection, and is in its memory.
const asideTable = "inproq_aside"

// A purge is one call of Purge. In its group it comes before all that adds or settles.
type purge struct {
	opHead
	q    *queue
	next int64   // messages from here on were sent after it
	held []int64 // these were leased, and stay
}

func (o *purge) plan(g *group) error {
	c, err := g.change(o.q)
	if err != nil {
		return err
	}
	c.cut()
	o.next, o.held = o.q.next, nil
	var held []int64
	size := int64(0)
	o.q.mu.Lock()
	for seq, it := range o.q.out {
		if it.state == leased {
			held = append(held, seq)
			size += it.size
		}
	}
	o.q.mu.Unlock()
	slices.Sort(held)
	o.held = held
	c.purged = o
	c.messages, c.bytes, c.dirty = int64(len(held)), size, true
	c.removed = c.removed[:0]
	if len(held) == 0 {
		return g.c.exec(o.q.sql().clear) // which is quicker than any condition
	}
	// To delete all rows of a table at once is quicker than to delete all but some, so
	// these are put aside.
	sql := o.q.sql()
	for _, seq := range held {
		c.wrote(size / int64(len(held)))
		if err := g.c.exec(sql.setAside, seq); err != nil {
			return err
		}
	}
	if err := g.c.exec(sql.clear); err != nil {
		return err
	}
	if err := g.c.exec(sql.restore); err != nil {
		return err
	}
	return g.c.exec("DELETE FROM temp." + asideTable)
}

func (o *purge) undo()  {}
func (o *purge) abort() {}

func (o *purge) apply(*group) {
	q := o.q
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ready, q.waits = fifo{}, delays{popped: q.waits.popped}
	q.delayed, q.fresh, q.cursor = 0, 0, o.next
	for _, it := range q.out {
		switch {
		case it.state != ready:
		case !o.keeps(it.seq):
			q.forget(it)
		case !it.settling:
			q.line(it) // its lease has run out meanwhile
		}
	}
	q.oldest = 0
}

// keeps reports whether a message was leased when the queue was purged.
func (o *purge) keeps(seq int64) bool {
	_, held := slices.BinarySearch(o.held, seq)
	return held
}
