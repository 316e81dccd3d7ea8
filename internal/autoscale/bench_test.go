package autoscale

import (
	"testing"
	"time"
)

// BenchmarkObserve is the whole cost of the controller: once per batch.
func BenchmarkObserve(b *testing.B) {
	now := time.Now() // with a monotonic reading, as in use
	c := New(now)
	s := Sample{Arrived: 100, Ready: 250, Service: 5 * time.Second, BatchSize: 100, Max: 250}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Second)
		s.Now = now
		c.Observe(s)
	}
}
