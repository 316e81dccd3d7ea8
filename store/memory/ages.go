package memory

// ages answers which message of the slab was sent first. It holds every entry
// from its birth: most are born in the order of sending and form a sorted run;
// the others (moved here, or overtaken) are in a small heap. Removal is lazy: an
// entry whose generation has gone on is skipped when it comes to the top, and
// when more than half are such, they are swept out.
type ages struct {
	run  []ageRef
	head int   // of run; what precedes it is done with
	last int64 // sent of run's last
	heap []ageNode
}

type ageRef struct{ id, gen uint32 }

type ageNode struct {
	sent int64
	ageRef
}

// add notes a newly born entry. live is the number of entries alive.
func (a *ages) add(sent int64, r ageRef, s *slab) {
	if len(a.run)+len(a.heap) > 2*s.live+64 {
		a.sweep(s)
	}
	if a.head == len(a.run) || sent >= a.last {
		if a.head == len(a.run) {
			a.run, a.head = a.run[:0], 0
		}
		a.run = append(a.run, r)
		a.last = sent
		return
	}
	a.heap = append(a.heap, ageNode{sent, r})
	a.up(len(a.heap) - 1)
}

// clear forgets all: no entry is alive.
func (a *ages) clear() { a.run, a.head, a.heap = a.run[:0], 0, a.heap[:0] }

// oldest returns the entry that was sent first.
func (a *ages) oldest(s *slab) (id uint32, ok bool) {
	for a.head < len(a.run) && !s.holds(a.run[a.head]) {
		a.head++
	}
	for len(a.heap) > 0 && !s.holds(a.heap[0].ageRef) {
		a.popHeap()
	}
	inRun := a.head < len(a.run)
	switch {
	case !inRun && len(a.heap) == 0:
		return 0, false
	case inRun && (len(a.heap) == 0 || s.sent(a.run[a.head].id) <= a.heap[0].sent):
		return a.run[a.head].id, true
	}
	return a.heap[0].id, true
}

// sweep drops what is no longer alive. It runs after at least as many births,
// so its cost is spread over them.
func (a *ages) sweep(s *slab) {
	run := a.run[:0]
	for _, r := range a.run[a.head:] {
		if s.holds(r) {
			run = append(run, r)
		}
	}
	a.run, a.head = run, 0
	heap := a.heap[:0]
	for _, n := range a.heap {
		if s.holds(n.ageRef) {
			heap = append(heap, n)
		}
	}
	a.heap = heap
	for i := len(heap)/2 - 1; i >= 0; i-- {
		a.down(i)
	}
}

func (a *ages) popHeap() {
	last := len(a.heap) - 1
	a.heap[0] = a.heap[last]
	a.heap = a.heap[:last]
	a.down(0)
}

func (a *ages) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if a.heap[p].sent <= a.heap[i].sent {
			return
		}
		a.heap[p], a.heap[i] = a.heap[i], a.heap[p]
		i = p
	}
}

func (a *ages) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(a.heap) {
			return
		}
		if c+1 < len(a.heap) && a.heap[c+1].sent < a.heap[c].sent {
			c++
		}
		if a.heap[i].sent <= a.heap[c].sent {
			return
		}
		a.heap[i], a.heap[c] = a.heap[c], a.heap[i]
		i = c
	}
}
