package memory

import "sync"

// chunkSlots makes a chunk with the allocator's header fill the 10,240-byte
// size class.
const chunkSlots = 255

// A chunk is a run of fresh messages in the order of sending. A message keeps
// its slot while it waits and while it is on its first lease; what is retried,
// and whatever else happens to it, makes it an entry of the slab.
type chunk struct {
	prev, next *chunk
	n          int32 // slots in use
	live       int32 // of those, the ones not dead
	first      int32 // none before it is live
	slots      [chunkSlots]slot
}

// keptChunks bounds what a store keeps of chunks that were used: 5 MB.
const keptChunks = 512

// A chunkPool keeps used chunks for all queues of a store, not cleared. (A sync.Pool
// would be emptied by each second collection, of which there are many in a process
// that does little else.)
type chunkPool struct {
	mu   sync.Mutex
	head *chunk // linked through next
	n    int
}

func (p *chunkPool) get() *chunk {
	p.mu.Lock()
	c := p.head
	if c != nil {
		p.head = c.next
		p.n--
	}
	p.mu.Unlock()
	if c == nil {
		return new(chunk)
	}
	c.prev, c.next, c.n, c.live, c.first = nil, nil, 0, 0, 0
	return c
}

func (p *chunkPool) put(c *chunk) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n < keptChunks {
		c.prev, c.next = nil, p.head
		p.head = c
		p.n++
	}
}

// oldest returns the first live slot of a chunk that has one.
func (c *chunk) oldest() *slot {
	for c.slots[c.first].flags&dead != 0 {
		c.first++
	}
	return &c.slots[c.first]
}

// A chunkList is a doubly linked list of chunks.
type chunkList struct{ head, tail *chunk }

// push returns the next free slot at the end of the list.
func (l *chunkList) push(pool *chunkPool) *slot {
	c := l.tail
	if c == nil || c.n == chunkSlots {
		c = pool.get()
		l.concat(chunkList{c, c})
	}
	s := &c.slots[c.n]
	c.n++
	c.live++
	return s
}

// concat appends another list, which must not be used any more.
func (l *chunkList) concat(other chunkList) {
	switch {
	case other.head == nil:
	case l.head == nil:
		*l = other
	default:
		l.tail.next, other.head.prev = other.head, l.tail
		l.tail = other.tail
	}
}

// remove unlinks a chunk and gives it back.
func (l *chunkList) remove(c *chunk, pool *chunkPool) {
	if c.prev == nil {
		l.head = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		l.tail = c.prev
	} else {
		c.next.prev = c.prev
	}
	pool.put(c)
}

// A lane is the line of fresh messages that came through one shard, in the
// order of their birth. Behind the cursor are those that were leased and are not
// settled yet; chunks without any are gone.
type lane struct {
	list chunkList
	pool *chunkPool
	cursor
	dry bool // had nothing waiting, nor its shard, when the current Lease looked
}

// A cursor is a place in a lane.
type cursor struct {
	c   *chunk // nil: at the end
	i   int32  // of the slot in c
	seq uint64 // number of that slot, counted from the lane's beginning
}

// slot returns the message under the cursor, past dead ones, or nil.
func (k *cursor) slot() *slot {
	for k.c != nil {
		for ; k.i < k.c.n; k.next() {
			if s := &k.c.slots[k.i]; s.flags&dead == 0 {
				return s
			}
		}
		k.c, k.i = k.c.next, 0
	}
	return nil
}

func (k *cursor) next() { k.i++; k.seq++ }

// skip moves the cursor n slots on, dead ones included, as far as there are.
func (k *cursor) skip(n uint64) {
	for k.c != nil && uint64(k.c.n-k.i) <= n {
		step := uint64(k.c.n - k.i)
		n, k.seq = n-step, k.seq+step
		k.c, k.i = k.c.next, 0
	}
	k.i, k.seq = k.i+int32(n), k.seq+n
}

// peek returns the first waiting message, or nil. It drops the chunks that it
// passes if nothing in them is live.
func (l *lane) peek() *slot {
	for c := l.c; c != nil; c = l.c {
		for ; l.i < c.n; l.next() {
			if s := &c.slots[l.i]; s.flags&dead == 0 {
				return s
			}
		}
		l.c, l.i = c.next, 0
		if c.live == 0 {
			l.list.remove(c, l.pool)
		}
	}
	return nil
}

// bury marks a slot of chunk c dead.
func (l *lane) bury(c *chunk, s *slot) {
	s.flags |= dead
	l.buried(c, 1)
}

// buried notes that n slots of chunk c have become dead. The chunk goes with its
// last live slot, once the cursor has left it.
func (l *lane) buried(c *chunk, n int32) {
	if c.live -= n; c.live == 0 && c != l.c {
		l.list.remove(c, l.pool)
	}
}

// oldest returns the first message, waiting or leased, or nil.
func (l *lane) oldest() *slot {
	for c := l.list.head; c != nil; c = c.next {
		if c.live > 0 { // one that is dead waits for the cursor to pass
			return c.oldest()
		}
	}
	return nil
}

// head returns the first waiting message of lane i, or nil, after it has taken
// over what the lane's shard gathered if there was none. That is a whole list at
// once; a lane that has messages leaves its shard alone, so that chunks get full.
func (q *queue) head(i int) *slot {
	if s := q.lanes[i].peek(); s != nil {
		return s
	}
	q.gather(i)
	return q.lanes[i].peek()
}

// gather moves what the shard of lane i has to the end of the lane.
func (q *queue) gather(i int) {
	sh := &(*q.inlets.Load())[i]
	sh.mu.Lock()
	list := sh.list
	sh.list = chunkList{}
	sh.mu.Unlock()
	l := &q.lanes[i]
	if l.absorb(list) {
		return
	}
	l.list.concat(list)
	if l.c == nil {
		l.c = list.head
	}
}

// absorb copies a short list of fresh messages into the free slots of the lane's last
// chunk, so that who looks after every send does not make a chunk of each. It reports
// false if they do not fit.
func (l *lane) absorb(list chunkList) bool {
	from, to := list.head, l.list.tail
	if from == nil || to == nil || from != list.tail || to.n+from.n > chunkSlots {
		return false
	}
	if l.c == nil {
		l.c, l.i = to, to.n
	}
	copy(to.slots[to.n:], from.slots[:from.n])
	to.n += from.n
	to.live += from.n
	l.pool.put(from)
	return true
}

// dropFresh removes the head of a lane and returns the size of its body.
func (q *queue) dropFresh(i int, s *slot) int64 {
	l := &q.lanes[i]
	n := q.bodySize(s)
	q.dropped.drop(s.frame())
	l.bury(l.c, s)
	l.next()
	q.gone(1, n)
	return n
}
