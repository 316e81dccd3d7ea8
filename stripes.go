package inproq

import "sync/atomic"

// stripes are a counter for what happens on all processors at once: each adds to
// a cache line of its own. They take half a kilobyte from the first add on.
type stripes struct {
	cells atomic.Pointer[[8]struct {
		n atomic.Uint64
		_ [56]byte
	}]
}

func (s *stripes) add(seat uint32, n uint64) {
	cells := s.cells.Load()
	if cells == nil {
		s.cells.CompareAndSwap(nil, new([8]struct {
			n atomic.Uint64
			_ [56]byte
		}))
		cells = s.cells.Load()
	}
	cells[seat%uint32(len(cells))].n.Add(n)
}

func (s *stripes) sum() (n uint64) {
	if cells := s.cells.Load(); cells != nil {
		for i := range cells {
			n += cells[i].n.Load()
		}
	}
	return n
}
