package memory

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/inproq/inproq/internal/invariant"
	"github.com/inproq/inproq/internal/timingwheel"
	"github.com/inproq/inproq/store"
)

// A lease is what one call of Lease handed out: its messages have one deadline,
// so one node on the wheel, and share a random tag. The public form of a lease
// on one message is the message's index in the slab and that tag.
type lease struct {
	tag     uint64
	entries []uint32 // as handed out; some may have gone their own way since
	held    int32    // entries that are leased by it
	refs    int32    // entries that name it: held, or run out and not taken by another
}

const leaseSize = 4 + 8 // bytes of a store.Lease

// A leaseTable holds the leases of a queue. Index 0 is not used.
type leaseTable struct {
	all    []lease
	unused []uint32
	timers *timingwheel.Wheel // by lease
	tags   []uint64           // random numbers for leases to come
	text   []byte             // scratch: the public forms of one call's leases
}

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

// hold puts an entry on a lease.
func (q *queue) hold(id uint32, e *entry, l uint32) {
	q.letGo(e)
	e.setState(leased)
	e.lease = l
	q.leased++
	r := &q.leases.all[l]
	r.entries = append(r.entries, id)
	r.held++
	r.refs++
}

// letGo takes an entry off the lease that holds it, or that has run out on it.
func (q *queue) letGo(e *entry) {
	if e.lease == 0 {
		return
	}
	r := &q.leases.all[e.lease]
	r.refs--
	if e.state() == leased {
		q.leased--
		r.held--
	}
	invariant.Check(r.held >= 0 && r.refs >= r.held, "lease %d: %d held, %d refs", e.lease, r.held, r.refs)
	if r.held == 0 {
		q.leases.timers.Cancel(e.lease)
	}
	if r.refs == 0 {
		*r = lease{entries: r.entries[:0]}
		q.leases.unused = append(q.leases.unused, e.lease)
	}
	e.lease = 0
}

// runOut returns the messages of a lease whose time is over. They keep naming
// it: its holder may settle them until another lease takes them.
func (q *queue) runOut(l uint32, now int64) {
	r := &q.leases.all[l]
	for _, id := range r.entries {
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

// appendLease appends the public form of the lease on an entry.
func appendLease(b []byte, id uint32, tag uint64) []byte {
	b = binary.LittleEndian.AppendUint32(b, id)
	return binary.LittleEndian.AppendUint64(b, tag)
}

// leaseholder finds the entry that a lease names, if the lease holds it or has
// merely run out.
func (q *queue) leaseholder(l store.Lease) (uint32, *entry, bool) {
	if len(l) != leaseSize {
		return 0, nil, false
	}
	id, tag := le32(l), le64(l[4:])
	if id >= q.slab.used {
		return 0, nil, false
	}
	e := q.slab.at(id)
	if e.state() == free || e.lease == 0 || q.leases.all[e.lease].tag != tag {
		return 0, nil, false
	}
	return id, e, true
}

func le32(s store.Lease) uint32 {
	_ = s[3]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

func le64(s store.Lease) uint64 {
	_ = s[7]
	return uint64(le32(s)) | uint64(le32(s[4:]))<<32
}
