package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/binary"
	"time"

	"github.com/inproq/inproq/store"
)

// A reference names a message that is not leased, and the place where Peek found it: ready
// messages come first, in the order of seq, then delayed ones, by bucket and seq. Which are
// ready is decided at the first page: one that becomes so later is among the delayed still.
type reference struct {
	kind byte
	seq  int64
	due  int64   // of a delayed one
	asOf int64   // the time of the first page
	id   [8]byte // the random half of the message's ID
}

const (
	refReady      = 'r'
	refDelayed    = 'd'
	referenceSize = 1 + 8 + 8 + 8 + 8
)

func (r *reference) String() string {
	b := make([]byte, 0, referenceSize)
	b = append(b, r.kind)
	b = binary.BigEndian.AppendUint64(b, uint64(r.seq))
	b = binary.BigEndian.AppendUint64(b, uint64(r.due))
	b = binary.BigEndian.AppendUint64(b, uint64(r.asOf))
	return string(append(b, r.id[:]...))
}

func parseReference(l store.Lease) (r reference, ok bool) {
	if len(l) != referenceSize || l[0] != refReady && l[0] != refDelayed {
		return r, false
	}
	b := []byte(l)
	r.kind = b[0]
	number := func(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }
	r.seq, r.due, r.asOf = number(1), number(9), number(17)
	copy(r.id[:], b[25:])
	return r, true
}

// Peek shows messages that are not leased.
func (s *Store) Peek(ctx context.Context, name string, behind store.Lease, limit int) ([]store.Delivery, error) {
	q, err := s.queue(ctx, name)
	if err != nil {
		return nil, err
	}
	now, err := s.current(ctx, q)
	if err != nil {
		return nil, err
	}
	p := peeking{q: q, now: now, limit: limit, seen: q.seen, ready: q.leasable() > 0 || q.behind(now), kept: q.retention}
	q.mu.Unlock()
	if limit <= 0 {
		return nil, nil
	}
	at, ok := parseReference(behind)
	if !ok {
		at = reference{kind: refReady, asOf: now}
	}
	p.asOf = at.asOf
	if err := s.read(ctx, func(r *conn) error { return p.read(r, at) }); err != nil {
		return nil, err
	}
	return p.found, nil
}

// A peeking is one call of Peek.
type peeking struct {
	q     *queue
	now   int64
	asOf  int64
	limit int
	seen  int64
	kept  int64 // retention
	ready bool  // some are
	found []store.Delivery
}

func (p *peeking) read(r *conn, at reference) error {
	if at.kind == refReady {
		if p.ready {
			err := p.pages(at.seq, func(seq int64, limit int, each func([]driver.Value) bool) error {
				return r.query(p.q.sql().ready, []driver.Value{seq, p.asOf, int64(limit)}, each)
			}, r, refReady)
			if err != nil {
				return err
			}
		}
		at = reference{kind: refDelayed}
	}
	b := bucketOf(at.due)
	err := p.pages(at.seq, func(seq int64, limit int, each func([]driver.Value) bool) error {
		return r.query(p.q.sql().delayed, []driver.Value{b, seq, p.asOf, int64(limit)}, each)
	}, r, refDelayed)
	if err != nil {
		return err
	}
	if len(p.found) >= p.limit {
		return nil
	}
	return r.query(p.q.sql().later, []driver.Value{b, p.asOf, int64(p.limit - len(p.found))}, func(row []driver.Value) bool {
		p.show(r, row, refDelayed)
		return true
	})
}

// pages reads rows from behind a seq on, page by page since leased ones do not count.
func (p *peeking) pages(seq int64, query func(seq int64, limit int, each func([]driver.Value) bool) error, r *conn, kind byte) error {
	limit := p.limit - len(p.found)
	for len(p.found) < p.limit {
		n := 0
		err := query(seq, limit, func(row []driver.Value) bool {
			n++
			seq = integer(row[0])
			p.show(r, row, kind)
			return len(p.found) < p.limit
		})
		if err != nil || n < limit {
			return err
		}
		limit = min(2*limit, 1000) // those that were there are leased, mostly
	}
	return nil
}

// show adds a message, unless it is leased or past its retention.
func (p *peeking) show(r *conn, row []driver.Value, kind byte) {
	m := message(r, row)
	if p.kept > 0 && after(m.since, time.Duration(p.kept)) <= p.now {
		return
	}
	if m.fresh && m.seq <= p.seen {
		m.Attempts = 1
	}
	p.q.mu.Lock()
	it := p.q.out[m.seq]
	held := it != nil && it.state == leased
	if it != nil && !held {
		m.Attempts = int(it.attempts)
	}
	p.q.mu.Unlock()
	if held {
		return
	}
	ref := reference{kind: kind, seq: m.seq, due: m.due, asOf: p.asOf}
	copy(ref.id[:], m.ID[8:])
	m.Lease = store.Lease(ref.String())
	p.found = append(p.found, m.Delivery)
}

// reference settles a message that is not leased, with Ack or Move. It reports false if it
// cannot.
func (o *settle) reference(g *group, c *change, x *store.Outcome) (bool, error) {
	ref, ok := parseReference(x.Lease)
	if !ok || x.Verb != store.Ack && x.Verb != store.Move || c.removes(ref.seq) {
		return false, nil
	}
	// Order: nobody can lease it from here on, then look whether somebody has.
	c.cut()
	o.q.mu.Lock()
	it := o.q.out[ref.seq]
	held := it != nil && (it.state == leased || it.settling)
	o.q.mu.Unlock()
	if held {
		return false, nil
	}
	st := step{o: x, seq: ref.seq}
	found := false
	err := g.c.query(o.q.sql().named, []driver.Value{ref.seq}, func(row []driver.Value) bool {
		id := g.c.bytes(row[0])
		found = len(id) == len(store.ID{}) && bytes.Equal(id[8:], ref.id[:])
		st.since = integer(row[1])
		if row[2] != nil {
			st.since = integer(row[2])
		}
		st.due, st.fresh, st.size = integer(row[3]), row[3] == nil, integer(row[4])
		return false
	})
	if err != nil || !found {
		return false, err
	}
	o.steps = append(o.steps, st)
	return true, o.write(g, c, &o.steps[len(o.steps)-1], 0, false)
}
