package dispatch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUpdateOfABatchThatFills(t *testing.T) {
	cases := []struct {
		name   string
		change func(*Settings)
		after  time.Duration // the batch leaves, counted from the first message
	}{
		{"a smaller batch is full at once", func(s *Settings) { s.BatchSize = 3 }, 10 * time.Second},
		{"a timeout that has passed already", func(s *Settings) { s.BatchTimeout = time.Second }, 10 * time.Second},
		{"no timeout", func(s *Settings) { s.BatchTimeout = 0 }, 10 * time.Second},
		{"a timeout counts from the first message", func(s *Settings) { s.BatchTimeout = 15 * time.Second }, 15 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, succeed, with(func(s *Settings) { s.BatchTimeout = time.Minute }))
				first := time.Now()
				r.send(3)
				time.Sleep(10 * time.Second)
				r.change(c.change)
				time.Sleep(time.Minute)
				require.Equal(t, []int{3}, r.seen.sizes())
				assert.Equal(t, c.after, r.seen.batches()[0].at.Sub(first).Round(10*time.Millisecond))
			})
		})
	}
}

func TestUpdateSparesTheBatchThatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := func(context.Context, *Batch) error { time.Sleep(time.Minute); return errors.New("refused") }
		r := start(t, fail, with(func(s *Settings) { s.BatchSize, s.RetryDelay = 1, time.Hour }))
		r.create("dead")
		r.send(1)
		synctest.Wait()
		r.change(func(s *Settings) { s.MaxRetries, s.RetryDelay, s.DeadLetterQueue = 1, time.Minute, "dead" })
		time.Sleep(2 * time.Minute)
		assert.EqualValues(t, 1, r.stats().Delayed, "retried by the settings that it began with")
		time.Sleep(50 * time.Minute)
		assert.EqualValues(t, 1, r.stats().Delayed, "after an hour")
		time.Sleep(time.Hour)
		assert.EqualValues(t, 1, r.statsOf("dead").Messages, "the next batch has the new settings")
		assert.Equal(t, []int{1, 2}, r.seen.attempts())
	})
}

func TestUpdateOfMaxConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(time.Hour), with(func(s *Settings) { s.BatchSize, s.MaxConcurrency = 1, 3 }))
		r.grow(3)
		r.send(1)
		synctest.Wait()
		r.change(func(s *Settings) { s.MaxConcurrency = 1 })
		assert.Equal(t, 1, r.State().Limit)
		r.send(3)
		time.Sleep(time.Minute)
		assert.Equal(t, 1, r.State().Running, "a lower ceiling stops the filler that waits")

		r.change(func(s *Settings) { s.MaxConcurrency = 2 })
		synctest.Wait()
		assert.Equal(t, 2, r.State().Running, "a higher ceiling starts one")
		r.change(func(s *Settings) { s.MaxConcurrency = 3 })
		synctest.Wait()
		assert.Equal(t, 3, r.State().Running)
		assert.EqualValues(t, 1, r.stats().Messages-r.stats().Leased)
	})
}

func TestUpdateOfMaxDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, takes(time.Minute), with(func(s *Settings) { s.BatchSize = 1 }))
		r.send(1)
		synctest.Wait()
		r.change(func(s *Settings) { s.MaxDuration = time.Second; s.MaxRetries = 0 })
		time.Sleep(2 * time.Minute)
		assert.EqualValues(t, 1, r.cfg.Counters.Acked.Load())
		r.send(1)
		time.Sleep(2 * time.Minute)
		assert.EqualValues(t, 1, r.cfg.Counters.Acked.Load())
		assert.EqualValues(t, 1, r.cfg.Counters.FailedBatches.Load())
	})
}

func TestUpdateWhenNothingIsToBeFilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, succeed)
		r.change(func(s *Settings) { s.BatchSize = 1 })
		r.send(2)
		synctest.Wait()
		assert.Empty(t, r.seen.batches(), "not started")
		r.Start(t.Context())
		synctest.Wait()
		assert.Equal(t, []int{1, 1}, r.seen.sizes())

		require.NoError(t, r.Hold(t.Context()))
		r.send(1)
		r.change(func(s *Settings) { s.MaxConcurrency = 5 })
		synctest.Wait()
		assert.Len(t, r.seen.batches(), 2, "held")
		r.Resume()
		synctest.Wait()
		assert.Len(t, r.seen.batches(), 3)

		require.NoError(t, r.Stop(t.Context()))
		r.send(1)
		r.change(func(s *Settings) { s.MaxConcurrency = 6 })
		synctest.Wait()
		assert.Len(t, r.seen.batches(), 3, "stopped")
	})
}
