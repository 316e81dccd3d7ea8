package timingwheel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Deadlines in the benchmarks are uniform over 12 hours of 1 ms ticks.
const span = 12 * 3600 * 1000

var benchSizes = []int{1e3, 1e5, 1e6, 1e7}

// probes is how many ids are added or cancelled before the timer stops to undo it.
const probes = 1 << 16

func randomTicks(n int) []uint64 {
	rnd := rand.New(rand.NewPCG(3, uint64(n)))
	ticks := make([]uint64, n)
	for i := range ticks {
		ticks[i] = 1 + rnd.Uint64N(span)
	}
	return ticks
}

// filled returns a wheel with n ids pending.
func filled(n int) *Wheel {
	w := New(0)
	for id, at := range randomTicks(n) {
		w.Add(uint32(id), at)
	}
	return w
}

// BenchmarkAdd adds to n pending ids, up to probes of them, before it takes these out again.
func BenchmarkAdd(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("pending=%.0e", float64(n)), func(b *testing.B) {
			w := filled(n)
			ticks := randomTicks(probes)
			undo := func() {
				for i := range uint32(probes) {
					w.Cancel(uint32(n) + i)
				}
			}
			for i, at := range ticks { // allocate the chunks
				w.Add(uint32(n+i), at)
			}
			undo()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				w.Add(uint32(n+i), ticks[i])
				if i++; i == probes {
					b.StopTimer()
					undo()
					i = 0
					b.StartTimer()
				}
			}
		})
	}
}

// BenchmarkCancel cancels pending ids in random order, each of them once before any comes again, or the caches would know
// them and their neighbours.
func BenchmarkCancel(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("pending=%.0e", float64(n)), func(b *testing.B) {
			w := filled(n)
			ticks := randomTicks(n)
			victims := rand.New(rand.NewPCG(5, 6)).Perm(n)
			b.ReportAllocs()
			from, to := 0, 0
			for b.Loop() {
				w.Cancel(uint32(victims[to]))
				if to++; to-from == probes || to == n {
					b.StopTimer()
					for _, id := range victims[from:to] {
						w.Add(uint32(id), ticks[id])
					}
					from = to % n
					to = from
					b.StartTimer()
				}
			}
		})
	}
}

// BenchmarkFire is one id from Add to due, all cascades included: the clock goes from Next to Next, as a timer would.
func BenchmarkFire(b *testing.B) {
	for _, n := range []int{1e3, 1e5, 1e6} {
		b.Run(fmt.Sprintf("pending=%.0e", float64(n)), func(b *testing.B) {
			w := filled(n)
			gaps := randomTicks(probes)
			fired, now := 0, uint64(0)
			due := func(id uint32) { // a steady state: whatever fires is added again
				fired++
				w.Add(id, now+gaps[fired%probes])
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				for fired <= i {
					now, _ = w.Next()
					w.Advance(now, 0, due)
				}
			}
		})
	}
}

// BenchmarkAdvanceHold reports how long one Advance with a budget keeps its caller, while all of 12 hours fire.
func BenchmarkAdvanceHold(b *testing.B) {
	const budget = 1024
	for _, n := range []int{1e6, 1e7} {
		b.Run(fmt.Sprintf("pending=%.0e", float64(n)), func(b *testing.B) {
			var holds []time.Duration
			due := func(uint32) {}
			for b.Loop() {
				b.StopTimer()
				w := filled(n)
				b.StartTimer()
				for now, ok := w.Next(); ok; now, ok = w.Next() {
					start := time.Now()
					w.Advance(now, budget, due)
					holds = append(holds, time.Since(start))
				}
			}
			slices.Sort(holds)
			b.ReportMetric(float64(holds[len(holds)*9999/10000]), "p99.99-ns")
			b.ReportMetric(float64(holds[len(holds)-1]), "max-ns")
			b.ReportMetric(float64(b.Elapsed())/float64(b.N*n), "ns/id")
		})
	}
}
