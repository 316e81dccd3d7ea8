package memory

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/inproq/inproq/internal/invariant"
	"github.com/inproq/inproq/internal/timingwheel"
	"github.com/inproq/inproq/store"
)

// A lease is what one call of Lease handed out: its messages have one deadline,
// so one node on the wheel, and share a random tag. Fresh messages are leased
// where they are, in runs of slots; others are entries.
//
// Its public form names the lease and a position in it, or an entry, and has the
// tag.
type lease struct {
	tag     uint64
	runs    []run
	entries []uint32 // as handed out; some may have gone their own way since
	held    int32    // messages that are leased by it
	refs    int32    // and those that may still be settled by it: it has run out, and no other took them
	parent  uint32   // the lease that it extends messages of; 0: none
	// forward has the entries that messages became, by their position, without the
	// lease losing its hold on them; nil: none did.
	forward map[int32]ageRef
}

// A run is a part of a lease: neighbours in a chunk.
type run struct {
	lane *lane
	c    *chunk // nil: all are settled
	at   int32  // slot of the first
	n    int32
	left int32 // of them, not settled
	pos  int32 // of the first, in the lease
}

const (
	leaseSize = 4 + 4 + 8 // bytes of a store.Lease
	inRun     = 1 << 31   // in its second word: a position in the lease that the first names; else the generation of the entry
)

// A leaseTable holds the leases of a queue. Index 0 is not used.
type leaseTable struct {
	all    []lease
	unused []uint32
	timers *timingwheel.Wheel // by lease
	tags   []uint64           // random numbers for leases to come
}

// appendLease appends the public form of a lease.
func appendLease(text []byte, a, b uint32, tag uint64) []byte {
	text = binary.LittleEndian.AppendUint64(text, uint64(b)<<32|uint64(a))
	return binary.LittleEndian.AppendUint64(text, tag)
}

// parts takes it apart.
func parts(l store.Lease) (a, b uint32, tag uint64) { return le32(l), le32(l[4:]), le64(l[8:]) }

// tag returns 64 bits that nobody can guess.
func (t *leaseTable) tag() uint64 {
	if len(t.tags) == 0 {
		var b [16 * 8]byte
		rand.Read(b[:]) // never fails
		for i := 0; i < len(b); i += 8 {
			t.tags = append(t.tags, binary.LittleEndian.Uint64(b[i:]))
		}
	}
	tag := t.tags[len(t.tags)-1]
	t.tags = t.tags[:len(t.tags)-1]
	return tag
}

// openLease starts a lease without messages that runs out at tick at.
func (q *queue) openLease(tag uint64, at uint64, now int64) uint32 {
	t := &q.leases
	if t.timers == nil {
		t.timers = timingwheel.New(uint64(now / int64(tick)))
		t.all = make([]lease, 1, 4)
	}
	l := uint32(len(t.all))
	if n := len(t.unused); n > 0 {
		l = t.unused[n-1]
		t.unused = t.unused[:n-1]
	} else {
		t.all = append(t.all, lease{})
	}
	t.all[l].tag = tag
	if at != never {
		t.timers.Add(l, at)
		q.arm(at, now)
	}
	return l
}

// loosen takes messages off a lease: held that it held, and refs that named it.
// It goes with the last.
func (q *queue) loosen(l uint32, held, refs int32) {
	r := &q.leases.all[l]
	r.held -= held
	r.refs -= refs
	q.leased -= int64(held)
	invariant.Check(r.held >= 0 && r.refs >= r.held, "lease %d: %d held, %d refs", l, r.held, r.refs)
	if r.held == 0 {
		q.leases.timers.Cancel(l)
	}
	if r.refs > 0 {
		return
	}
	parent := r.parent
	*r = lease{runs: r.runs[:0], entries: r.entries[:0]}
	q.leases.unused = append(q.leases.unused, l)
	if parent != 0 {
		q.loosen(parent, 0, 1)
	}
}

// hold puts an entry on a lease.
func (q *queue) hold(id uint32, e *entry, l uint32) {
	old, held := e.lease, int32(0)
	if e.state() == leased {
		held = 1
	}
	e.setState(leased)
	e.lease = l
	q.leased++
	r := &q.leases.all[l]
	r.entries = append(r.entries, id)
	r.held++
	r.refs++
	if old != 0 {
		q.loosen(old, held, 1)
	}
}

// letGo takes an entry off the lease that holds it, or that has run out on it.
func (q *queue) letGo(e *entry) {
	if e.lease == 0 {
		return
	}
	held := int32(0)
	if e.state() == leased {
		held = 1
	}
	l := e.lease
	e.lease = 0
	q.loosen(l, held, 1)
}

// runOut returns the messages of a lease whose time is over. They keep naming
// it: its holder may settle them until another lease takes them.
func (q *queue) runOut(l uint32, now int64) {
	r := &q.leases.all[l]
	for i := range r.runs {
		for pos := r.runs[i].pos; pos < r.runs[i].pos+r.runs[i].n; pos++ {
			if s := r.runs[i].slot(pos); s != nil {
				q.detach(l, pos, s)
			}
		}
	}
	for _, id := range r.entries {
		if id >= q.slab.used {
			continue // gone, with all that the slab had
		}
		e := q.slab.at(id)
		if e.lease != l || e.state() != leased {
			continue
		}
		r.held--
		q.leased--
		e.setState(ready)
		if q.expires(e.born) <= now {
			q.expire(id)
			continue
		}
		q.giveBack(id, now)
	}
}

// slot returns the slot at a position of the run's lease, or nil if its message
// is settled or an entry.
func (r *run) slot(pos int32) *slot {
	if r.c == nil {
		return nil
	}
	s := &r.c.slots[r.at+pos-r.pos]
	if s.flags&dead != 0 {
		return nil
	}
	return s
}

// settled notes that a slot of the run is dead.
func (r *run) settled(s *slot) {
	c := r.c
	if r.left--; r.left == 0 {
		r.c = nil // which may be another's chunk soon
	}
	r.lane.bury(c, s)
}

// detach makes an entry of a message that is leased where it is. The lease holds
// it as before, and its public form leads there.
func (q *queue) detach(l uint32, pos int32, s *slot) uint32 {
	r := &q.leases.all[l]
	id := q.add(s, leased)
	q.slab.at(id).lease = l
	r.entries = append(r.entries, id)
	if r.forward == nil {
		r.forward = make(map[int32]ageRef)
	}
	r.forward[pos] = ageRef{id, q.slab.at(id).gen}
	r.run(pos).settled(s)
	return id
}

// run finds the run with a position.
func (r *lease) run(pos int32) *run {
	for i := range r.runs {
		if x := &r.runs[i]; pos >= x.pos && pos < x.pos+x.n {
			return x
		}
	}
	return nil
}

// A holding is what a store.Lease leads to: a message that is leased where it
// is, or an entry.
type holding struct {
	lease uint32
	pos   int32
	run   *run
	slot  *slot // nil: an entry
	id    uint32
	entry *entry
}

// find looks a lease up. It reports false when it holds nothing any more: the
// message is gone, or another has taken it.
func (q *queue) find(l store.Lease, h *holding) bool {
	if len(l) != leaseSize {
		return false
	}
	a, b, tag := parts(l)
	id := a
	if b&inRun == 0 {
		if id >= q.slab.used || q.slab.at(id).gen&^inRun != b {
			return false
		}
	} else {
		if a == 0 || int(a) >= len(q.leases.all) {
			return false
		}
		r, pos := &q.leases.all[a], int32(b&^inRun)
		if r.tag != tag {
			return false
		}
		// Mostly the run is that of the outcome before.
		if h.run == nil || h.lease != a || pos < h.run.pos || pos >= h.run.pos+h.run.n {
			h.lease, h.run = a, r.run(pos)
		}
		if h.run == nil {
			return false
		}
		if s := h.run.slot(pos); s != nil {
			h.pos, h.slot = pos, s
			return true
		}
		entry, ok := r.forward[pos]
		if !ok || !q.slab.holds(entry) {
			return false
		}
		id = entry.id
	}
	e := q.slab.at(id)
	if e.state() == free || e.lease == 0 || q.leases.all[e.lease].tag != tag {
		return false
	}
	h.slot, h.id, h.entry = nil, id, e
	return true
}

func le32(s store.Lease) uint32 {
	_ = s[3]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

func le64(s store.Lease) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
