package dispatch

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type tenant struct{}

// begun returns an invocation of a minute, and what cancels its base.
func begun() (*invocation, context.CancelCauseFunc) {
	base, cancel := context.WithCancelCause(context.WithValue(context.Background(), tenant{}, "seven"))
	c := new(invocation)
	c.begin(base, time.Minute)
	return c, cancel
}

func TestInvocationIsAContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cancel := begun()
		defer cancel(nil)
		defer c.end()
		deadline, ok := c.Deadline()
		assert.True(t, ok)
		assert.Equal(t, time.Now().Add(time.Minute), deadline)
		assert.NoError(t, c.Err())
		assert.Nil(t, c.armed, "nobody asked for more")
		assert.Equal(t, "seven", c.Value(tenant{}))
		assert.Nil(t, c.Value("another"))
		assert.NoError(t, c.Err())
		assert.NoError(t, context.Cause(c))
	})
}

// TestInvocationEnds: however it is asked, and whether it was asked before or not.
func TestInvocationEnds(t *testing.T) {
	enough := errors.New("enough")
	ends := map[string]struct {
		end   func(*invocation, context.CancelCauseFunc)
		err   error
		cause error
	}{
		"at its deadline": {func(*invocation, context.CancelCauseFunc) { time.Sleep(time.Minute) },
			context.DeadlineExceeded, &overdueError{time.Minute}},
		"with its base": {func(_ *invocation, cancel context.CancelCauseFunc) { cancel(enough) }, context.Canceled, enough},
		"for good":      {func(c *invocation, _ context.CancelCauseFunc) { c.end() }, context.Canceled, context.Canceled},
	}
	for name, e := range ends {
		for _, armed := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, cancel := begun()
					defer cancel(nil)
					if armed {
						select {
						case <-c.Done():
							assert.Fail(t, "ended too early")
						default:
						}
					}
					e.end(c, cancel)
					synctest.Wait()
					assert.Equal(t, e.err, c.Err())
					assert.Equal(t, e.cause, context.Cause(c))
					select {
					case <-c.Done():
					default:
						assert.Fail(t, "Done is not closed")
					}
					assert.Equal(t, "seven", c.Value(tenant{}), "values outlive it")
					c.end()
					assert.Equal(t, e.err, c.Err())
				})
			})
		}
	}
}

func TestOverdueIsADeadlineExceeded(t *testing.T) {
	err := error(&overdueError{90 * time.Second})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.EqualError(t, err, "inproq: handler ran longer than 1m30s")
}

func TestChildrenEndWithTheInvocation(t *testing.T) {
	for name, end := range map[string]func(*invocation, context.CancelCauseFunc){
		"at its deadline": func(*invocation, context.CancelCauseFunc) { time.Sleep(time.Minute) },
		"with its base":   func(_ *invocation, cancel context.CancelCauseFunc) { cancel(nil) },
		"for good":        func(c *invocation, _ context.CancelCauseFunc) { c.end() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, cancel := begun()
				defer cancel(nil)
				child, cancelChild := context.WithCancel(c)
				defer cancelChild()
				called := make(chan struct{})
				stop := context.AfterFunc(c, func() { close(called) })
				defer stop()
				require.NoError(t, child.Err())
				end(c, cancel)
				synctest.Wait()
				assert.Error(t, child.Err())
				assert.Equal(t, context.Cause(c), context.Cause(child))
				<-called

				late, cancelLate := context.WithCancel(c)
				defer cancelLate()
				assert.Error(t, late.Err(), "a child made afterwards has ended too")
			})
		})
	}
}

func TestChildrenNeedNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cancel := begun()
		defer cancel(nil)
		defer c.end()
		_, cancelChild := context.WithCancel(c)
		defer cancelChild()
		synctest.Wait() // goroutines that are about to end
		assert.Zero(t, goroutinesIn("context.(*cancelCtx).propagateCancel"))
	})
}

func TestInvocationIsSafeForConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cancel := begun()
		defer cancel(nil)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { <-c.Done() })
			wg.Go(func() { _ = c.Err() })
			wg.Go(func() { _ = c.Value(tenant{}) })
			wg.Go(func() {
				child, cancel := context.WithTimeout(c, time.Second)
				defer cancel()
				<-child.Done()
			})
		}
		time.Sleep(10 * time.Second)
		wg.Go(c.end)
		wg.Go(c.end)
		wg.Wait()
		assert.Equal(t, context.Canceled, c.Err())
	})
}

func TestInvocationCostsNothingWhileNobodyAsks(t *testing.T) {
	base, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := new(invocation)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		c.begin(base, time.Minute)
		_, _ = c.Deadline()
		_ = c.Err()
		c.end()
		*c = invocation{}
	}))
}
