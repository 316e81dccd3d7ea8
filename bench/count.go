package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// A counter adds up what handlers get. Each adds in a cell of its own: one that all
// share would cost as much as the channel.
type counter struct {
	cells [64]struct {
		n atomic.Int64
		_ [56]byte // the rest of a cache line
	}
}

// sinkOf adds up a number that each body has: what is missing, twice there or
// damaged shows in the sum, and the handler has read the body.
func sinkOf[T any](c *counter, number func(T) int64) Sink[T] {
	return func(handler int, body T) {
		c.cells[handler%len(c.cells)].n.Add(number(body))
	}
}

func (c *counter) sum() (n int64) {
	for i := range c.cells {
		n += c.cells[i].n.Load()
	}
	return n
}

// wait returns when the sum is n.
func (c *counter) wait(ctx context.Context, n int64) error {
	err := eventually(ctx, func() (bool, error) { return c.sum() >= n, nil })
	if got := c.sum(); err == nil && got != n || ctx.Err() != nil {
		return fmt.Errorf("%d messages were sent, %d handled", n, got)
	}
	return err
}

// eventually returns when done says true, or with its error. It looks more seldom the
// longer it takes: what it adds to a time, and the work that it is, stay below a
// twentieth.
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
