package sqlite

import (
	"cmp"
	"database/sql/driver"
	"errors"
	"slices"

	"github.com/inproq/inproq/store"
)

// A group is one transaction of the committer's, with the ops of all who came while the
// last one was written.
type group struct {
	s       *Store
	c       *conn
	now     int64
	ops     []op
	touched []*change
	failed  bool // it could not be written, rather than committed

	// What its ops do to records.
	records  map[string]*record
	revision uint64 // the newest
	number   int64  // the largest
}

// A change is what a group does to one queue. Its figures are those after the commit.
type change struct {
	q               *queue
	next            int64
	messages, bytes int64
	seen            int64
	dirty           bool
	added           []addition // not written yet
	removed         []int64    // messages, not deleted yet
	cuts            bool       // it takes away what nobody has leased; see queue.cutting
	bytesAdded      int        // by insertions
	pages           int        // written beside, about
	upkeep          *upkeep    // what was due; nil: nothing
	purged          *purge     // nil: it is not
	gone            bool       // the queue is deleted
}

// An addition is a message that is about to be inserted.
type addition struct {
	m    *store.Message
	seq  int64
	sent int64
	due  int64 // 0: at once
}

// A refusal is the answer of an op that cannot be done, for which the others are not to
// suffer: it has written nothing.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// change finds what the group does to a queue. A queue that is no more is a refusal.
func (g *group) change(q *queue) (*change, error) {
	for _, c := range g.touched {
		if c.q == q {
			if c.gone {
				return nil, refusal{store.ErrQueueNotFound}
			}
			return c, nil
		}
	}
	q.mu.Lock()
	over, loaded := q.over, q.loaded
	q.mu.Unlock()
	if over != nil {
		return nil, refusal{over}
	}
	if !loaded {
		if err := q.load(g.c); err != nil {
			return nil, err
		}
	}
	q.mu.Lock()
	more := q.advance(g.now) // leases that have run out are none
	q.mu.Unlock()
	c := &change{q: q, next: q.next, messages: q.messages, bytes: q.bytes, seen: q.seen}
	g.touched = append(g.touched, c)
	if more {
		// Before the group has written anything to the queue: the file is as memory knows it.
		c.upkeep = &upkeep{q: q}
		return c, c.upkeep.plan(g, c)
	}
	return c, nil
}

// write has all ops write to the transaction.
func (g *group) write() error {
	slices.SortStableFunc(g.ops, func(a, b op) int { return cmp.Compare(order(a), order(b)) })
	for _, o := range g.ops {
		h := o.head()
		h.answer = nil
		err := o.plan(g)
		if r, refused := errors.AsType[refusal](err); refused {
			h.answer = r.error
		} else if err != nil {
			g.failed = true
			return err
		}
	}
	for _, c := range g.touched {
		if err := c.flush(g.c); err != nil {
			g.failed = true
			return err
		}
	}
	return nil
}

// order is that of an op in its group: a purge takes away what was there before the
// others.
func order(o op) int {
	switch o.(type) {
	case *purge, *recount:
		return 0
	}
	return 1
}

// flush writes what was gathered: inserts and deletions are cheapest many at a time.
func (c *change) flush(w *conn) error {
	if c.gone {
		return nil
	}
	if err := c.insert(w); err != nil {
		return err
	}
	if err := c.remove(w); err != nil {
		return err
	}
	if !c.dirty {
		return nil
	}
	return w.exec("UPDATE inproq_counts SET next = ?, messages = ?, bytes = ?, seen = ? WHERE queue = ?",
		c.next, c.messages, c.bytes, c.seen, c.q.number)
}

// remove deletes messages, neighbours together.
func (c *change) remove(w *conn) error {
	slices.Sort(c.removed)
	for i := 0; i < len(c.removed); {
		first, last := c.removed[i], c.removed[i]
		for i++; i < len(c.removed) && c.removed[i] == last+1; i++ {
			last++
		}
		if err := w.exec(c.q.sql().remove, first, last); err != nil {
			return err
		}
	}
	return nil
}

// removes reports whether a message that was there before is deleted.
func (c *change) removes(seq int64) bool {
	return slices.Contains(c.removed, seq) || c.purged != nil && !c.purged.keeps(seq)
}

// wrote counts the pages of a row that was written by itself.
func (c *change) wrote(size int64) { c.pages += 2 + int(size/pageSize) }

// drop notes that a message is to be deleted.
func (c *change) drop(seq, size int64) {
	c.removed = append(c.removed, seq)
	c.messages--
	c.bytes -= size
	c.dirty = true
}

// cut notes that the group takes away messages that nobody has leased. Until it is
// committed or undone, and for those who have read before, leases do not trust what
// they have read.
func (c *change) cut() {
	c.q.mu.Lock()
	defer c.q.mu.Unlock()
	c.cutLocked()
}

// cutLocked is cut for a caller that holds the queue's mu.
func (c *change) cutLocked() {
	if !c.cuts {
		c.cuts = true
		c.q.cutting++
	}
}

// finish brings memory up to date after the commit, and answers callers that need not
// wait for the disk. It returns the ops of the others.
func (g *group) finish() (unconfirmed []op) {
	g.applyFigures()
	for _, o := range g.ops {
		if o.head().answer == nil {
			o.apply(g)
		} else {
			o.undo()
			o.abort()
		}
	}
	for _, c := range g.touched {
		c.q.mu.Lock()
		c.endCut()
		c.q.applying = false
		c.q.signal()
		c.q.check()
		c.q.mu.Unlock()
	}
	for _, o := range g.ops {
		if h := o.head(); h.quick || h.answer != nil {
			h.done <- h.answer
		} else {
			unconfirmed = append(unconfirmed, o)
		}
	}
	return unconfirmed
}

// applyFigures changes those of all queues at one moment: a message that was moved counts
// in one of them. Nobody else holds two queues at once.
func (g *group) applyFigures() {
	for _, c := range g.touched {
		c.q.mu.Lock()
	}
	for _, c := range g.touched {
		c.apply(g.now)
	}
	for _, c := range g.touched {
		c.q.mu.Unlock()
	}
}

// apply brings a queue's figures up to date. The caller holds the queue's mu.
func (c *change) apply(now int64) {
	c.q.next, c.q.messages, c.q.bytes, c.q.seen = c.next, c.messages, c.bytes, c.seen
	c.q.applying = true // what these messages are follows
	if c.upkeep != nil {
		c.upkeep.apply(now)
	}
}

// endCut lets leases trust again what they read from now on. The caller holds the
// queue's mu.
func (c *change) endCut() {
	if c.cuts {
		c.cuts = false
		c.q.cutting--
		c.q.cut++
	}
}

// undo undoes what the ops have done in memory.
func (g *group) undo() {
	for _, o := range slices.Backward(g.ops) {
		o.undo()
	}
	for _, c := range g.touched {
		c.q.mu.Lock()
		c.endCut()
		if c.upkeep != nil {
			c.upkeep.undo()
		}
		c.q.mu.Unlock()
	}
}

// toBlame reports whether one op of several may be to blame for an error, rather than the
// disk.
func (g *group) toBlame(err error) bool {
	if !g.failed || len(g.ops) < 2 {
		return false
	}
	switch code(err) & 0xff {
	case codeFull, codeIOErr, codeCorrupt, codeNotADB, codeReadOnly, codeBusy:
		return false
	}
	return true
}

// insert inserts messages: as many as possible with one statement, and by the shorter one
// where they have neither headers nor delay.
func (c *change) insert(w *conn) error {
	for i := range c.added {
		c.bytesAdded += rowOverhead + len(c.added[i].m.Body) + len(c.added[i].m.Headers)
	}
	defer func() { c.added = nil }()
	for rest := c.added; len(rest) > 0; {
		plain := run(rest)
		n := max(plain, 1)
		if plain == 0 {
			n = cmp.Or(slices.IndexFunc(rest, addition.plain), 0)
			if n <= 0 {
				n = len(rest)
			}
		}
		if err := c.insertRun(w, rest[:n], plain > 0); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func (a addition) plain() bool { return a.due == 0 && len(a.m.Headers) == 0 }

// run is how many additions from the first on go into a plain insertion.
func run(all []addition) int {
	for i, a := range all {
		if !a.plain() || a.m.ContentType != all[0].m.ContentType || a.sent != all[0].sent || a.seq != all[0].seq+int64(i) {
			return i
		}
	}
	return len(all)
}

func (c *change) insertRun(w *conn, all []addition, plain bool) error {
	for k, rows := range insertRows {
		for len(all) >= rows {
			some := all[:rows]
			all = all[rows:]
			w.args = w.args[:0]
			if plain {
				w.bind(some[0].seq)
				w.bind(some[0].sent)
				w.bind(some[0].m.ContentType)
			}
			for i := range some {
				some[i].bind(w, plain)
			}
			if err := w.execBound(c.q.sql().insert(k, plain)); err != nil {
				return err
			}
		}
	}
	return nil
}

// bind adds the arguments for one message.
func (a *addition) bind(w *conn, plain bool) {
	if !plain {
		a.each(w.bind)
		return
	}
	w.bind(a.m.ID[:])
	w.bind(blob(a.m.Body))
}

// each calls f with the columns of a full insertion.
func (a *addition) each(f func(driver.Value)) {
	f(a.seq)
	f(a.sent)
	f(a.m.ContentType)
	f(a.m.ID[:])
	f(blob(a.m.Body))
	if len(a.m.Headers) > 0 {
		f(a.m.Headers)
	} else {
		f(nil)
	}
	if a.due > 0 {
		f(a.due)
	} else {
		f(nil)
	}
}

// blob is never nil, which would be NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
