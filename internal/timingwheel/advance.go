package timingwheel

import "math"

// Advance moves the clock to now and calls due for every id whose deadline is at or before now. It jumps from occupied
// slot to occupied slot, so the distance costs nothing. It reports whether it got there.
//
// Order: calls come in the order of deadlines, and ids of one deadline in the order in which they were added. This holds
// across cascades and interrupted calls.
//
// Budget bounds the work of one call: the number of ids fired plus the number re-filed from an upper level. When it runs
// out with work left, Advance returns false and the clock stays where the work is; the next Advance goes on exactly
// there. All other methods may be called in between. A budget of zero or less means no bound, and done is true.
//
// An id is unscheduled before due is called for it. Due may call every method but Advance: it may cancel ids that this
// Advance was about to fire, and add ids, the one at hand included. An id it adds for a tick
//
//   - after the one being fired and up to now is fired by this Advance, in its place;
//   - that has been reached already counts as added for now. It is fired at the end of this Advance, or by the next
//     one if the tick being fired is now itself.
//
// So due may always re-add at now or before: Advance fires such an id at most once more. Only an id that is re-added for
// some tick in between, as a periodic one catching up would be, is fired as often as it asks for.
//
// Never early: an id whose deadline is after now is not passed to due. When now is before the clock, Advance does
// nothing and returns true, because nothing is due then.
func (w *Wheel) Advance(now uint64, budget int, due func(id uint32)) (done bool) {
	if now < w.now {
		return true
	}
	if budget <= 0 {
		budget = math.MaxInt
	}
	w.overdue = now
	done = w.advance(now, budget, due)
	w.overdue = w.now
	return done
}

// advance works off one list at a time. What an earlier call left in firing or refiling comes first: the slots below an
// unfinished cascade are incomplete, and firing from them would overtake the ids still to come.
func (w *Wheel) advance(now uint64, budget int, due func(id uint32)) bool {
	entered := false // the tick now. What is in its slot from then on has been put there by due, and has to wait
	if w.lists.occupied(firing) {
		// Interrupted within this tick. What has been added for it since is due as well.
		if slot := place(w.now, w.now); w.lists.occupied(slot) {
			w.lists.move(slot, firing)
		}
		entered = w.now == now
	}
	for {
		switch {
		case w.working() && budget == 0:
			return false

		case w.lists.occupied(firing):
			id := w.lists.head(firing)
			w.unlink(id)
			w.count--
			budget--
			due(id)

		case w.refiling != noList:
			id := w.lists.head(w.refiling)
			w.unlink(id)
			w.file(id, w.lists.nodes.at(id).deadline)
			budget--

		default:
			l, start, ok := w.first()
			if !ok || start > now || entered {
				// Nothing starts between the clock and now, so every id stays where it belongs.
				w.now = now
				return true
			}
			w.now = start
			w.enter(l)
			entered = start == now && l.level() == 0
		}
	}
}

// working reports whether a list that the clock has entered is not empty yet.
func (w *Wheel) working() bool {
	return w.refiling != noList || w.lists.occupied(firing)
}

// enter makes l, at whose start the clock has arrived, the list to work off.
func (w *Wheel) enter(l list) {
	switch {
	case l.level() == 0:
		w.lists.move(l, firing)
	case l == far:
		// Ids that remain far go back to far; a list of its own tells them from those not looked at yet. The sweep
		// covers every deadline, so that ids added meanwhile stay behind those of the same deadline.
		w.lists.move(far, sweep)
		w.refiling, w.refilingShift = sweep, 64
	default:
		w.refiling, w.refilingShift = l, shifts[l.level()]
	}
}

// Next returns the earliest tick at which Advance has work to do: an id that is due, or a slot of an upper level to
// re-file. It is never after the earliest deadline, and it is the clock when an Advance was interrupted. After a Cancel
// it may be the start of a 2^31-tick block whose ids are gone. It returns false when no id is scheduled.
func (w *Wheel) Next() (at uint64, ok bool) {
	if w.working() {
		return w.now, true
	}
	_, at, ok = w.first()
	return at, ok
}

// first returns the occupied slot with the earliest deadline and the tick at which it starts.
func (w *Wheel) first() (list, uint64, bool) {
	for k := range far.level() {
		if slot, ok := w.lists.levels[k].first(); ok {
			above := w.now >> shifts[k+1] << shifts[k+1]
			return newList(k, slot), above | uint64(slot)<<shifts[k], true
		}
	}
	if w.lists.occupied(far) {
		return far, w.farMin >> horizonShift << horizonShift, true
	}
	return noList, 0, false
}
