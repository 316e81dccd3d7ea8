package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// A counter adds up what handlers get. Each adds in a cell of its own: one that all
// share would cost as much as the channel.
//
// The handler that reaches the goal tells whoever waits. To know that, it has to add up
// all cells, so it does that seldom at first: whenever its own cell has grown by
// stride. That is often enough while more than stride is missing for each cell; once
// less is, the goal is near, and each handler adds up after each message.
type counter struct {
	cells [16]struct {
		n atomic.Int64
		_ [56]byte // the rest of a cache line
	}
	goal    atomic.Int64
	near    atomic.Int64 // the goal that it is close to, or was
	reached chan struct{}
}

const stride = 32

func newCounter() *counter { return &counter{reached: make(chan struct{}, 1)} }

// sinkOf adds up a number that each body has, so that the handler has read the body.
func sinkOf[T any](c *counter, number func(T) int64) Sink[T] {
	return func(handler int, body T) { c.add(handler, number(body)) }
}

func (c *counter) add(handler int, number int64) {
	n := c.cells[handler%len(c.cells)].n.Add(number)
	if c.near.Load() == c.goal.Load() || n/stride != (n-number)/stride {
		c.look()
	}
}

func (c *counter) look() {
	for {
		goal := c.goal.Load()
		missing := goal - c.sum()
		if missing <= 0 {
			select {
			case c.reached <- struct{}{}:
			default: // somebody has told already
			}
			return
		}
		near := c.near.Load()
		if missing > int64(stride*len(c.cells)) || near >= goal {
			return
		}
		c.near.CompareAndSwap(near, goal)
		// Others may have added just before they could see that it is near.
	}
}

func (c *counter) sum() (n int64) {
	for i := range c.cells {
		n += c.cells[i].n.Load()
	}
	return n
}

// expect raises the goal by n. Nobody waits, and all that was expected before is there.
func (c *counter) expect(n int) {
	c.goal.Add(int64(n))
	c.look()
}

// wait returns when the goal is reached.
func (c *counter) wait(ctx context.Context) error {
	for c.sum() < c.goal.Load() { // the news may be old
		select {
		case <-c.reached:
		case <-ctx.Done():
			return c.check()
		}
	}
	return c.check()
}

// check tells whether the count is exactly what is expected. What comes twice, or is
// damaged, may show only when the queue has settled.
func (c *counter) check() error {
	if got, want := c.sum(), c.goal.Load(); got != want {
		return fmt.Errorf("%d messages were sent, the count is %d", want, got)
	}
	return nil
}

// eventually returns when done says true, or with its error. A sleep takes a
// millisecond on some systems, so this is for the end of a measurement, not for its
// rounds.
func eventually(ctx context.Context, done func() (bool, error)) error {
	for began := time.Now(); ; {
		if ok, err := done(); ok || err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		time.Sleep(min(max(time.Since(began)/20, 20*time.Microsecond), time.Millisecond))
	}
}
