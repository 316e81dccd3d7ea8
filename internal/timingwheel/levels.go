package timingwheel

import "math/bits"

// The layout: a slot of level k is 2^shifts[k] ticks wide, and level k reaches up to 2^shifts[k+1] ticks.
//
// Three levels span 24.8 days at 1 ms per tick in 16 KiB. More and smaller levels would re-file more often; a wider
// level 0 would save one cascade at the price of memory that every wheel in use must pay.
const (
	level1Shift  = 11
	level2Shift  = 21
	horizonShift = 31

	bottomSlots = 1 << level1Shift
	upperSlots  = 1 << (level2Shift - level1Shift) // of level 1, and as many of level 2
)

var shifts = [...]uint{0, level1Shift, level2Shift, horizonShift}

// list is the number of a linked list of ids: level<<slotBits | slot.
type list uint32

const slotBits = 11 // as wide as the widest level needs

// The fourth level holds the lists that are no slots of time.
const (
	far    = list(3<<slotBits) + iota // deadlines beyond the three levels
	sweep                             // the rest of far while it is being swept
	firing                            // the rest of the tick being fired
	noList = ^list(0)
)

func newList(level, slot uint32) list { return list(level<<slotBits | slot) }

func (l list) level() uint32 { return uint32(l) >> slotBits }
func (l list) slot() uint32  { return uint32(l) % (1 << slotBits) }

// place returns the list of a deadline as seen from the clock now: the highest bit in which they differ is the level,
// the digit of the deadline at that level is the slot.
func place(now, at uint64) list {
	switch diff := now ^ at; {
	case diff < 1<<level1Shift:
		return newList(0, uint32(at)%bottomSlots)
	case diff < 1<<level2Shift:
		return newList(1, uint32(at>>level1Shift)%upperSlots)
	case diff < 1<<horizonShift:
		return newList(2, uint32(at>>level2Shift)%upperSlots)
	default:
		return far
	}
}

// sizes is the number of slots of each level.
var sizes = [...]int{bottomSlots, upperSlots, upperSlots, 3}

// level is the slots of one level. Slots and bitmap are allocated on first use, so that an idle wheel is small.
type level struct {
	tails   []uint32 // by slot: the last id of its list; meaningless unless the slot is occupied
	words   []uint64 // by slot, a bit each: occupied
	summary uint64   // by word, a bit each: not zero
}

func (v *level) allocate(slots int) {
	v.tails = make([]uint32, slots)
	v.words = make([]uint64, (slots+63)/64)
}

func (v *level) occupied(slot uint32) bool {
	return v.summary != 0 && v.words[slot/64]&(1<<(slot%64)) != 0
}

// occupy marks a slot as holding a list that ends with tail.
func (v *level) occupy(slot, tail uint32) {
	v.tails[slot] = tail
	v.words[slot/64] |= 1 << (slot % 64)
	v.summary |= 1 << (slot / 64)
}

func (v *level) vacate(slot uint32) {
	v.words[slot/64] &^= 1 << (slot % 64)
	if v.words[slot/64] == 0 {
		v.summary &^= 1 << (slot / 64)
	}
}

// first returns the lowest occupied slot.
func (v *level) first() (slot uint32, ok bool) {
	if v.summary == 0 {
		return 0, false
	}
	word := bits.TrailingZeros64(v.summary)
	return uint32(word*64 + bits.TrailingZeros64(v.words[word])), true
}
