package sqlite

import (
	"context"
	"database/sql/driver"
	"slices"
	"time"

	"github.com/inproq/inproq/store"
)

// A picking chooses and reads the messages of one Lease.
type picking struct {
	q     *queue
	claim *store.Claim
	now   int64
	cut   uint64 // of the queue, when it chose
	line  []place
	kept  int64 // retention
	fresh int64 // how many to read
	from  int64 // seq
	to    int64 // seq behind the last
	since int64 // the first of the fresh ones became ready then

	found  []store.Delivery // behind buf
	items  []*item
	size   int // of the bodies
	token  uint64
	used   int   // places of line that were looked at
	next   int64 // seq behind the last fresh one that was looked at
	passed int64 // fresh ones that were looked at
	last   int64 // the last of them became ready then
	full   bool
	old    bool // one was past its retention

	asked   int64 // how many fresh ones were asked for
	missing bool  // some that should be in the file are not
}

// pick takes messages in memory, so that nobody else can, and reads them. When what it has read
// is out of date it finds none, and the Lease tries again.
func (s *Store) pick(ctx context.Context, q *queue, c *store.Claim, buf []store.Delivery) (*picking, error) {
	select {
	case q.taking <- struct{}{}:
	case <-ctx.Done():
		return &picking{}, ctx.Err()
	}
	defer func() { <-q.taking }()
	p, busy := q.choose(s.now(), c)
	if busy {
		return p, s.keepUp(ctx, q) // messages are being taken away; afterwards we know which
	}
	p.found = buf
	if err := s.read(ctx, p.read); err != nil {
		p.putBack(p.line)
		return p, err
	}
	if !p.register() {
		p.items = nil
		return p, s.keepUp(ctx, q)
	}
	p.mint(len(buf))
	if p.missing {
		if err := s.recount(ctx, q); err != nil && len(p.items) == 0 {
			return p, err
		}
	}
	return p, nil
}

// read reads what was chosen, those first that became ready first.
func (p *picking) read(r *conn) error {
	if err := p.readLine(r, p.since); err != nil {
		return err
	}
	if p.fresh > 0 && !p.full {
		if err := p.readFresh(r); err != nil {
			return err
		}
	}
	return p.readLine(r, never)
}

// readLine reads messages in line that became ready at end or before.
func (p *picking) readLine(r *conn, end int64) error {
	for p.used < len(p.line) && !p.full && p.line[p.used].since <= end {
		if err := p.readOne(r); err != nil {
			return err
		}
	}
	return nil
}

// choose decides which messages to read. It reports busy when that makes no sense now.
func (q *queue) choose(now int64, c *store.Claim) (p *picking, busy bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p = &picking{q: q, claim: c, now: now, cut: q.cut, kept: q.retention, from: q.cursor, to: q.next, next: q.cursor, since: never, token: newToken()}
	if q.over != nil || q.paused {
		return p, false
	}
	if q.cutting > 0 {
		return p, true
	}
	for len(p.line) < c.Max {
		at, ok := q.firstReady()
		if !ok {
			break
		}
		q.ready.pop()
		p.line = append(p.line, at)
	}
	p.fresh = min(q.fresh, int64(c.Max))
	if p.fresh > 0 {
		p.since = q.freshSince
	}
	return p, false
}

// readOne reads the next message in line. One that is not there any more is skipped.
func (p *picking) readOne(r *conn) error {
	at := p.line[p.used]
	err := r.query(p.q.sql().one, []driver.Value{at.seq}, func(row []driver.Value) bool {
		p.add(r, row, at)
		return false
	})
	if err == nil && !p.full {
		p.used++
	}
	return err
}

// readFresh reads fresh messages.
func (p *picking) readFresh(r *conn) error {
	p.asked = min(p.fresh, int64(p.claim.Max-len(p.items)))
	damaged := false
	err := r.query(p.q.sql().fresh, []driver.Value{p.from, p.to, p.asked}, func(row []driver.Value) bool {
		seq := integer(row[0])
		if damaged = seq < p.next; damaged {
			return false // a table has no number twice
		}
		p.add(r, row, place{seq: seq, since: integer(row[1])})
		if p.full {
			return false
		}
		p.next, p.last = seq+1, integer(row[1])
		p.passed++
		return true
	})
	if err == nil && damaged {
		err = explain(errDamaged)
	}
	return err
}

// add adds a message that was read, unless it is one too many.
func (p *picking) add(r *conn, row []driver.Value, at place) {
	body := r.bytes(row[4])
	if len(p.items) >= p.claim.Max || p.claim.Bytes > 0 && len(p.items) > 0 && p.size+len(body) > p.claim.Bytes {
		p.full = true
		return
	}
	m := message(r, row)
	if p.kept > 0 && after(m.since, time.Duration(p.kept)) <= p.now {
		p.old = true // upkeep deletes it
		return
	}
	it := at.item
	if it == nil {
		it = &item{seq: at.seq, size: int64(len(body)), since: m.since, readyAt: at.since, fresh: m.fresh, attempts: int64(m.Attempts)}
		if it.fresh && it.seq <= p.q.seenBefore {
			it.attempts = 1
		}
	}
	m.Attempts = int(it.attempts) + 1
	p.found = append(p.found, m.Delivery)
	p.items = append(p.items, it)
	p.size += len(body)
}

// register takes the messages, unless what was read is out of date.
func (p *picking) register() bool {
	q := p.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over != nil || q.paused || q.cutting > 0 || q.cut != p.cut {
		p.putBackLocked(p.line)
		return false
	}
	p.putBackLocked(p.line[p.used:])
	for _, it := range p.items {
		it.state, it.token = leased, p.token
		it.attempts++
		q.out[it.seq] = it
		q.leased++
	}
	if p.passed > 0 {
		q.cursor, q.freshSince = p.next, p.last
		q.fresh -= p.passed
	}
	if p.old {
		q.expiry = min(q.expiry, p.now)
	}
	p.missing = !p.full && p.passed < p.asked || !p.old && !q.applying && q.fresh == 0 && q.ready.len() == 0 && q.leasable() > 0
	return true
}

func (p *picking) putBack(line []place) {
	p.q.mu.Lock()
	defer p.q.mu.Unlock()
	p.putBackLocked(line)
}

// putBackLocked puts places back in line, in their order.
func (p *picking) putBackLocked(line []place) {
	if p.q.over != nil {
		return
	}
	for _, at := range slices.Backward(line) {
		p.q.ready.pushFront(at)
	}
}

// mint gives the deliveries their leases, which share one string. The first n are not ours.
func (p *picking) mint(n int) {
	b := make([]byte, 0, leaseSize*len(p.items))
	for _, it := range p.items {
		b = it.mint(b)
	}
	all := string(b)
	for i := range p.items {
		p.found[n+i].Lease = store.Lease(all[i*leaseSize : (i+1)*leaseSize])
	}
}
