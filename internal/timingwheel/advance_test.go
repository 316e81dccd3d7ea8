package timingwheel

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOrderIsDeadlineThenAdd(t *testing.T) {
	const n = 5000
	rnd := rand.New(rand.NewPCG(1, 2))
	deadlines := make([]uint64, n)
	want := make([]uint32, n)
	w := New(77)
	for id := range uint32(n) {
		deadlines[id] = 77 + rnd.Uint64N(8)<<rnd.IntN(36) // many share one
		want[id] = id
		w.Add(id, deadlines[id])
	}
	slices.SortStableFunc(want, func(a, b uint32) int { return cmp.Compare(deadlines[a], deadlines[b]) })
	for i, id := range fire(t, w, math.MaxUint64) {
		require.Equal(t, want[i], id, "call %d", i)
	}
	require.Zero(t, w.Len())
}

func TestSameDeadlineAddedFromFarAndNear(t *testing.T) {
	const at = 1<<33 + 1<<23 + 1<<13 + 5
	w := New(0)
	for id, clock := range []uint64{0, 1 << 33, 1<<33 + 1<<23, 1<<33 + 1<<23 + 1<<13, at - 1, at} {
		w.Advance(clock, 1, func(uint32) { require.Fail(t, "early") })
		w.Add(uint32(id), at)
	}
	require.Equal(t, []uint32{0, 1, 2, 3, 4, 5}, fire(t, w, at))
}

// TestBudgetCountsFiredAndRefiled needs two touches for each id of a level-1 slot: one to re-file it, one to fire it.
func TestBudgetCountsFiredAndRefiled(t *testing.T) {
	const n, budget = 1000, 64
	w := New(0)
	for id := range uint32(n) {
		w.Add(id, 4096+uint64(id)%100)
	}
	fired, calls := 0, 1
	for !w.Advance(5000, budget, func(uint32) { fired++ }) {
		checkInvariants(t, w)
		touched := calls * budget
		require.Equal(t, max(0, touched-n), fired, "after %d calls", calls)
		requireNext(t, w, 4096+uint64(fired)/10)
		calls++
	}
	require.Equal(t, n, fired)
	require.Equal(t, (2*n+budget-1)/budget, calls)
}

func TestBudgetThatSufficesExactly(t *testing.T) {
	w := New(0)
	w.Add(1, 1)
	w.Add(2, 2)
	require.True(t, w.Advance(2, 2, func(uint32) {}))
}

// TestInterruptedCascadeComesFirst leaves the earliest id in the slot being re-filed and a later one below it.
func TestInterruptedCascadeComesFirst(t *testing.T) {
	for _, start := range []uint64{1 << 11, 1 << 21, 1 << 31} {
		w := New(0)
		w.Add(1, start+100)
		w.Add(2, start+50)
		w.Add(3, start+1)
		nothing := func(uint32) { require.Fail(t, "early") }
		require.False(t, w.Advance(start, 1, nothing))
		require.False(t, w.Advance(start+200, 1, nothing), "two of three are re-filed")
		requireNext(t, w, start)
		require.Equal(t, []uint32{3, 2, 1}, fire(t, w, start+200))
	}
}

func TestAddWhileACascadeIsInterrupted(t *testing.T) {
	for _, start := range []uint64{1 << 11, 1 << 21, 1 << 31} {
		w := New(0)
		w.Add(1, start+100)
		w.Add(2, start+100)
		require.False(t, w.Advance(start+300, 1, nil))
		w.Add(3, start+100) // must not overtake 2, which is still above
		w.Add(4, start)     // is first
		w.Add(5, 0)         // counts as start, where the clock is
		w.Add(6, 1<<40)
		checkInvariants(t, w)
		require.Equal(t, []uint32{4, 5, 1, 2, 3}, fire(t, w, start+300))
		require.Equal(t, []uint32{6}, fire(t, w, 1<<40))
	}
}

// TestAddWhileASweepIsInterrupted adds to a deadline that stays far, behind an id that the sweep has not reached.
func TestAddWhileASweepIsInterrupted(t *testing.T) {
	w := New(0)
	w.Add(1, 1<<31)
	w.Add(2, 5<<31)
	require.False(t, w.Advance(1<<31, 1, nil))
	w.Add(3, 5<<31)
	require.Equal(t, []uint32{1}, fire(t, w, 1<<31))
	require.Equal(t, []uint32{2, 3}, fire(t, w, 5<<31))
}

func TestCancelWhileACascadeIsInterrupted(t *testing.T) {
	for _, start := range []uint64{1 << 11, 1 << 21, 1 << 31} {
		w := New(0)
		for id := range uint32(4) {
			w.Add(id, start+100+uint64(id))
		}
		require.False(t, w.Advance(start, 2, nil))
		require.True(t, w.Cancel(1)) // below already
		require.True(t, w.Cancel(2))
		requireNext(t, w, start)
		require.True(t, w.Cancel(3)) // the last one above: nothing is interrupted any more
		checkInvariants(t, w)
		requireNext(t, w, start+100)
		require.Equal(t, []uint32{0}, fire(t, w, start+100))
	}
}

func TestInterruptedTick(t *testing.T) {
	w := New(0)
	for id := range uint32(4) {
		w.Add(id, 10)
	}
	w.Add(9, 11)
	var got []uint32
	due := func(id uint32) { got = append(got, id) }
	require.False(t, w.Advance(20, 2, due))
	requireNext(t, w, 10)
	require.True(t, w.Cancel(2))
	w.Add(5, 10)
	w.Add(6, 3)
	require.True(t, w.Advance(10, 0, due))
	require.Equal(t, []uint32{0, 1, 3, 5, 6}, got)
	require.Equal(t, []uint32{9}, fire(t, w, 20))
}

func TestDueCancelsWhatIsAboutToFire(t *testing.T) {
	w := New(0)
	for id := range uint32(6) {
		w.Add(id, 5+uint64(id)/3*5000)
	}
	var got []uint32
	require.True(t, w.Advance(9999, 0, func(id uint32) {
		got = append(got, id)
		switch id {
		case 0:
			require.False(t, w.Cancel(0), "it is not scheduled any more")
			require.True(t, w.Cancel(1)) // the next one
			require.True(t, w.Cancel(5)) // in another slot
		case 2:
			require.True(t, w.Cancel(4))
		}
	}))
	require.Equal(t, []uint32{0, 2, 3}, got)
	require.Zero(t, w.Len())
}

func TestDueAdds(t *testing.T) {
	w := New(0)
	w.Add(1, 10)
	w.Add(2, 5000)
	var got []uint32
	require.True(t, w.Advance(9000, 0, func(id uint32) {
		got = append(got, id)
		if id == 1 {
			w.Add(3, 12)   // still to come
			w.Add(4, 9000) // the end of this Advance
			w.Add(5, 10)   // reached already: also the end
			w.Add(6, 9001)
		}
	}))
	require.Equal(t, []uint32{1, 3, 2, 4, 5}, got)
	requireNext(t, w, 9001)
}

// TestDueAlwaysReAdds would not return if an Advance fired what is added at its last tick.
func TestDueAlwaysReAdds(t *testing.T) {
	for _, back := range []uint64{0, 1, 10, 5000} {
		w := New(0)
		w.Add(1, 5000)
		w.Add(2, 5000)
		var got []uint32
		due := func(id uint32) {
			got = append(got, id)
			w.Add(id, 5000-back)
		}
		require.True(t, w.Advance(5000, 0, due))
		require.Equal(t, []uint32{1, 2}, got)
		requireNext(t, w, 5000)
		require.True(t, w.Advance(5000, 0, due))
		require.Equal(t, []uint32{1, 2, 1, 2}, got, "fired by the next one")

		require.True(t, w.Advance(6000, 0, due))
		require.Equal(t, []uint32{1, 2, 1, 2, 1, 2, 1, 2}, got, "at 5000, and as overdue ones at 6000")
		checkInvariants(t, w)
	}
}

// TestReAddInAnInterruptedTick tells what due adds from what was added since the interruption.
func TestReAddInAnInterruptedTick(t *testing.T) {
	w := New(0)
	for id := range uint32(3) {
		w.Add(id, 10)
	}
	var got []uint32
	due := func(id uint32) {
		got = append(got, id)
		w.Add(id, 10)
	}
	require.False(t, w.Advance(10, 1, due))
	w.Add(7, 10)
	require.True(t, w.Advance(10, 0, due))
	require.Equal(t, []uint32{0, 1, 2, 0, 7}, got)
	require.Equal(t, []uint32{1, 2, 0, 7}, fire(t, w, 10))
}

func TestFarIsSweptBlockByBlock(t *testing.T) {
	w := New(1 << 30)
	want := []uint32{}
	for id := range uint32(40) {
		w.Add(39-id, (uint64(39-id)/4+1)<<31+uint64(39-id)%4) // four to a block, the last block first
		want = append(want, id)
	}
	var got []uint32
	for calls := 0; !w.Advance(1<<40, 3, func(id uint32) { got = append(got, id) }); calls++ {
		checkInvariants(t, w)
		require.Less(t, calls, 1000)
	}
	require.Equal(t, want, got)
}

func TestCancelTheEarliestFar(t *testing.T) {
	w := New(0)
	w.Add(1, 3<<31+5)
	w.Add(2, 7<<31+5)
	require.True(t, w.Cancel(1))
	requireNext(t, w, 3<<31) // for nothing, and only once
	require.Empty(t, fire(t, w, 3<<31))
	requireNext(t, w, 7<<31)
	require.True(t, w.Cancel(2))
	w.Add(3, 9<<31)
	requireNext(t, w, 9<<31) // an empty list forgets
	require.Equal(t, []uint32{3}, fire(t, w, 9<<31))
}
