package main

import (
	"context"
	"runtime"
	"time"
)

// backlog is what messages cost that nobody takes for now, and how fast they go
// once somebody does.
func backlog(e Effort) Workload {
	return Workload{
		Kind:    "backlog",
		Title:   thousands(e.Backlog) + " waiting messages of 128 bytes",
		Name:    "waiting",
		Enters:  func(Contestant) bool { return true },
		Measure: measureBacklog,
	}
}

// fillTime bounds the filling, in multiples of Effort.Time: slow contestants have a
// smaller backlog.
const fillTime = 3

func measureBacklog(c Contestant, e Effort) (Sample, error) {
	if _, err := pileUp(c, unit, e); err != nil { // warm up: code and servers are in memory then
		return nil, err
	}
	return pileUp(c, e.Backlog, e)
}

func pileUp(c Contestant, n int, e Effort) (_ Sample, err error) {
	before := look()
	q, err := c.Open(Setup{Handlers: handlers, Producers: 1, Backlog: n})
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

	body, sent := bodyOf(128, c.Shares), 0
	for began := time.Now(); sent < n && time.Since(began) < fillTime*e.Time; sent += 100 {
		if err := produce(ctx, q, 100, 100, body); err != nil {
			return nil, err
		}
	}
	after := look()
	start := time.Now()
	runtime.GC()
	collection := time.Since(start)

	handled := newCounter()
	handled.expect(sent)
	start = time.Now()
	if err := q.Consume(sinkOf(handled, firstByte)); err != nil {
		return nil, err
	}
	if err := handled.wait(ctx); err != nil {
		return nil, err
	}
	if err := q.Settle(ctx); err != nil {
		return nil, err
	}
	took := time.Since(start)
	s := Sample{
		"n":        float64(sent),
		"heap":     float64(after.heap-before.heap) / float64(sent),
		"gc":       float64(collection),
		"drain_ns": float64(took) / float64(sent),
	}
	if after.hasRSS {
		s["rss"] = float64(after.rss-before.rss) / float64(sent)
	}
	return s, handled.check()
}
