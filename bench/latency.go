package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// latency is the time from Send to the handler's first line, on a queue where nothing
// else happens.
func latency(Effort) Workload {
	return Workload{
		Kind:    "latency",
		Title:   "Send to handler, on an idle queue",
		Name:    "idle",
		Enters:  func(Contestant) bool { return true },
		Measure: measureLatency,
	}
}

// pause makes the queue idle again before the next message.
const pause = 200 * time.Microsecond

// upTo is at random below d. Without it all messages to a queue that polls would come
// just after it has looked.
func upTo(d time.Duration) time.Duration {
	if d == 0 {
		return 0
	}
	return rand.N(d)
}

// fewest is how many messages there are at least, however slow they are.
const fewest = 15

// rare is the number of messages below which a 99th percentile says nothing.
const rare = 100

func measureLatency(c Contestant, e Effort) (_ Sample, err error) {
	q, err := c.Open(Setup{Handlers: handlers, Producers: handlers})
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := q.Close(); err == nil {
			err = closeErr
		}
	}()
	arrived := make(chan time.Time, 1)
	if err := q.Consume(func(int, []byte) { arrived <- time.Now() }); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), e.Patience)
	defer cancel()
	body := bodyOf(128, c.Shares)
	var all []time.Duration
	warm := 0 // messages that warm up; 0: it goes on
	for began := time.Now(); len(all) < e.Latencies+warm && (time.Since(began) < 2*e.Time || len(all) < warm+fewest); {
		message := body()
		start := time.Now()
		if err := q.Send(ctx, message); err != nil {
			return nil, err
		}
		select {
		case at := <-arrived:
			all = append(all, at.Sub(start))
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if warm == 0 && (len(all) >= e.Latencies/10 || time.Since(began) > e.Time/5) {
			warm = len(all)
		}
		time.Sleep(pause + upTo(c.Polls))
	}
	if err := q.Settle(ctx); err != nil {
		return nil, err
	}
	return latencies(all[warm:]), nil
}

func latencies(all []time.Duration) Sample {
	slices.Sort(all)
	s := Sample{"p50": float64(percentile(all, 50)), "n": float64(len(all))}
	if len(all) >= rare {
		s["p99"] = float64(percentile(all, 99))
	}
	return s
}
