package main

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// A shape is how messages are sent.
type shape struct {
	producers, batch, body int
}

// handlers is how many handle messages in all workloads.
const handlers = 10

// drains are the workloads of raw bodies.
func drains() (all []Workload) {
	for _, body := range []int{128, 1024} {
		for _, batch := range []int{1, 100} {
			for _, producers := range []int{16, 1} {
				s := shape{producers, batch, body}
				all = append(all, Workload{
					Kind:  "drain",
					Title: fmt.Sprintf("%s, bodies of %d bytes", s, body),
					Name:  fmt.Sprintf("producers=%d/batch=%d/body=%d", producers, batch, body),
					Enters: func(Contestant) bool {
						return true
					},
					Measure: func(c Contestant, e Effort) (Sample, error) { return drainBytes(c, s, e) },
				})
			}
		}
	}
	return all
}

// jsonDrains are those of values that are encoded and decoded.
func jsonDrains() (all []Workload) {
	for _, batch := range []int{1, 100} {
		for _, producers := range []int{16, 1} {
			s := shape{producers, batch, 0}
			all = append(all, Workload{
				Kind:    "json",
				Title:   fmt.Sprintf("%s, JSON bodies", s),
				Name:    fmt.Sprintf("producers=%d/batch=%d", producers, batch),
				Enters:  func(c Contestant) bool { return c.OpenJSON != nil },
				Measure: func(c Contestant, e Effort) (Sample, error) { return drainJSON(c, s, e) },
			})
		}
	}
	return all
}

func (s shape) String() string {
	senders, sends := "1 producer", "single sends"
	if s.producers > 1 {
		senders = fmt.Sprintf("%d producers", s.producers)
	}
	if s.batch > 1 {
		sends = fmt.Sprintf("batches of %d", s.batch)
	}
	return senders + ", " + sends
}

func drainBytes(c Contestant, s shape, e Effort) (Sample, error) {
	q, err := c.Open(Setup{Handlers: handlers, Producers: s.producers})
	if err != nil {
		return nil, err
	}
	return drain(q, s, e, bodyOf(s.body, c.Shares), firstByte)
}

func drainJSON(c Contestant, s shape, e Effort) (Sample, error) {
	q, err := c.OpenJSON(Setup{Handlers: handlers, Producers: s.producers})
	if err != nil {
		return nil, err
	}
	order := Order{ID: 1 << 40, Customer: "ada@example.org", Items: []string{"a pen", "ink", "paper"}, Total: 12.5, Count: 1}
	return drain(q, s, e, func() Order { return order }, func(o Order) int64 { return o.Count })
}

// bodyOf makes bodies whose first byte is 1: one each, or one for all.
func bodyOf(size int, shared bool) func() []byte {
	body := make([]byte, size)
	body[0] = 1
	if shared {
		return func() []byte { return body }
	}
	return func() []byte { return bytes.Clone(body) }
}

func firstByte(body []byte) int64 { return int64(body[0]) }

// unit is a number of messages that any number of producers and any batch divides.
const unit = 1600

// drain sends and handles rounds of messages. They grow until one takes as long as a
// measurement should, and that one counts; those before it warm up. A round has an
// end, so that a queue that takes messages faster than it gives them away is not
// measured by how it fills all memory: with the fast ones, many of the largest rounds
// count.
func drain[T any](q Queue[T], s shape, e Effort, body func() T, number func(T) int64) (_ Sample, err error) {
	defer func() {
		if closeErr := q.Close(); err == nil {
			err = closeErr
		}
	}()
	application := make([]byte, e.Heap)
	defer runtime.KeepAlive(application)
	ctx, cancel := context.WithTimeout(context.Background(), e.Patience)
	defer cancel()
	handled := newCounter()
	if err := q.Consume(sinkOf(handled, number)); err != nil {
		return nil, err
	}
	round := func(n int) error {
		handled.expect(n)
		if err := send(ctx, q, s, n, body); err != nil {
			return err
		}
		return handled.wait(ctx)
	}

	n, counted := e.Unit, 0
	var before uint64
	var start time.Time
	for {
		if counted == 0 {
			before, start = mallocs(), time.Now()
		}
		if err := round(n); err != nil {
			return nil, err
		}
		took := time.Since(start)
		counted += n
		if n >= e.Least && took >= e.Time*7/10 {
			break
		}
		if n < e.Round {
			n, counted = grown(n, took, e), 0
		}
	}
	if err := q.Settle(ctx); err != nil {
		return nil, err
	}
	took, after := time.Since(start), mallocs()
	return Sample{
		"ns":     float64(took) / float64(counted),
		"n":      float64(counted),
		"allocs": float64(after-before) / float64(counted),
	}, handled.check()
}

// grown is the number of messages for the next round, after one of n took so long.
func grown(n int, took time.Duration, e Effort) int {
	factor := min(max(1.1*float64(e.Time)/float64(max(took, 1)), 2), 16)
	return min(int(float64(n)*factor)/e.Unit*e.Unit, e.Round)
}

// send sends n messages from all producers, each its share.
func send[T any](ctx context.Context, q Queue[T], s shape, n int, body func() T) error {
	errs := make(chan error, s.producers)
	var senders sync.WaitGroup
	for range s.producers {
		senders.Go(func() { errs <- produce(ctx, q, s.batch, n/s.producers, body) })
	}
	senders.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
	return nil
}

func produce[T any](ctx context.Context, q Queue[T], batch, n int, body func() T) error {
	if batch == 1 {
		for range n {
			if err := q.Send(ctx, body()); err != nil {
				return err
			}
		}
		return nil
	}
	bodies := make([]T, batch)
	for range n / batch {
		for i := range bodies {
			bodies[i] = body()
		}
		if err := q.SendBatch(ctx, bodies); err != nil {
			return err
		}
	}
	return nil
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
