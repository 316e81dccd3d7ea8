package timingwheel

import (
	"math"

	"github.com/stretchr/testify/require"
)

// action is a step of the model. Each takes its own choices, drawn to meet the edges: slots and levels that begin or
// end, deadlines that several ids share, cascades long enough to be interrupted.
type action struct {
	name string
	run  func(*model)
}

var actions = []action{
	{"advance", (*model).advanceSome},
	{"add", (*model).addSome},
	{"cluster", (*model).addCluster},
	{"cancel", (*model).cancelSome},
	{"continue", (*model).continueSome},
	{"backwards", (*model).goBack},
	{"misuse", (*model).misuse},
}

// addSome adds one id at a tick that is interesting in some way.
func (m *model) addSome() {
	if id, ok := m.freeID(); ok {
		m.add(id, m.someTick())
	}
}

// addCluster adds ids that fall into the same slot of some level, to have cascades worth interrupting.
func (m *model) addCluster() {
	shift := m.someShift()
	start := (m.clock>>shift + 1 + uint64(m.choose(2, "slots ahead"))) << shift
	for range 1 + m.choose(12, "size") {
		if id, ok := m.freeID(); ok {
			m.add(id, start+uint64(m.choose(6, "offset"))<<m.choose(12, "scale"))
		}
	}
}

func (m *model) cancelSome() {
	if len(m.pending) > 0 {
		m.cancel(m.choose(len(m.pending), "victim"))
	}
}

func (m *model) advanceSome() {
	budget := [...]int{1, 2, 3, 7, 20, 0, -1}[m.choose(7, "budget")]
	now := m.clock
	switch next, ok := m.wheel.Next(); m.choose(6, "target") {
	case 0:
		now += uint64(m.choose(3, "ticks"))
	case 1:
		if ok {
			now = next - uint64(m.choose(2, "before"))
		}
	case 2:
		if len(m.pending) > 0 {
			now = m.pending[m.choose(len(m.pending), "whose")].at - uint64(m.choose(2, "before"))
		}
	case 3:
		shift := m.someShift()
		now = (now>>shift+1)<<shift - uint64(m.choose(2, "before"))
	case 4:
		now += 1 << m.choose(29, "log2")
	case 5:
		now += uint64(m.choose(5, "weeks")) * 7 * 24 * 3600 * 1000
	}
	m.advance(max(now, m.clock), budget)
}

// continueSome advances to the clock itself, which is where an interrupted Advance has its work.
func (m *model) continueSome() { m.advance(m.clock, m.choose(4, "budget")) }

// goBack advances to before the clock, which must do nothing.
func (m *model) goBack() {
	back := 1 + uint64(m.choose(3000, "ticks back"))
	if back > m.clock {
		return
	}
	require.True(m.t, m.wheel.Advance(m.clock-back, 0, func(id uint32) {
		require.Fail(m.t, "fired before the clock", "id %d", id)
	}))
}

// misuse adds an id that is scheduled already.
func (m *model) misuse() {
	if len(m.pending) > 0 {
		e := m.pending[m.choose(len(m.pending), "whose")]
		require.Panics(m.t, func() { m.wheel.Add(e.id, e.at+1) })
	}
}

func (m *model) someShift() uint {
	return [...]uint{level1Shift, level2Shift, horizonShift, 0, 32}[m.choose(5, "shift")]
}

func (m *model) someTick() uint64 {
	base := m.clock
	if m.advancing && m.choose(2, "base") == 0 {
		base = m.now
	}
	switch m.choose(8, "tick") {
	case 0:
		return base + uint64(m.choose(4, "ticks"))
	case 1: // in the past
		return base - min(base, uint64(m.choose(10, "ticks")))
	case 2: // shared with another id, or next to it
		if len(m.pending) > 0 {
			return m.pending[m.choose(len(m.pending), "whose")].at + uint64(m.choose(2, "after"))
		}
	case 3: // around the distance at which the level changes
		return base + 1<<m.someShift() + uint64(m.choose(3, "around")) - 1
	case 4: // around the start of a slot
		shift := m.someShift()
		return (base>>shift+1+uint64(m.choose(3, "slots ahead")))<<shift + uint64(m.choose(3, "around")) - 1
	case 5:
		return base + uint64(m.choose(1<<30, "ticks"))*4
	case 6:
		return base + 1<<m.choose(40, "log2")
	case 7:
		return math.MaxUint64 - uint64(m.choose(3, "from the end"))<<31
	}
	return base
}

func (m *model) freeID() (id uint32, ok bool) {
	if len(m.pending) == modelIDs {
		return 0, false
	}
	id = 3 * uint32(m.choose(modelIDs, "id"))
	for m.isPending(id) {
		id = (id + 3) % (3 * modelIDs)
	}
	return id, true
}
