package memory

// A lane is the line of fresh messages that came through one shard, in the
// order of their birth. Its chunks are full, or were all the shard had: nothing
// is appended to them any more.
type lane struct {
	list chunkList
	pos  int    // of the head within its chunk
	seq  uint64 // number of the first slot in the head chunk, counted from the lane's beginning
	dry  bool   // had nothing, nor its shard, when the current Lease looked
}

// peek returns the first message, or nil.
func (l *lane) peek() *slot {
	for c := l.list.head; c != nil; c = l.list.head {
		for ; l.pos < c.n; l.pos++ {
			if s := &c.slots[l.pos]; s.flags&dead == 0 {
				return s
			}
		}
		l.seq += uint64(c.n)
		l.list.head, l.pos = c.next, 0
		chunks.Put(c)
	}
	l.list.tail = nil
	return nil
}

// next passes over the message that peek returned.
func (l *lane) next() { l.pos++ }

// head returns the first message of lane i, or nil, after it has taken over
// what the lane's shard gathered if it was empty. That is a whole list at once;
// a lane that has messages leaves its shard alone, so that chunks get full.
func (q *queue) head(i int) *slot {
	l := &q.lanes[i]
	if s := l.peek(); s != nil {
		return s
	}
	q.gather(i)
	return l.peek()
}

// gather moves what the shard of lane i has to the end of the lane.
func (q *queue) gather(i int) {
	sh := &(*q.inlets.Load())[i]
	sh.mu.Lock()
	list := sh.list
	sh.list = chunkList{}
	sh.mu.Unlock()
	q.lanes[i].list.concat(list)
}

// oldestLane finds the lane whose head was born first, and until when its
// messages precede those of every other lane. It is nil when all are empty.
func (q *queue) oldestLane() (oldest *lane, until int64) {
	first := int64(never)
	until = never
	for i := range q.lanes {
		l := &q.lanes[i]
		if l.dry {
			continue
		}
		s := q.head(i)
		if s == nil {
			l.dry = true
			continue
		}
		if oldest == nil || s.born < first {
			oldest, first, until = l, s.born, first
		} else {
			until = min(until, s.born)
		}
	}
	return oldest, until
}

// wet lets oldestLane look at all lanes again.
func (q *queue) wet() {
	for i := range q.lanes {
		q.lanes[i].dry = false
	}
}
