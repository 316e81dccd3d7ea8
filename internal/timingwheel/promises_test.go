package timingwheel

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// Driven as a timer drives it, from Next to Next, every id is due at exactly its tick, and the stops between are few: 20,000
// ids over 14 days.
func TestDrivenByNextFiresEachAtItsTick(t *testing.T) {
	const n, fortnight = 20_000, 14 * 24 * 3600 * 1000
	rnd := rand.New(rand.NewPCG(7, 8))
	start := uint64(1_770_000_000_000)
	w := New(start)
	deadlines := make([]uint64, n)
	for id := range deadlines {
		deadlines[id] = start + rnd.Uint64N(fortnight)
		w.Add(uint32(id), deadlines[id])
	}
	stops, fired := 0, 0
	for now, ok := w.Next(); ok; now, ok = w.Next() {
		require.True(t, w.Advance(now, 0, func(id uint32) {
			if deadlines[id] != now {
				require.Fail(t, "late", "id %d, due at %d, fired at %d", id, deadlines[id], now)
			}
			fired++
		}))
		stops++
	}
	require.Equal(t, n, fired)
	require.LessOrEqual(t, stops, 3*n, "two cascades and itself, for each id")
}

// An id is re-filed once for each level that it comes down, however many are pending; in far, where all are swept
// together, once more for each block that it waits through.
func TestTouchesOfOneID(t *testing.T) {
	for _, c := range []struct {
		at      uint64
		touches int
	}{
		{5, 1},
		{1<<11 - 1, 1},
		{1<<11 + 5, 2},
		{1<<21 + 5, 2}, // the slot of level 1 is the first of that of level 2
		{1<<21 + 1<<11 + 5, 3},
		{1<<31 - 1, 3},
		{1<<31 + 1<<21 + 1<<11 + 5, 4},
	} {
		w := New(0)
		w.Add(0, c.at)
		touches := 1
		for !w.Advance(c.at, 1, func(uint32) {}) {
			touches++
		}
		require.Equal(t, c.touches, touches, "due at %#x", c.at)
		require.Zero(t, w.Len())
	}
}

// The collector must not look into millions of ids.
func TestNodesAreSmallAndHoldNoPointer(t *testing.T) {
	require.Equal(t, uintptr(16), unsafe.Sizeof(node{}))
	require.Equal(t, uintptr(16*chunkSize), unsafe.Sizeof(chunk{}))
	kind := reflect.TypeFor[node]()
	for field := range kind.Fields() {
		require.Contains(t, []reflect.Kind{reflect.Uint32, reflect.Uint64}, field.Type.Kind())
	}
}

// What the package comment says of memory: an empty wheel, and its levels when all are in use.
func TestWheelIsSmall(t *testing.T) {
	w := New(0)
	require.LessOrEqual(t, unsafe.Sizeof(*w), uintptr(400))
	for id, at := range []uint64{1, 1 << 11, 1 << 21, 1 << 31} {
		w.Add(uint32(id), at)
	}
	bytes := 0
	for i, v := range w.lists.levels {
		require.NotEmpty(t, v.tails, "level %d", i)
		bytes += 4*len(v.tails) + 8*len(v.words)
	}
	require.LessOrEqual(t, bytes, 17<<10)
}

// In a steady state nothing is allocated: ids that fire are added again, and cascades come by.
func TestAdvanceAllocatesNothing(t *testing.T) {
	w := New(0)
	rnd := rand.New(rand.NewPCG(9, 10))
	now := uint64(0)
	add := func(id uint32) { w.Add(id, now+1+rnd.Uint64N(1<<33)>>rnd.IntN(30)) }
	for id := range uint32(1000) {
		add(id)
	}
	for _, at := range []uint64{1, 1 << 11, 1 << 21, 1 << 31} { // every level, once
		w.Cancel(0)
		w.Add(0, at)
	}
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		now, _ = w.Next()
		w.Advance(now, 0, add)
	}))
}
