package dispatch

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// A batch that ends in another minute than it begins is busy in both, and counts once.
func TestMinutesDivideTheTimeOfAHandler(t *testing.T) {
	var m Minutes
	m.Add(&Activity{
		Now: noon.Add(130 * time.Second), Began: noon.Add(50 * time.Second), Ended: noon.Add(130 * time.Second),
		Reads: Ops{Count: 3},
	})
	got := m.list()
	require.Len(t, got, 3)
	for i, want := range []time.Duration{10 * time.Second, time.Minute, 10 * time.Second} {
		assert.Equal(t, noon.Unix()/60+int64(i), got[i].At)
		assert.Equal(t, want, got[i].Busy)
	}
	assert.Zero(t, got[0].Reads)
	assert.EqualValues(t, 3, got[2].Reads.Count)
}

// What was sent counts once, whatever the order in which minutes come to be, and at the
// latest a second after the next batch.
func TestMinutesCountWhatWasWrittenOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		written := uint64(0)
		m := Minutes{Written: func() Written { return Written{Count: written} }}
		last := time.Duration(0)
		for range rapid.IntRange(1, 40).Draw(t, "batches") {
			written += rapid.Uint64Range(0, 5).Draw(t, "sent")
			last += rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute, 3 * time.Minute}).Draw(t, "later")
			took := rapid.SampledFrom([]time.Duration{0, time.Second, 5 * time.Minute}).Draw(t, "took")
			now := noon.Add(last)
			m.Add(&Activity{Now: now, Way: Way(rapid.IntRange(0, 1).Draw(t, "way")), Began: now.Add(-took), Ended: now})
		}
		m.Look(&Activity{Now: noon.Add(last)})
		slots, sum := m.list(), uint64(0)
		for i := range slots {
			if i+1 < len(slots) {
				assert.True(t, slots[i].At < slots[i+1].At || slots[i].At == slots[i+1].At && slots[i].Way < slots[i+1].Way)
			}
			sum += slots[i].Written.Count
		}
		assert.Equal(t, written, sum)
	})
}

func TestMinutesAreBounded(t *testing.T) {
	var m Minutes
	for i := range 3 * MinutesKept {
		m.Add(&Activity{Now: noon.Add(time.Duration(i) * time.Minute)})
	}
	got := m.list()
	require.Len(t, got, MinutesKept)
	assert.Equal(t, noon.Unix()/60+3*MinutesKept-1, got[MinutesKept-1].At)
	assert.LessOrEqual(t, len(m.slots), MinutesKept+minutesSlack)
	m.Add(&Activity{Now: noon.Add(72 * time.Hour), Began: noon, Ended: noon.Add(72 * time.Hour)})
	assert.LessOrEqual(t, len(m.slots), MinutesKept+minutesSlack)
}

func TestMinutesAtTheSameTime(t *testing.T) {
	m := Minutes{Written: func() Written { return Written{} }}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 100 {
				m.Add(&Activity{Now: noon.Add(time.Duration(k/2+i) * time.Minute), Reads: Ops{Count: 1}})
			}
		})
	}
	wg.Wait()
	n := uint64(0)
	for _, s := range m.list() {
		n += s.Reads.Count
	}
	assert.EqualValues(t, 800, n)
}

// BenchmarkMinutes is what the minutes cost a batch.
func BenchmarkMinutes(b *testing.B) {
	var m Minutes
	a := Activity{Now: noon, Began: noon, Ended: noon.Add(time.Millisecond), Reads: Ops{Count: 100}, Sampled: true}
	a.Outs[Succeeded] = a.Reads
	b.ReportAllocs()
	for b.Loop() {
		m.Add(&a)
	}
}

// Looking keeps nothing of a queue to which nothing happens.
func TestMinutesThatAreLookedAt(t *testing.T) {
	var m Minutes
	for i := range 10 {
		got := m.Look(&Activity{Now: time.Unix(int64(i)*60, 0), BacklogCount: 5, BacklogSum: 50})
		require.Len(t, got, 1)
		assert.Equal(t, int64(1), got[0].Samples)
		assert.Equal(t, 5.0, got[0].BacklogCount)
	}
	assert.Empty(t, m.list())
}

// What a clock has counted that was set back is not in the way of what comes.
func TestMinutesOfAClockThatIsSetBack(t *testing.T) {
	sent := Written{}
	m := Minutes{Written: func() Written { return sent }}
	noon := time.Unix(1_000_000*60, 0)
	for i := range 2 * MinutesKept {
		sent.Count++
		m.Add(&Activity{Now: noon.Add(time.Duration(i) * time.Minute)})
	}
	back := noon.Add(-24 * time.Hour)
	for i := range 100 {
		sent.Count++
		m.Add(&Activity{Now: back.Add(time.Duration(i) * time.Minute)})
	}
	got := m.list()
	require.Len(t, got, 100)
	for _, s := range got {
		assert.Equal(t, uint64(1), s.Written.Count)
	}
}

// A queue that takes the name of another has no past.
func TestMinutesAreForgotten(t *testing.T) {
	sent := Written{Count: 3}
	m := Minutes{Written: func() Written { return sent }}
	m.Add(&Activity{Now: time.Unix(0, 0)})
	sent.Count = 5
	m.Forget()
	assert.Empty(t, m.list())
	sent.Count = 6
	got := m.Look(&Activity{Now: time.Unix(60, 0)})
	require.Len(t, got, 1)
	assert.Equal(t, uint64(1), got[0].Written.Count)
}
