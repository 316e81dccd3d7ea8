package sqlite

import (
	"container/heap"
	"crypto/rand"
	"encoding/binary"

	"github.com/inproq/inproq/store"
)

// An item is a message that is leased, or has been until its lease ran out and may
// still be settled by it.
type item struct {
	seq      int64
	token    uint64 // of its lease; nobody can guess it
	size     int64  // of the body
	since    int64  // retention counts from here
	readyAt  int64  // it became ready then
	gen      int64  // of its place in line, if it has one
	lease    *lease
	attempts int64
	fresh    bool // its row has due NULL, and attempts 0
	state    itemState
	settling bool // the group that is being written settles it

	extending int // outcomes of that group which keep its lease: it does not run out meanwhile
}

type itemState uint8

const (
	leased itemState = iota
	ready            // the lease has run out
	gone
)

// A lease is what one call of Lease handed out, or extended: messages with one deadline.
// It is forgotten when it holds none of them any more.
type lease struct {
	deadline int64
	items    []*item
	left     int // of them
	at       int // its place in the heap; -1: it has none
}

// over reports whether the lease has run out.
func (l *lease) over() bool { return l != nil && l.deadline != never && l.at < 0 }

type leaseHeap []*lease

func (h leaseHeap) Len() int           { return len(h) }
func (h leaseHeap) Less(i, j int) bool { return h[i].deadline < h[j].deadline }

func (h leaseHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *leaseHeap) Push(x any) {
	l := x.(*lease)
	l.at = len(*h)
	*h = append(*h, l)
}

func (h *leaseHeap) Pop() any {
	old := *h
	n := len(old) - 1
	l := old[n]
	old[n] = nil
	*h = old[:n]
	l.at = -1
	return l
}

// hold starts a lease of messages that have none. The caller holds mu.
func (q *queue) hold(items []*item, deadline int64) {
	if len(items) == 0 {
		return
	}
	l := &lease{deadline: deadline, items: items, left: len(items), at: -1}
	for _, it := range items {
		it.lease = l
	}
	if deadline != never {
		heap.Push(&q.leases, l)
	}
}

// unhold takes a message off its lease. The caller holds mu.
func (q *queue) unhold(it *item) {
	l := it.lease
	it.lease = nil
	if l == nil {
		return
	}
	if l.left--; l.left == 0 && l.at >= 0 {
		heap.Remove(&q.leases, l.at)
	}
}

// runOut puts messages back in line whose leases have run out. The caller holds mu.
func (q *queue) runOut(now int64) {
	for len(q.leases) > 0 && q.leases[0].deadline <= now {
		l := heap.Pop(&q.leases).(*lease)
		for _, it := range l.items {
			// One that a group settles or extends just now stays leased until that is done.
			if it.lease == l && it.state == leased && it.extending == 0 && !it.settling {
				q.leased--
				q.giveBack(it, now)
			}
		}
	}
}

// giveBack puts a message back in line. The caller holds mu, and has counted it.
func (q *queue) giveBack(it *item, now int64) {
	it.state = ready
	it.readyAt = now
	it.lease = nil
	q.expiry = min(q.expiry, q.expires(it.since))
	if !it.settling {
		q.line(it)
	}
}

// line gives an item a new place, at the end. The caller holds mu.
func (q *queue) line(it *item) { q.ready.push(q.place(it)) }

func (q *queue) place(it *item) place {
	q.generations++
	it.gen = q.generations
	return place{it.seq, it.readyAt, it, it.gen}
}

// forget takes an item out of memory: its message is gone, or is where every process
// would find it. The caller holds mu.
func (q *queue) forget(it *item) {
	if it.state == leased {
		q.leased--
	}
	it.state = gone
	q.unhold(it)
	delete(q.out, it.seq)
}

const leaseSize = 8 + 8

// mint appends the public form of a lease.
func (it *item) mint(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(it.seq))
	return binary.BigEndian.AppendUint64(b, it.token)
}

// find looks up what a lease names, nil if it holds nothing any more. The caller holds mu.
func (q *queue) find(l store.Lease) *item {
	if len(l) != leaseSize {
		return nil
	}
	b := []byte(l)
	it := q.out[int64(binary.BigEndian.Uint64(b))]
	if it == nil || it.token == 0 || it.token != binary.BigEndian.Uint64(b[8:]) {
		return nil
	}
	return it
}

// newToken returns a number that nobody can guess, and not zero.
func newToken() uint64 {
	var b [8]byte
	for {
		rand.Read(b[:]) // never fails
		if t := binary.BigEndian.Uint64(b[:]); t != 0 {
			return t
		}
	}
}
