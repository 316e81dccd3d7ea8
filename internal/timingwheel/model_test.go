package timingwheel

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// model runs a wheel next to an oracle that is too simple to be wrong: a slice sorted by deadline, then by order of Add.
// What it does next is up to choose, so that rapid and the fuzzer can drive the same code.
type model struct {
	t      require.TestingT
	choose func(n int, what string) int // in [0, n)

	wheel   *Wheel
	pending []entry // sorted
	seq     int
	clock   uint64

	interrupted bool   // the last Advance returned false
	advancing   bool   // due is being called
	now         uint64 // the argument of that Advance
	tick        uint64 // the deadline of the id that due was called for
	inDue       int    // how many things due may still do in that Advance
}

type entry struct {
	at   uint64
	seq  int
	id   uint32
	held bool // added by due for the tick being fired when that was the last one: for the next Advance
}

// modelIDs ids are used, every third number, so that they spread over two chunks with holes between.
const modelIDs = 120

func newModel(t require.TestingT, choose func(n int, what string) int) *model {
	starts := []uint64{0, 1, 2040, 1<<21 - 3, 1<<31 - 5, 1<<32 - 1<<21, 123_456_789_012, math.MaxUint64 - 1<<33}
	m := &model{t: t, choose: choose}
	m.clock = starts[choose(len(starts), "start")]
	m.wheel = New(m.clock)
	return m
}

func (m *model) isPending(id uint32) bool {
	return slices.ContainsFunc(m.pending, func(e entry) bool { return e.id == id })
}

func (m *model) add(id uint32, at uint64) {
	m.wheel.Add(id, at)

	e := entry{at: max(at, m.clock), seq: m.seq, id: id}
	if m.advancing && at <= m.tick {
		e.at, e.held = m.now, m.tick == m.now
	}
	m.seq++
	i, _ := slices.BinarySearchFunc(m.pending, e, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq))
	})
	m.pending = slices.Insert(m.pending, i, e)
}

func (m *model) cancel(i int) {
	id := m.pending[i].id
	require.True(m.t, m.wheel.Cancel(id), "id %d", id)
	require.False(m.t, m.wheel.Cancel(id), "id %d twice", id)
	m.pending = slices.Delete(m.pending, i, i+1)
}

func (m *model) advance(now uint64, budget int) {
	for i := range m.pending {
		m.pending[i].held = false
	}
	m.advancing, m.now, m.tick, m.inDue = true, now, m.clock, 12
	fired := 0
	done := m.wheel.Advance(now, budget, func(id uint32) {
		fired++
		require.NotEmpty(m.t, m.pending, "fired id %d", id)
		want := m.pending[0]
		require.Equal(m.t, want.id, id, "out of order, want the id of tick %d", want.at)
		require.LessOrEqual(m.t, want.at, now, "early")
		require.False(m.t, want.held, "id %d fires again without end", id)
		m.pending = m.pending[1:]
		m.tick = want.at

		_, ok := m.wheel.Deadline(id)
		require.False(m.t, ok, "scheduled while fired")
		for m.inDue > 0 && m.choose(4, "in due") == 1 {
			m.inDue--
			switch m.choose(4, "what") {
			case 0:
				m.addSome()
			case 1:
				if !m.isPending(id) {
					m.add(id, m.someTick())
				}
			case 2:
				m.cancelSome()
			case 3:
				if len(m.pending) > 0 {
					m.cancel(0) // most likely about to be fired
				}
			}
		}
	})
	m.advancing = false

	if budget > 0 {
		require.LessOrEqual(m.t, fired, budget)
	} else {
		require.True(m.t, done, "interrupted without a budget")
	}
	m.interrupted = !done
	if done {
		m.clock = now
		if len(m.pending) > 0 && !m.pending[0].held {
			require.Greater(m.t, m.pending[0].at, now, "done, but id %d is due", m.pending[0].id)
		}
		return
	}
	// How far it got depends on how many ids were re-filed, so ask.
	clock, ok := m.wheel.Next()
	require.True(m.t, ok)
	require.NotEmpty(m.t, m.pending)
	require.GreaterOrEqual(m.t, clock, max(m.clock, m.tick))
	require.LessOrEqual(m.t, clock, min(now, m.pending[0].at))
	m.clock = clock
}

// check compares everything that can be seen from outside, then the inside with its invariants.
func (m *model) check() {
	require.Equal(m.t, len(m.pending), m.wheel.Len())
	for _, e := range m.pending { // by Len, no other id is scheduled
		if at, ok := m.wheel.Deadline(e.id); at != e.at || !ok {
			require.Fail(m.t, "wrong deadline", "id %d: %d, %t; want %d", e.id, at, ok, e.at)
		}
	}
	m.checkNext()
	checkInvariants(m.t, m.wheel)
}

func (m *model) checkNext() {
	next, ok := m.wheel.Next()
	require.Equal(m.t, len(m.pending) > 0, ok)
	if !ok || m.interrupted && next == m.clock {
		return
	}
	want := nextFor(m.clock, m.pending[0].at)
	if (m.clock^m.pending[0].at)>>horizonShift != 0 {
		// The block of an id that was cancelled since may come first.
		require.Greater(m.t, next, m.clock)
		require.LessOrEqual(m.t, next, want)
		require.Zero(m.t, next%(1<<horizonShift))
		return
	}
	require.Equal(m.t, want, next)
}

// nextFor returns where the slot of the earliest deadline starts.
func nextFor(clock, earliest uint64) uint64 {
	differ := uint(bits.Len64(clock ^ earliest))
	for _, shift := range []uint{horizonShift, level2Shift, level1Shift} {
		if differ > shift {
			return earliest >> shift << shift
		}
	}
	return earliest
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t, func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(t, what) })
		run := map[string]func(*rapid.T){"": func(*rapid.T) { m.check() }}
		for _, a := range actions {
			run[a.name] = func(*rapid.T) { a.run(m) }
		}
		t.Repeat(run)
	})
}
