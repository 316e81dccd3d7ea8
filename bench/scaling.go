package main

import (
	"runtime"
	"sync"
	"time"
)

// leastScaling is the share of its processors' work that a virtual machine must get done
// when all work at once. One whose neighbours are busy gets less, and its own /proc/stat
// does not tell. It is of no use elsewhere: real processors clock down when all work, are
// not all equal, or are threads that share a core, also on a quiet machine.
const leastScaling = 0.75

// scaling is that share now, the median of three.
func scaling() float64 {
	n := runtime.GOMAXPROCS(0)
	var shares []float64
	for range 3 {
		shares = append(shares, float64(spin(n))/float64(max(spin(1), 1)*n))
	}
	return stat(shares).Median
}

// spin is how much n goroutines count together in a moment. They begin when all are there
// and end at the same time: with a time of its own for each, those that began late would
// have the processors for themselves.
func spin(n int) (sum int) {
	var mu sync.Mutex
	var there, all sync.WaitGroup
	there.Add(n)
	var end time.Time
	begin := make(chan struct{})
	for range n {
		all.Go(func() {
			there.Done()
			<-begin
			count, x := 0, uint64(1)
			for ; time.Now().Before(end); count++ {
				for range 1000 {
					x = x*6364136223846793005 + 1442695040888963407
				}
			}
			mu.Lock()
			defer mu.Unlock()
			sum += count + int(x&1) // so that x is of use
		})
	}
	there.Wait()
	end = time.Now().Add(25 * time.Millisecond)
	close(begin)
	all.Wait()
	return sum
}
