package dispatch

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func takes(d time.Duration) handleFunc {
	return func(context.Context, *Batch) error { time.Sleep(d); return nil }
}

func TestOneGoroutineLeasesAndRunsWhatItLeased(t *testing.T) {
	for _, limit := range []int{1, 2, 50} {
		for name, h := range map[string]handleFunc{"instant": succeed, "slow": takes(time.Minute)} {
			t.Run(fmt.Sprintf("%s, %d handlers", name, limit), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := start(t, h, with(func(s *Settings) { s.MaxConcurrency, s.BatchSize = limit, 3 }))
					r.grow(limit)
					for range 20 {
						r.send(10)
						time.Sleep(time.Second)
					}
					time.Sleep(3 * time.Hour)

					total := 0
					for _, n := range r.seen.sizes() {
						assert.Positive(t, n, "a batch is never empty")
						assert.LessOrEqual(t, n, 3)
						total += n
					}
					assert.Equal(t, 200, total)
					assert.Zero(t, r.stats().Messages)
					_, most := r.spy.fillers()
					assert.Equal(t, 1, most, "goroutines in Lease at once")
					assert.Zero(t, r.seen.moved(), "batches that changed their goroutine")
					assert.LessOrEqual(t, r.seen.peak(), limit)
					if name == "slow" {
						assert.Equal(t, limit, r.seen.peak(), "as many run as may")
					}
				})
			})
		}
	}
}

func TestIdleEngineParksOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(time.Second), with(func(s *Settings) { s.MaxConcurrency, s.BatchSize = 50, 1 }))
		synctest.Wait()
		assert.Equal(t, 1, goroutinesIn("dispatch.(*Engine).fillAndRun"))
		r.grow(50)
		r.send(50)
		time.Sleep(500 * time.Millisecond)
		assert.Equal(t, 50, r.State().Running)
		synctest.Wait() // goroutines that are about to end
		assert.Equal(t, 50, goroutinesIn("dispatch.(*Engine).fillAndRun"), "at the limit nobody fills")
		time.Sleep(time.Second)
		synctest.Wait() // goroutines that are about to end
		assert.Equal(t, 1, goroutinesIn("dispatch.(*Engine).fillAndRun"))
		now, _ := r.spy.fillers()
		assert.Equal(t, 1, now)
		assert.Zero(t, r.State().Running)
	})
}

func TestQuickHandlersShareOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed, with(func(s *Settings) { s.MaxConcurrency = 1; s.BatchSize = 1 }))
		r.send(20)
		synctest.Wait()
		r.spy.mu.Lock()
		defer r.spy.mu.Unlock()
		used := make(map[string]bool)
		for _, g := range r.spy.leaser {
			used[g] = true
		}
		assert.Len(t, r.spy.leaser, 20)
		assert.Len(t, used, 1)
	})
}

func TestHandlerThatEndsItsGoroutineLeavesAnother(t *testing.T) {
	for _, limit := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d handlers", limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, goexit, with(func(s *Settings) { s.MaxConcurrency, s.MaxRetries, s.BatchSize = limit, 0, 1 }))
				r.grow(limit)
				r.send(5)
				synctest.Wait()
				assert.Len(t, r.seen.batches(), 5)
				assert.EqualValues(t, 5, r.cfg.Counters.FailedBatches.Load())
				assert.EqualValues(t, 5, r.cfg.Counters.Dropped.Load())
				assert.Zero(t, r.State().Running)
				require.Len(t, r.book.find("handler failed"), 5)
				assert.Equal(t, errGoexit, attr(r.book.find("handler failed")[0], "err").Any())
			})
		})
	}
}

func TestConcurrencyNeverFallsBelowOneHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed, with(func(s *Settings) { s.MaxConcurrency = 0 }))
		r.send(10)
		synctest.Wait()
		assert.Equal(t, []int{10}, r.seen.sizes())
		assert.Equal(t, 1, r.State().Limit)
	})
}
