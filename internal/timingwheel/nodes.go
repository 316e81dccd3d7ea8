package timingwheel

import "fmt"

// node is the state of one id: 16 bytes and no pointer.
type node struct {
	deadline uint64
	next     uint32 // the next id; after the tail, the head
	prev     uint32 // the previous id; of the head, headFlag | list; unscheduled if in no list
}

const (
	maxID       = headFlag - 1
	headFlag    = 1 << 31
	unscheduled = headFlag | uint32(noList)
)

// nodes is the nodes of all ids, in chunks that are allocated on demand and stay where they are. The collector reads
// the table of chunks only.
type nodes struct {
	chunks []*chunk
}

const chunkSize = 256

type chunk [chunkSize]node

// at returns the node of id, whose chunk must exist.
func (s *nodes) at(id uint32) *node { return &s.chunks[id/chunkSize][id%chunkSize] }

// grow returns the node of id and allocates its chunk if need be.
func (s *nodes) grow(id uint32) *node {
	if id > maxID {
		panic(fmt.Sprintf("timingwheel: id %d is out of range, the largest is %d", id, maxID))
	}
	c := int(id / chunkSize)
	if c >= len(s.chunks) {
		s.chunks = append(s.chunks, make([]*chunk, c+1-len(s.chunks))...)
	}
	if s.chunks[c] == nil {
		fresh := new(chunk)
		for i := range fresh {
			fresh[i].prev = unscheduled
		}
		s.chunks[c] = fresh
	}
	return s.at(id)
}

// scheduled reports whether id is in a list.
func (s *nodes) scheduled(id uint32) bool {
	c := int(id / chunkSize)
	return c < len(s.chunks) && s.chunks[c] != nil && s.chunks[c][id%chunkSize].prev != unscheduled
}
