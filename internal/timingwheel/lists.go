package timingwheel

// lists is the linked lists of ids, without any notion of time.
//
// A list is a ring in the next direction, and its slot holds the tail: appending then touches the tail alone, and the
// head is one step behind it. In the prev direction it ends at the head, whose prev names the list instead. So a node
// needs no field for its slot, and an id can be taken out of its list without being told which one it is in.
type lists struct {
	nodes  nodes
	levels [4]level
}

// level returns the level of l, ready for use.
func (s *lists) level(l list) *level {
	v := &s.levels[l.level()]
	if v.tails == nil {
		v.allocate(sizes[l.level()])
	}
	return v
}

func (s *lists) occupied(l list) bool { return s.levels[l.level()].occupied(l.slot()) }

func (s *lists) tail(l list) *uint32 { return &s.levels[l.level()].tails[l.slot()] }

// head returns the first id of l, which must be occupied.
func (s *lists) head(l list) uint32 { return s.nodes.at(*s.tail(l)).next }

// push appends id to l. It leaves the head alone, so a slot costs one cache line however long its list is.
func (s *lists) push(l list, id uint32) {
	v := s.level(l)
	n := s.nodes.at(id)
	if !v.occupied(l.slot()) {
		n.next, n.prev = id, headFlag|uint32(l)
	} else {
		last := v.tails[l.slot()]
		t := s.nodes.at(last)
		n.next, n.prev = t.next, last
		t.next = id
	}
	v.occupy(l.slot(), id)
}

// unlink takes id out of its list. It returns the list if that is empty now, and noList otherwise.
func (s *lists) unlink(id uint32) (emptied list) {
	n := s.nodes.at(id)
	next, prev := n.next, n.prev
	n.prev = unscheduled

	if prev&headFlag != 0 {
		l := list(prev &^ headFlag)
		if next == id {
			s.levels[l.level()].vacate(l.slot())
			return l
		}
		s.nodes.at(next).prev = prev
		s.nodes.at(*s.tail(l)).next = next
		return noList
	}
	if after := s.nodes.at(next); after.prev&headFlag != 0 {
		*s.tail(list(after.prev &^ headFlag)) = prev // next is the head, so id was the tail
	} else {
		after.prev = prev
	}
	s.nodes.at(prev).next = next
	return noList
}

// move appends the ids of from, which must be occupied, to those of to.
func (s *lists) move(from, to list) {
	v := s.level(to)
	first, last := s.head(from), *s.tail(from)
	s.levels[from.level()].vacate(from.slot())
	if !v.occupied(to.slot()) {
		s.nodes.at(first).prev = headFlag | uint32(to)
	} else {
		end := v.tails[to.slot()]
		s.nodes.at(first).prev = end
		s.nodes.at(last).next = s.nodes.at(end).next
		s.nodes.at(end).next = first
	}
	v.occupy(to.slot(), last)
}
