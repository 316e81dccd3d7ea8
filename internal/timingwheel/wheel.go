// Package timingwheel schedules dense uint32 ids at ticks, in flat time and without a pointer per id.
//
// A [Wheel] is a pure value: it has no clock, no goroutine and no lock. Its owner serialises all calls, says what time
// it is, and gets back the ids that are due. An id is the index of the owner's own slab, so the wheel stores no payload.
//
// # Idea
//
// Time is an uint64 of ticks, split into digits: 11 bits, 10 bits, 10 bits and the rest. Each of the first three is a
// level of slots, and a deadline is filed at the level of the highest bit in which it differs from the clock:
//
//	level 0   2048 slots of 1 tick       the tick itself
//	level 1   1024 slots of 2^11 ticks   2 s each at 1 ms per tick
//	level 2   1024 slots of 2^21 ticks   35 min each
//	far       one list                   everything that differs in bit 31 or above, 24.8 days and more
//
// When the clock enters a slot of an upper level, the ids in it are re-filed at lower levels (they cascade). So an id is
// re-filed at most twice before it is due, however many are pending. The exception is far, which is swept as a whole
// when the clock enters a block of 2^31 ticks in which a far id may be due: once per block for ids in many blocks.
//
// # Invariants
//
//   - Slots never wrap. All ids of a level share their higher digits with the clock and none is behind it, therefore
//     the lowest occupied level holds the earliest deadline, in its first occupied slot.
//   - All ids of one deadline are in one list at any time, in the order of Add; only the ids of the tick being fired may
//     also be in a second list, which fires first. This is what makes the firing order exact.
//   - While a slot is being re-filed the levels below it are incomplete. Nothing below fires before the slot is empty,
//     also when a budget ends the Advance halfway, and whatever is added for its span joins the end of it.
//
// # Costs
//
// Add and Cancel are O(1) and allocate nothing once an id has been used: 10 to 100 ns, most of it cache misses on one or
// two neighbours in the list. The next occupied slot is found with two TrailingZeros64, so the clock jumps any distance
// at once and an idle wheel needs no ticking. Advance costs 100 to 500 ns per id, all re-filing included.
//
// An id takes 16 bytes, in a chunk of 256 that the collector does not scan; chunks are kept as long as the wheel. An
// empty wheel is about 300 bytes. Each level adds 4 or 8 KiB when it is first used.
package timingwheel

import "fmt"

// Wheel holds the scheduled ids. The zero value is not usable, see [New]. It is not safe for concurrent use.
type Wheel struct {
	lists lists
	count int

	// now is the clock: everything before it has been fired. After an interrupted Advance it stays at the tick that
	// was being worked on, so it may be behind the time that the owner gave.
	now uint64

	// overdue is the tick at which an id is filed whose deadline the clock has reached already. It equals now, except
	// while Advance is running: there it is the end of that Advance, or due could re-add at one tick forever.
	overdue uint64

	// refiling is the list of an upper level that the clock has entered and that is not empty yet, or noList. It
	// covers all deadlines that agree with the clock from bit refilingShift up.
	refiling      list
	refilingShift uint

	// farMin is a lower bound of the deadlines in far: Cancel does not raise it, the next sweep does.
	farMin uint64
}

// New returns an empty wheel whose clock shows now, in ticks of the owner's choice.
func New(now uint64) *Wheel {
	return &Wheel{now: now, overdue: now, refiling: noList}
}

// Len returns the number of scheduled ids.
func (w *Wheel) Len() int { return w.count }

// Add schedules id to be due at the tick at; any uint64 is legal.
//
// A tick that the clock has reached already counts as the clock's own, that is, id is due at the next Advance. Inside
// due such a tick counts as the end of the running Advance; see [Wheel.Advance].
//
// The first use of an id allocates its chunk of 256, so ids should be dense.
//
// Panics if id is scheduled already, or is 2^31 or more.
func (w *Wheel) Add(id uint32, at uint64) {
	n := w.lists.nodes.grow(id)
	if n.prev != unscheduled {
		panic(fmt.Sprintf("timingwheel: id %d is scheduled already", id))
	}
	if at <= w.now {
		at = w.overdue
	}
	n.deadline = at
	w.count++
	if w.refiling != noList && (at^w.now)>>w.refilingShift == 0 {
		// Ids of the same deadline may still wait in that list: go behind them, not past them.
		w.lists.push(w.refiling, id)
		return
	}
	w.file(id, at)
}

// Cancel unschedules id and reports whether it was scheduled.
func (w *Wheel) Cancel(id uint32) bool {
	if !w.lists.nodes.scheduled(id) {
		return false
	}
	w.unlink(id)
	w.count--
	return true
}

// Deadline returns the tick at which id is due, and whether it is scheduled at all. It is the tick given to Add, or the
// one that it counted as when the clock had reached it.
func (w *Wheel) Deadline(id uint32) (at uint64, ok bool) {
	if !w.lists.nodes.scheduled(id) {
		return 0, false
	}
	return w.lists.nodes.at(id).deadline, true
}

// file links id, whose deadline is at, where it belongs as seen from the clock.
func (w *Wheel) file(id uint32, at uint64) {
	l := place(w.now, at)
	if l == far && (at < w.farMin || !w.lists.occupied(far)) {
		w.farMin = at
	}
	w.lists.push(l, id)
}

// unlink takes id out of its list. Whoever takes the last id out of the slot being re-filed, be it the cascade or
// Cancel, ends the cascade: an empty slot must not hold up the levels below.
func (w *Wheel) unlink(id uint32) {
	if w.lists.unlink(id) == w.refiling {
		w.refiling = noList
	}
}
