package dispatch

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// An invocation is the context of one call of the handler, or of one
// settlement. It ends at a deadline or with its base. Arming a timer and
// registering with the base cost more than all the rest of an invocation, so
// that happens when somebody asks for Done or a value; a handler that does
// neither pays nothing.
type invocation struct {
	base     context.Context
	began    time.Time
	deadline time.Time

	mu     sync.Mutex
	armed  context.Context
	cancel context.CancelFunc
	ended  bool
}

var _ context.Context = (*invocation)(nil)

func (c *invocation) begin(base context.Context, d time.Duration) {
	c.base, c.began = base, time.Now()
	c.deadline = c.began.Add(d)
}

// overdue is the cause with which the context ends at its deadline.
func (c *invocation) overdue() error { return &overdueError{c.deadline.Sub(c.began)} }

type overdueError struct{ max time.Duration }

func (e *overdueError) Error() string {
	return fmt.Sprintf("inproq: handler ran longer than %v", e.max)
}
func (e *overdueError) Unwrap() error { return context.DeadlineExceeded }

// arm makes the real context.
func (c *invocation) arm() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.armed == nil {
		c.armed, c.cancel = context.WithDeadlineCause(c.base, c.deadline, c.overdue())
		if c.ended {
			c.cancel() // asked too late, by one who kept it
		}
	}
	return c.armed
}

// end releases what arm took.
func (c *invocation) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
}

func (c *invocation) Deadline() (time.Time, bool) { return c.deadline, true }
func (c *invocation) Done() <-chan struct{}       { return c.arm().Done() }
func (c *invocation) Value(key any) any           { return c.arm().Value(key) }

func (c *invocation) Err() error {
	c.mu.Lock()
	armed, ended := c.armed, c.ended
	c.mu.Unlock()
	switch {
	case armed != nil:
		return armed.Err()
	case ended, c.base.Err() != nil, !time.Now().Before(c.deadline):
		return c.arm().Err()
	}
	return nil
}
