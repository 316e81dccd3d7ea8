package memory

// A ring is a double-ended queue in one growing power-of-two slice. Positions
// stay valid while elements come and go; one pushed to the front has the
// position before the head's. They start high enough never to pass zero.
type ring[T any] struct {
	buf        []T
	head, tail uint64 // positions; tail is that of the next push
}

func (r *ring[T]) len() int { return int(r.tail - r.head) }

func (r *ring[T]) at(pos uint64) *T { return &r.buf[pos&uint64(len(r.buf)-1)] }

func (r *ring[T]) pushBack(v T) {
	r.grow()
	*r.at(r.tail) = v
	r.tail++
}

func (r *ring[T]) pushFront(v T) {
	r.grow()
	r.head--
	*r.at(r.head) = v
}

func (r *ring[T]) popFront() {
	if r.head++; r.head == r.tail {
		r.clear()
	}
}

// clear removes all elements, and gives the memory of a flood back.
func (r *ring[T]) clear() {
	r.head = r.tail
	if len(r.buf) > ringKept {
		r.buf = make([]T, ringKept)
	}
}

// ringKept is the capacity that an empty ring keeps.
const ringKept = 4 << 10

// grow makes room for one more element.
func (r *ring[T]) grow() {
	if r.len() < len(r.buf) {
		return
	}
	if r.buf == nil {
		r.head, r.tail = 1<<62, 1<<62
	}
	old := *r
	r.buf = make([]T, max(16, 2*len(old.buf)))
	for pos := old.head; pos != old.tail; pos++ {
		*r.at(pos) = *old.at(pos)
	}
}
