package timingwheel

import "github.com/stretchr/testify/require"

// checkInvariants walks the whole wheel and checks what the package comment promises about its inside.
func checkInvariants(t require.TestingT, w *Wheel) {
	total := 0
	for k := range w.lists.levels {
		v := &w.lists.levels[k]
		for i, word := range v.words {
			if word != 0 != (v.summary&(1<<i) != 0) {
				require.Fail(t, "wrong summary", "level %d word %d", k, i)
			}
			for slot := uint32(64 * i); word != 0; slot, word = slot+1, word>>1 {
				if word&1 != 0 {
					total += checkList(t, w, newList(uint32(k), slot))
				}
			}
		}
	}
	require.Equal(t, w.count, total, "every scheduled id is in one list")
	require.Equal(t, w.now, w.overdue, "outside Advance")
	if w.refiling != noList {
		require.True(t, w.lists.occupied(w.refiling), "an empty slot must not hold up the others")
		require.False(t, w.lists.occupied(firing), "one list is worked off at a time")
	}
	require.Equal(t, w.refiling == sweep, w.lists.occupied(sweep))
}

// checkList checks the links of one list and that its ids belong there. It returns their number.
func checkList(t require.TestingT, w *Wheel, l list) (size int) {
	tail := *w.lists.tail(l)
	id, prev := w.lists.head(l), headFlag|uint32(l)
	for {
		n := w.lists.nodes.at(id)
		if n.prev != prev {
			require.Fail(t, "wrong link back", "id %d: %#x, want %#x", id, n.prev, prev)
		}
		if n.deadline < w.now || !belongs(w, l, n.deadline) {
			require.Fail(t, "misplaced", "id %d, deadline %d, clock %d, list %#x", id, n.deadline, w.now, l)
		}
		size++
		if id == tail {
			require.Equal(t, w.lists.head(l), n.next, "the ring is closed")
			return size
		}
		if size > w.count {
			require.Fail(t, "the list does not end")
		}
		id, prev = n.next, id
	}
}

func belongs(w *Wheel, l list, deadline uint64) bool {
	switch l {
	case firing:
		return deadline == w.now
	case w.refiling: // also sweep
		return deadline>>w.refilingShift == w.now>>w.refilingShift
	case far:
		return place(w.now, deadline) == far && deadline >= w.farMin
	default:
		return place(w.now, deadline) == l
	}
}
