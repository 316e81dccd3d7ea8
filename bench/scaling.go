package main

import (
	"runtime"
	"sync"
	"time"
)

// leastScaling is the share of its processors' work that a machine must get done when
// all work at once. A virtual machine whose neighbours are busy gets less, and its own
// /proc/stat does not tell: two processors that are threads of one core do the work
// of one.
const leastScaling = 0.75

// scaling is that share now.
func scaling() float64 {
	n := runtime.GOMAXPROCS(0)
	return float64(spin(n)) / float64(max(spin(1), 1)*n)
}

// spin is how much n goroutines count in a moment.
func spin(n int) (sum int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			count, x := 0, uint64(1)
			for end := time.Now().Add(25 * time.Millisecond); time.Now().Before(end); count++ {
				for range 1000 {
					x = x*6364136223846793005 + 1442695040888963407
				}
			}
			mu.Lock()
			defer mu.Unlock()
			sum += count + int(x&1) // so that x is of use
		})
	}
	all.Wait()
	return sum
}
