package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"
)

// delayed is what an insert costs with so many delayed messages pending, and
// the memory that each takes.
func delayed(pending int) Workload {
	return Workload{
		Kind:    "delayed",
		Title:   thousands(pending) + " pending",
		Name:    fmt.Sprintf("pending=%d", pending),
		Enters:  func(c Contestant) bool { return c.Delays },
		Measure: func(c Contestant, e Effort) (Sample, error) { return measureDelayed(c, pending, e) },
	}
}

// inserts is how many inserts are timed at least, on as many queues as that
// takes.
const inserts = 100_000

func measureDelayed(c Contestant, pending int, e Effort) (Sample, error) {
	application := make([]byte, e.Heap)
	defer runtime.KeepAlive(application)
	if _, err := insertDelayed(c, min(pending, 10_000)); err != nil { // warm up
		return nil, err
	}
	var took time.Duration
	var last insertion
	n := 0
	for began := time.Now(); n == 0 || n < inserts && time.Since(began) < e.Time; n += pending / 2 {
		var err error
		if last, err = insertDelayed(c, pending); err != nil {
			return nil, err
		}
		took += last.took
	}
	return Sample{"ns": float64(took) / float64(n), "bytes": float64(last.bytes) / float64(pending), "n": float64(n)}, nil
}

// An insertion is the time of the second half of some inserts, and the memory
// that all of them took.
type insertion struct {
	took  time.Duration
	bytes int64
}

// insertDelayed inserts messages that are due at random within the second hour
// from now. Their bodies are part of the memory.
func insertDelayed(c Contestant, pending int) (in insertion, err error) {
	delays := make([]time.Duration, pending)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range delays {
		delays[i] = time.Hour + time.Duration(random.Int64N(int64(time.Hour)))
	}
	before := liveHeap()
	q, err := c.Open(Setup{Handlers: 1, Producers: 1})
	if err != nil {
		return in, err
	}
	defer func() {
		if closeErr := q.Close(); err == nil {
			err = closeErr
		}
	}()
	ctx := context.Background()
	body := bodyOf(128, c.Shares)
	var half time.Time
	for i, delay := range delays {
		if i == pending/2 {
			half = time.Now()
		}
		if err := q.(Delayer).SendAfter(ctx, body(), delay); err != nil {
			return in, err
		}
	}
	in.took = time.Since(half)
	in.bytes = liveHeap() - before
	runtime.KeepAlive(delays) // they are not what is freed meanwhile
	return in, nil
}
