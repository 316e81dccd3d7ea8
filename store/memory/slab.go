package memory

import "github.com/inproq/inproq/internal/invariant"

// An entry is a message that is no longer simply waiting in line: leased,
// delayed, returned, or moved here. It keeps its index until it is gone.
type entry struct {
	slot
	lease uint32 // the lease that holds it, or that ran out and may still settle it; 0: none
	gen   uint32 // counts the messages that have had this index
}

// slabChunk is the number of entries that are allocated together.
const slabChunk = 256

// slabKept is the number of chunks that an empty slab keeps.
const slabKept = 16

// A slab holds the entries of a queue. It has no pointers but those to its
// chunks.
type slab struct {
	chunks []*[slabChunk]entry
	used   uint32 // indexes handed out so far
	unused uint32 // first of the freed ones, linked through lease, plus one; 0: none
	live   int
	arena  *arena
}

func (s *slab) at(id uint32) *entry { return &s.chunks[id/slabChunk][id%slabChunk] }

// add makes an entry of m, in the given state.
func (s *slab) add(m *slot, state uint8) (uint32, *entry) {
	id := s.unused - 1
	if s.unused != 0 {
		s.unused = s.at(id).lease
	} else {
		id = s.used
		if int(id/slabChunk) == len(s.chunks) {
			s.chunks = append(s.chunks, new([slabChunk]entry))
		}
		s.used++
	}
	e := s.at(id)
	e.slot, e.lease = *m, 0
	e.setState(state)
	s.live++
	return id, e
}

// remove frees an entry that nothing refers to any more, but for stale
// references that check its generation or its state.
func (s *slab) remove(id uint32) {
	e := s.at(id)
	invariant.Check(e.state() != free, "entry %d freed twice", id)
	e.setState(free)
	e.gen++
	s.live--
	if s.live == 0 {
		// Start again at 0, so that the order of indexes is the order of
		// arrival (Peek walks delayed messages by index), and give the memory
		// of a flood back.
		s.used, s.unused = 0, 0
		if len(s.chunks) > slabKept {
			s.chunks = append([]*[slabChunk]entry(nil), s.chunks[:slabKept]...)
		}
		return
	}
	e.lease = s.unused
	s.unused = id + 1
}

// holds reports whether r still is the message it was taken for.
func (s *slab) holds(r ageRef) bool {
	if r.id >= s.used {
		return false
	}
	e := s.at(r.id)
	return e.gen == r.gen && e.state() != free
}

// sent returns when an entry was sent.
func (s *slab) sent(id uint32) int64 {
	e := s.at(id)
	if e.flags&hasSent == 0 {
		return e.born
	}
	return parse(s.arena.frame(e.frame()), e.flags).sent
}
