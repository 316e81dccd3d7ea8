package sqlite

import (
	"container/heap"
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
func (s *Store) current(q *queue) (now int64, err error) {
	for {
		q.mu.Lock()
		if q.over != nil {
			defer q.mu.Unlock()
			return 0, q.over
		}
		now = s.now()
		if !q.advance(now) {
			return now, nil
		}
		q.mu.Unlock()
		if err := s.keepUp(q); err != nil {
			return 0, err
		}
	}
}

// keepUp does what is due and concerns the file.
func (s *Store) keepUp(q *queue) error {
	return s.submit(background, &upkeep{opHead: opHead{quick: true}, q: q})
}

// An upkeep reads the buckets that are due, and deletes messages that are past their retention.
// It comes first in its group, so what it reads is as memory knows it.
type upkeep struct {
	opHead
	q       *queue
	loaded  []int64 // buckets
	waits   []wait  // in them
	expired []old
	planned bool
	was     int64 // the queue's expiry, before
	expiry  int64
}

// An old message is past its retention.
type old struct {
	seq, size, due int64
	fresh          bool // it has no due
}

// maxExpired bounds how many messages one upkeep deletes: others want to write, too.
const maxExpired = 5000

func (u *upkeep) plan(g *group) error {
	u.loaded, u.waits, u.expired, u.planned = nil, nil, nil, false
	c, err := g.change(u.q)
	if err != nil {
		return err
	}
	if c.upkept {
		return nil // by another call, in the same group
	}
	c.upkept = true
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
	u.planned = true
	if err := u.load(g.c, due, maxReady-ready); err != nil {
		return err
	}
	if retention == 0 || u.was > g.now {
		u.expiry = u.was
		return nil
	}
	u.expiry = never
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
	for from, next := int64(0), true; next; {
		next = false
		err := g.c.query(u.q.sql().head, []driver.Value{from, int64(page)}, func(row []driver.Value) bool {
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
	if len(u.expired) == 0 {
		return nil
	}
	c.cut()
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

func (u *upkeep) undo() {
	if u.planned {
		u.q.mu.Lock()
		u.q.expiry = min(u.q.expiry, u.was)
		u.q.mu.Unlock()
	}
}

func (u *upkeep) abort() {}

func (u *upkeep) apply(g *group) {
	if !u.planned {
		return
	}
	q := u.q
	q.mu.Lock()
	defer q.mu.Unlock()
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
	q.expiry = min(q.expiry, u.expiry)
	q.popDue(g.now)
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
	q.mu.Lock()
	defer q.mu.Unlock()
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
