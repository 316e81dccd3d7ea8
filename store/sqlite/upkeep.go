package sqlite

import (
	"container/heap"
	"context"
	"database/sql/driver"
	"slices"
)

// advance does what is due and needs no access to the file: leases run out, delays end.
// It reports whether there is more to do, by an upkeep. The caller holds mu.
func (q *queue) advance(now int64) (more bool) {
	if !q.loaded {
		return true
	}
	q.runOut(now)
	q.popDue(now)
	return q.expiry <= now || q.mustLoad(now)
}

// nextEvent is when advance has something to do.
func (q *queue) nextEvent() int64 {
	next := min(q.expiry, q.nextDue())
	if len(q.leases) > 0 {
		next = min(next, q.leases[0].deadline)
	}
	return next
}

// current brings a queue up to date for a call that looks at it. It returns the time,
// and holds mu unless it fails.
func (s *Store) current(ctx context.Context, q *queue) (now int64, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		q.mu.Lock()
		if q.over != nil {
			defer q.mu.Unlock()
			return 0, q.over
		}
		now = s.now()
		if !q.advance(now) || s.usable() != nil { // what is only read is read as it is
			return now, nil
		}
		q.mu.Unlock()
		if err := s.keepUp(ctx, q); err != nil && s.usable() == nil {
			return 0, err
		}
	}
}

// keepUp has the committer do what is due, and waits for that.
func (s *Store) keepUp(ctx context.Context, q *queue) error {
	return s.submit(ctx, &look{opHead: opHead{quick: true}, q: q})
}

// A look changes nothing by itself. Whoever touches a queue in a group first does what is
// due there.
type look struct {
	opHead
	q *queue
}

func (o *look) plan(g *group) error {
	_, err := g.change(o.q)
	return err
}

func (*look) undo()        {}
func (*look) abort()       {}
func (*look) apply(*group) {}

// An upkeep reads the buckets that are due, and deletes messages that are past their
// retention.
type upkeep struct {
	q       *queue
	loaded  []int64 // buckets
	waits   []wait  // in them
	expired []old
	was     int64 // the queue's expiry, before
	expiry  int64
	head    int64 // seq of the first message that did not come by a Move; 0: not looked for
}

// An old message is past its retention.
type old struct {
	seq, size, due int64
	fresh          bool // it has no due
}

// maxExpired bounds how many messages one upkeep deletes: others want to write, too.
const maxExpired = 5000

func (u *upkeep) plan(g *group, c *change) error {
	u.q.mu.Lock()
	ready := u.q.ready.len()
	var due []int64
	for b := range u.q.waits.buckets {
		if b <= bucketOf(g.now) {
			due = append(due, b)
		}
	}
	retention := u.q.retention
	// Order: what others find out meanwhile is the earlier of the two.
	u.was, u.q.expiry = u.q.expiry, never
	u.q.mu.Unlock()
	if err := u.load(g.c, due, maxReady-ready); err != nil {
		return err
	}
	if retention == 0 || u.was > g.now {
		u.expiry = u.was
		return nil
	}
	u.expiry = never
	// Order: nobody can lease a message from here on, then look which are too old.
	c.cut()
	return u.expire(g, c, g.now-retention)
}

// load reads the earliest buckets, room messages or a few more.
func (u *upkeep) load(w *conn, due []int64, room int) error {
	slices.Sort(due)
	for _, b := range due {
		if len(u.waits) >= room {
			break
		}
		err := w.query(u.q.sql().due, []driver.Value{b}, func(row []driver.Value) bool {
			u.waits = append(u.waits, wait{integer(row[1]), integer(row[0])})
			return true
		})
		if err != nil {
			return err
		}
		u.loaded = append(u.loaded, b)
	}
	return nil
}

// expire deletes what was sent at cutoff or before, and finds out when the next message
// expires. Messages are in the order in which they were sent, but for those that came by a
// Move, which have an index of their own.
func (u *upkeep) expire(g *group, c *change, cutoff int64) error {
	const page = 1000
	more := false
	for from, next := u.q.head, true; next; {
		next = false
		err := g.c.query(u.q.sql().head, []driver.Value{from, int64(page)}, func(row []driver.Value) bool {
			if u.head == 0 {
				u.head = integer(row[0])
			}
			if sent := integer(row[1]); sent > cutoff {
				u.expiry = min(u.expiry, u.q.expires(sent))
				next = false
				return false
			}
			from, next = integer(row[0])+1, true
			u.drop(row)
			more = len(u.expired) >= maxExpired
			return !more
		})
		if err != nil {
			return err
		}
		next = next && !more
	}
	if u.head == 0 {
		u.head = c.next // there is none
	}
	err := g.c.query(u.q.sql().old, []driver.Value{cutoff}, func(row []driver.Value) bool {
		more = more || len(u.expired) >= maxExpired
		if !more {
			u.drop(row)
		}
		return !more
	})
	if err != nil {
		return err
	}
	if more {
		u.expiry = g.now
	} else if since, err := g.c.number(u.q.sql().nextOld, cutoff); err != nil {
		return err
	} else if since > 0 {
		u.expiry = min(u.expiry, u.q.expires(since))
	}
	for _, m := range u.expired {
		c.drop(m.seq, m.size)
	}
	return nil
}

// drop notes a message to be deleted, unless it is leased: then it stays until it comes back.
func (u *upkeep) drop(row []driver.Value) {
	m := old{seq: integer(row[0]), size: integer(row[3]), due: integer(row[2]), fresh: row[2] == nil}
	u.q.mu.Lock()
	it := u.q.out[m.seq]
	held := it != nil && it.state == leased
	u.q.mu.Unlock()
	if !held {
		u.expired = append(u.expired, m)
	}
}

// undo gives back what plan has taken. The caller holds mu.
func (u *upkeep) undo() { u.q.expiry = min(u.q.expiry, u.was) }

// apply brings memory up to date. The caller holds mu.
func (u *upkeep) apply(now int64) {
	q := u.q
	for _, b := range u.loaded {
		q.waits.unload(b)
	}
	q.waits.heap = append(q.waits.heap, u.waits...)
	heap.Init(&q.waits.heap)
	for _, m := range u.expired {
		q.expired++
		q.expiredBytes += m.size
		q.lose(m.seq, m.due, m.fresh)
	}
	q.head = max(q.head, u.head)
	q.expiry = min(q.expiry, u.expiry)
	q.popDue(now)
}

// lose brings memory up to date when a message is gone that nobody had leased. The caller
// holds mu.
func (q *queue) lose(seq, due int64, fresh bool) {
	switch it := q.out[seq]; {
	case it != nil:
		q.forget(it)
	case !fresh:
		q.undelay(seq, due)
	case seq >= q.cursor:
		q.fresh--
	}
	q.oldest = 0
}

// load learns from the file what memory must know of a queue. It is called once for each, by
// the committer, before the group has written anything to the queue.
func (q *queue) load(c *conn) error {
	buckets := map[int64]int64{}
	delayed := int64(0)
	err := c.query(q.sql().buckets, nil, func(row []driver.Value) bool {
		n := integer(row[1])
		buckets[integer(row[0])] = n
		delayed += n
		return true
	})
	if err != nil {
		return err
	}
	messages, bytes := q.messages, q.bytes
	if messages < delayed {
		q.s.logger.Warn("the counts of a queue are wrong: another program has changed them", "file", q.s.path, "queue", q.name)
		err := c.query(q.sql().count, nil, func(row []driver.Value) bool {
			messages, bytes = integer(row[0]), integer(row[1])
			return false
		})
		if err != nil {
			return err
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages, q.bytes = messages, bytes
	for b, n := range buckets {
		q.waits.add(b, n)
	}
	q.delayed = delayed
	q.fresh = q.messages - delayed
	q.freshSince, q.seenBefore = 0, q.seen
	q.expiry = never
	if q.retention > 0 {
		q.expiry = 0 // to be looked up
	}
	q.loaded = true
	return nil
}
