package main

import (
	"context"
	"math/rand/v2"
	"time"
)

// durableDelayed is what an insert costs with many delayed messages pending, alone and
// in batches.
func durableDelayed(e Effort) Workload {
	return Workload{
		Kind:    "durable-delayed",
		Title:   thousands(e.Held) + " pending",
		Name:    "held",
		Durable: true,
		Enters:  func(c Contestant) bool { return c.Delays },
		Measure: func(c Contestant, e Effort) (Sample, error) {
			return witnessed(c, func() (Sample, error) { return measureDurableDelayed(c, e) })
		},
	}
}

func measureDurableDelayed(c Contestant, e Effort) (_ Sample, err error) {
	q, err := c.Open(Setup{Handlers: 1, Producers: 1})
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := q.Close(); err == nil {
			err = closeErr
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), e.Patience)
	defer cancel()
	d, body := q.(BatchDelayer), bodyOf(128, c.Shares)
	batch := func() error {
		bodies := make([][]byte, 100)
		for i := range bodies {
			bodies[i] = body()
		}
		return d.SendBatchAfter(ctx, bodies, secondHour())
	}
	held := 0
	for began := time.Now(); held < e.Held && time.Since(began) < fillTime*e.Time; held += 100 {
		if err := batch(); err != nil {
			return nil, err
		}
	}
	single, err := repeat(e.Held, e.Time, func() error { return d.SendAfter(ctx, body(), secondHour()) })
	if err != nil {
		return nil, err
	}
	perBatch, err := repeat(e.Held/100, e.Time, batch)
	if err != nil {
		return nil, err
	}
	return Sample{"n": float64(held), "ns": float64(single), "batch_ns": float64(perBatch) / 100}, nil
}

// secondHour is a delay at random from one to two hours.
func secondHour() time.Duration { return time.Hour + rand.N(time.Hour) }

// repeat does something up to a number of times and for about a time, at least once. It
// returns how long each took.
func repeat(most int, d time.Duration, do func() error) (time.Duration, error) {
	n, began := 0, time.Now()
	for n == 0 || n < most && time.Since(began) < d {
		if err := do(); err != nil {
			return 0, err
		}
		n++
	}
	return time.Since(began) / time.Duration(n), nil
}
