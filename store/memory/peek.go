package memory

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/inproq/inproq/store"
)

// A reference names a message that is not leased, and the place where Peek
// found it: the ring of returned entries, the lanes, or the slab for those that
// are delayed. Peek goes through them in that order.
type reference struct {
	place byte   // inRing, inLanes or inSlab
	pos   uint64 // inRing: position; inLanes: when it was born
	index uint64 // inRing and inSlab: entry and generation; inLanes: number within the lane
	lane  byte
	id    [8]byte // the random half of the message's ID
}

const (
	inRing        = 'r'
	inLanes       = 'l'
	inSlab        = 's'
	referenceSize = 1 + 8 + 8 + 1 + 8
)

func (r *reference) String() string {
	b := make([]byte, 0, referenceSize)
	b = append(b, r.place)
	b = binary.LittleEndian.AppendUint64(b, r.pos)
	b = binary.LittleEndian.AppendUint64(b, r.index)
	b = append(b, r.lane)
	return string(append(b, r.id[:]...))
}

func parseReference(l store.Lease) (r reference, ok bool) {
	if len(l) != referenceSize {
		return r, false
	}
	r.place, r.pos, r.index, r.lane = l[0], le64(l[1:]), le64(l[9:]), l[17]
	copy(r.id[:], l[18:])
	return r, r.place == inRing || r.place == inLanes || r.place == inSlab
}

func (r *reference) names(s *slot) bool { return bytes.Equal(r.id[:], s.id[8:]) }

func (r *reference) entry() ageRef { return ageRef{uint32(r.index), uint32(r.index >> 32)} }

// Peek shows messages that are not leased.
func (s *Store) Peek(ctx context.Context, name string, after store.Lease, limit int) ([]store.Delivery, error) {
	q, err := s.queue(ctx, name)
	if err != nil {
		return nil, err
	}
	q.lock()
	defer q.unlock()
	if q.over != nil {
		return nil, q.over
	}
	for i := range q.lanes {
		q.gather(i)
	}
	p := peeker{q: q, limit: limit, clock: dial{s: q.store}}
	from, _ := parseReference(after) // what cannot be placed starts at the beginning
	switch from.place {
	case inSlab:
		p.delayed(uint32(from.index) + 1)
	case inLanes:
		p.fresh(&from)
		p.delayed(0)
	default:
		pos := q.returned.head
		if from.place == inRing && from.pos-pos < uint64(q.returned.len()) {
			pos = from.pos + 1
		}
		p.returned(pos)
		p.fresh(nil)
		p.delayed(0)
	}
	return p.found, nil
}

// A peeker gathers what one Peek shows.
type peeker struct {
	q     *queue
	limit int
	clock dial
	found []store.Delivery
}

func (p *peeker) full() bool { return len(p.found) >= p.limit }

func (p *peeker) show(s *slot, r reference) {
	copy(r.id[:], s.id[8:])
	p.found = append(p.found, store.Delivery{})
	d := &p.found[len(p.found)-1]
	describe(s, p.q.arena.frame(s.frame()), &p.clock, d)
	d.Lease = store.Lease(r.String())
}

func (p *peeker) showEntry(place byte, pos uint64, id uint32) {
	e := p.q.slab.at(id)
	p.show(&e.slot, reference{place: place, pos: pos, index: uint64(id) | uint64(e.gen)<<32})
}

// returned shows the ring's entries.
func (p *peeker) returned(pos uint64) {
	for ; pos != p.q.returned.tail && !p.full(); pos++ {
		if r := p.q.returned.at(pos); r.holds(&p.q.slab) {
			p.showEntry(inRing, pos, r.id)
		}
	}
}

// delayed shows the slab's delayed entries.
func (p *peeker) delayed(id uint32) {
	for ; id < p.q.slab.used && !p.full(); id++ {
		if p.q.slab.at(id).state() == delayed {
			p.showEntry(inSlab, 0, id)
		}
	}
}

// fresh shows the lanes' messages, merged by birth, behind the one that from
// names.
func (p *peeker) fresh(from *reference) {
	at := make([]cursor, len(p.q.lanes))
	for i := range at {
		at[i] = p.q.lanes[i].cursor
		for s := at[i].slot(); from != nil && s != nil && from.passed(s, i, at[i].seq); s = at[i].slot() {
			at[i].next()
		}
	}
	for !p.full() {
		first := -1
		for i := range at {
			if s := at[i].slot(); s != nil && (first < 0 || s.born < at[first].slot().born) {
				first = i
			}
		}
		if first < 0 {
			return
		}
		s := at[first].slot()
		p.show(s, reference{place: inLanes, pos: uint64(s.born), index: at[first].seq, lane: byte(first)})
		at[first].next()
	}
}

// passed reports whether s, the message number seq of lane i, comes no later
// than the one that r names.
func (r *reference) passed(s *slot, i int, seq uint64) bool {
	switch born := uint64(s.born); {
	case int(r.lane) == i:
		return seq <= r.index
	case born == r.pos:
		return i < int(r.lane)
	default:
		return born < r.pos
	}
}

// applyReference applies an outcome to a message that Peek named, and reports
// whether it could.
func (x *settling) applyReference(o *store.Outcome) bool {
	r, ok := parseReference(o.Lease)
	if !ok || o.Verb != store.Ack && o.Verb != store.Move {
		return false
	}
	q := x.q
	if r.place == inLanes {
		return q.settleFresh(&r, o, x.to, x.now)
	}
	id := r.entry().id
	if !q.slab.holds(r.entry()) {
		return false
	}
	e := q.slab.at(id)
	if e.state() == leased || !r.names(&e.slot) {
		return false
	}
	if o.Verb == store.Ack {
		q.remove(id)
	} else {
		q.move(id, e, o, x.to[o.To], x.now)
	}
	return true
}

// settleFresh does the same for one in a lane. Its slot stays there, dead.
func (q *queue) settleFresh(r *reference, o *store.Outcome, to map[string]*queue, now int64) bool {
	if int(r.lane) >= len(q.lanes) {
		return false
	}
	l := &q.lanes[r.lane]
	k := l.cursor
	if r.index < k.seq {
		return false // leased or gone
	}
	k.skip(r.index - k.seq)
	if k.c == nil {
		return false
	}
	s := &k.c.slots[k.i]
	if s.flags&dead != 0 || !r.names(s) {
		return false
	}
	m := *s
	f := parse(q.arena.frame(m.frame()), m.flags)
	// A chunk ahead of the cursor stays, even if all of it is dead: references count
	// its slots.
	s.flags |= dead
	k.c.live--
	l.peek()
	q.dropped.drop(m.frame())
	q.gone(1, int64(len(f.body)))
	if o.Verb == store.Move {
		to[o.To].accept(m, f, o, now)
	}
	return true
}
