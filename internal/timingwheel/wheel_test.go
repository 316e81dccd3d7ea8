package timingwheel

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// fire advances without a budget and returns what was due.
func fire(t *testing.T, w *Wheel, now uint64) (ids []uint32) {
	t.Helper()
	require.True(t, w.Advance(now, 0, func(id uint32) { ids = append(ids, id) }))
	checkInvariants(t, w)
	return ids
}

func requireNext(t *testing.T, w *Wheel, want uint64) {
	t.Helper()
	at, ok := w.Next()
	require.True(t, ok)
	require.Equal(t, want, at)
}

// distances from the clock at which the level changes, and their neighbours.
var distances = []uint64{
	0, 1, 2, 63, 64, 2046, 2047, 2048, 2049,
	1<<21 - 1, 1 << 21, 1<<21 + 1,
	1<<31 - 1, 1 << 31, 1<<31 + 1,
	1 << 32, 1 << 40, 1<<63 + 12345, math.MaxUint64,
}

var clocks = []uint64{0, 1, 2047, 2048, 1<<21 - 1, 1<<31 - 1, 1 << 31, 98_765_432_109}

func TestEveryDistanceFiresAtItsTick(t *testing.T) {
	for _, clock := range clocks {
		for _, distance := range distances {
			at := clock + distance
			if at < clock {
				continue
			}
			t.Run(fmt.Sprintf("%d+%d", clock, distance), func(t *testing.T) {
				w := New(clock)
				w.Add(7, at)
				got, ok := w.Deadline(7)
				require.True(t, ok)
				require.Equal(t, at, got)
				if distance > 0 {
					require.Empty(t, fire(t, w, at-1))
				}
				require.Equal(t, 1, w.Len())
				requireNext(t, w, at)
				require.Equal(t, []uint32{7}, fire(t, w, at))
				require.Zero(t, w.Len())
				_, ok = w.Next()
				require.False(t, ok)
			})
		}
	}
}

func TestNextStopsOncePerLevel(t *testing.T) {
	const at = 5<<31 | 3<<21 | 9<<11 | 77
	w := New(0)
	w.Add(0, at)
	for _, stop := range []uint64{5 << 31, 5<<31 | 3<<21, 5<<31 | 3<<21 | 9<<11} {
		requireNext(t, w, stop)
		require.Empty(t, fire(t, w, stop))
	}
	requireNext(t, w, at)
	require.Equal(t, []uint32{0}, fire(t, w, at))
}

func TestNextIsTheSlotOfTheEarliest(t *testing.T) {
	for at, want := range map[uint64]uint64{
		1000:           1000, // the clock
		999:            1000,
		1001:           1001,
		2047:           2047,
		2048:           2048,
		2049:           2048,
		4095:           2048,
		4096:           4096,
		1<<21 - 1:      1<<21 - 2048,
		1 << 21:        1 << 21,
		1<<22 - 1:      1 << 21,
		1<<31 - 1:      1<<31 - 1<<21,
		1 << 31:        1 << 31,
		1<<32 - 1:      1 << 31,
		math.MaxUint64: math.MaxUint64 - 1<<31 + 1,
	} {
		w := New(1000)
		w.Add(0, at)
		requireNext(t, w, want)
		w.Add(1, math.MaxUint64) // a later one changes nothing
		requireNext(t, w, want)
	}
}

func TestDueAlready(t *testing.T) {
	w := New(100)
	w.Add(1, 100)
	w.Add(2, 3)
	w.Add(3, 101)
	w.Add(4, 99)
	at, ok := w.Deadline(2)
	require.True(t, ok)
	require.Equal(t, uint64(100), at, "a tick reached already counts as the clock's")
	requireNext(t, w, 100)
	require.Equal(t, []uint32{1, 2, 4}, fire(t, w, 100))
	require.Equal(t, []uint32{3}, fire(t, w, 200))
	w.Add(5, 150)
	requireNext(t, w, 200)
}

func TestBackwardsDoesNothing(t *testing.T) {
	w := New(100)
	w.Add(1, 50)
	w.Add(2, 101)
	require.Empty(t, fire(t, w, 99))
	require.Equal(t, []uint32{1}, fire(t, w, 100))
	require.Empty(t, fire(t, w, 0))
	w.Add(3, 60)
	requireNext(t, w, 100)
	require.Equal(t, []uint32{3, 2}, fire(t, w, 101))
}

func TestLastTick(t *testing.T) {
	w := New(math.MaxUint64 - 1)
	w.Add(1, math.MaxUint64)
	w.Add(2, math.MaxUint64-1)
	require.Equal(t, []uint32{2, 1}, fire(t, w, math.MaxUint64))
	w.Add(3, 0)
	require.Equal(t, []uint32{3}, fire(t, w, math.MaxUint64))
}

// TestCancelAnywhereInAList cancels each of five ids that share a list, then another one.
func TestCancelAnywhereInAList(t *testing.T) {
	for _, distance := range []uint64{0, 5, 5 << 11, 5 << 21, 5 << 31} {
		for first := range uint32(5) {
			for second := range uint32(5) {
				w := New(0)
				var want []uint32
				for id := range uint32(5) {
					w.Add(id, distance)
					if id != first && id != second {
						want = append(want, id)
					}
				}
				require.True(t, w.Cancel(first))
				checkInvariants(t, w)
				require.Equal(t, first != second, w.Cancel(second))
				checkInvariants(t, w)
				require.Equal(t, len(want), w.Len())
				w.Add(first, distance)
				require.Equal(t, append(want, first), fire(t, w, distance))
			}
		}
	}
}

func TestCancelTheLastFreesTheSlot(t *testing.T) {
	for _, distance := range distances {
		w := New(0)
		w.Add(300, distance)
		require.True(t, w.Cancel(300))
		require.False(t, w.Cancel(300))
		_, ok := w.Next()
		require.False(t, ok)
		require.Empty(t, fire(t, w, math.MaxUint64))
	}
}

func TestUnknownID(t *testing.T) {
	w := New(0)
	w.Add(600, 1) // its chunk is the third, the others do not exist
	for _, id := range []uint32{0, 599, 601, 10_000, math.MaxUint32} {
		require.False(t, w.Cancel(id))
		_, ok := w.Deadline(id)
		require.False(t, ok)
	}
}

func TestAddPanics(t *testing.T) {
	w := New(0)
	w.Add(1, 10)
	require.PanicsWithValue(t, "timingwheel: id 1 is scheduled already", func() { w.Add(1, 20) })
	require.Panics(t, func() { w.Add(1<<31, 20) })
	require.Equal(t, 1, w.Len())
	require.Equal(t, []uint32{1}, fire(t, w, 15))
	w.Add(1, 20) // scheduled no longer
	require.Equal(t, []uint32{1}, fire(t, w, 20))
}

func TestMemory(t *testing.T) {
	var w *Wheel
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { w = New(5) }), 1.0)
	for _, v := range w.lists.levels {
		require.Nil(t, v.tails, "a level is allocated on its first use")
	}
	w.Add(3, 6)
	require.NotNil(t, w.lists.levels[0].tails)
	require.Nil(t, w.lists.levels[1].tails)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		w.Cancel(3)
		w.Add(3, 6)
	}))
}
