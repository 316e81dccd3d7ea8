package inproq_test

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// consumeService is how long the handlers of these tests take.
const consumeService = 5 * time.Second

// A consumeLoad is the documented example: 100 messages a second in batches of
// 100 that take 5 seconds each, which keeps 5 handlers busy.
type consumeLoad struct {
	*consumeRig
	running, peak atomic.Int64
	outcome       atomic.Value // a func(*inproq.MessageBatch[string]) error
}

func startConsumeLoad(t *testing.T, cfg inproq.ConsumerConfig) *consumeLoad {
	l := new(consumeLoad)
	l.ends(func(*inproq.MessageBatch[string]) error { return nil })
	cfg.MaxBatchSize = 100
	l.consumeRig = consumeRun(t, cfg, func(_ context.Context, b *inproq.MessageBatch[string]) error {
		n := l.running.Add(1)
		defer l.running.Add(-1)
		for peak := l.peak.Load(); n > peak && !l.peak.CompareAndSwap(peak, n); {
			peak = l.peak.Load()
		}
		time.Sleep(consumeService)
		return l.outcome.Load().(func(*inproq.MessageBatch[string]) error)(b)
	})
	return l
}

// ends says how invocations end from now on.
func (l *consumeLoad) ends(outcome func(*inproq.MessageBatch[string]) error) {
	l.outcome.Store(outcome)
}

// produce sends a hundred messages a second, and returns how many handlers ran in
// the middle of each second.
func (l *consumeLoad) produce(d time.Duration) (running []int64) {
	for i := range int(d / (10 * time.Millisecond)) {
		_, err := l.queue.Send(l.t.Context(), "a")
		require.NoError(l.t, err)
		consumePass(10 * time.Millisecond)
		if i%100 == 50 {
			running = append(running, l.running.Load())
		}
	}
	return running
}

func TestScaleToTheDocumentedExample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := startConsumeLoad(t, inproq.ConsumerConfig{})
		start := l.produce(time.Second + 2*consumeService) // the first batch takes a second to fill
		assert.EqualValues(t, 1, slices.Max(start[:6]), "one handler until the first has returned")
		settled := l.produce(5 * time.Minute)
		for i, n := range settled {
			require.InDelta(t, 5, n, 1, "after %d s: %v", i, settled)
		}

		s := l.stats()
		assert.Equal(t, int(l.running.Load()), s.Running)
		assert.InDelta(t, 5, s.Limit, 1)
		assert.Equal(t, s.Limit, s.LastScale.To)
		assert.NotEmpty(t, s.LastScale.Rule)
		assert.InDelta(t, 100, s.LastScale.ArrivalRate, 5)
		assert.InDelta(t, consumeService.Seconds(), s.LastScale.ServiceSeconds, 0.01)
		assert.Zero(t, s.LastScale.FailureRate)
		assert.Less(t, time.Since(s.LastScale.Time), 2*time.Second, "with each batch")

		lines := l.log.find("concurrency changed")
		require.NotEmpty(t, lines)
		first := lines[0]
		assert.Equal(t, slog.LevelDebug, first.Level)
		assert.EqualValues(t, 1, first.Attrs["from"])
		for _, key := range []string{"queue", "to", "rule", "arrival_rate", "service_seconds", "failure_rate", "ready"} {
			assert.Contains(t, first.Attrs, key)
		}
		for _, line := range lines {
			assert.NotEqual(t, line.Attrs["from"], line.Attrs["to"], "a change")
		}
	})
}

// An idle queue runs no handler, whatever the load before was.
func TestScaleToNothingWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := startConsumeLoad(t, inproq.ConsumerConfig{})
		assert.Zero(t, l.stats().Running)
		l.produce(30 * time.Second)
		assert.NotZero(t, l.stats().Running)
		consumePass(time.Minute)
		assert.Zero(t, l.stats().Running)
		assert.Zero(t, l.running.Load())
		assert.Zero(t, l.backlog("jobs"))
	})
}

func TestScaleUpToMaxConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := startConsumeLoad(t, inproq.ConsumerConfig{MaxConcurrency: 3})
		l.produce(2 * time.Minute)
		assert.EqualValues(t, 3, l.peak.Load())
		assert.Equal(t, 3, l.stats().Limit)
		assert.Equal(t, "ceiling", l.stats().LastScale.Rule)
		consumePass(10 * time.Minute) // the backlog
		assert.EqualValues(t, 3, l.peak.Load())
		assert.Zero(t, l.backlog("jobs"))
	})
}

// Failed invocations lower the number of handlers to one: a dependency that is
// down is spared. When it is back so are they.
func TestScaleDownInAnOutage(t *testing.T) {
	for name, fail := range map[string]func(*inproq.MessageBatch[string]) error{
		"error": func(*inproq.MessageBatch[string]) error { return errConsume },
		"panic": func(*inproq.MessageBatch[string]) error { panic("jammed") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := startConsumeLoad(t, inproq.ConsumerConfig{MaxRetries: 100})
				l.produce(time.Minute)
				require.InDelta(t, 5, l.running.Load(), 1)

				l.ends(fail)
				down := l.produce(2 * time.Minute)
				assert.EqualValues(t, 1, slices.Max(down[60:]), "%v", down)
				s := l.stats()
				assert.Equal(t, "errors", s.LastScale.Rule)
				assert.Equal(t, 1, s.Limit)
				assert.Greater(t, s.LastScale.FailureRate, 0.5)

				l.ends(func(*inproq.MessageBatch[string]) error { return nil })
				up := l.produce(2 * time.Minute)
				assert.GreaterOrEqual(t, slices.Min(up[60:]), int64(4), "%v", up)
				consumePass(10 * time.Minute)
				assert.Zero(t, l.backlog("jobs"))
			})
		})
	}
}

// An explicit retry is an answer, not a failure: it never lowers the number.
func TestScaleIgnoresExplicitRetries(t *testing.T) {
	for name, retry := range map[string]func(*inproq.MessageBatch[string]) error{
		"RetryAll": func(b *inproq.MessageBatch[string]) error {
			b.RetryAll(inproq.Delay(time.Hour))
			return nil
		},
		"Retry": func(b *inproq.MessageBatch[string]) error {
			for _, m := range b.Messages {
				m.Retry(inproq.Delay(time.Hour), inproq.Cause(errConsume))
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := startConsumeLoad(t, inproq.ConsumerConfig{MaxConcurrency: 6})
				l.produce(time.Minute)
				l.ends(retry)
				during := l.produce(2 * time.Minute)
				assert.GreaterOrEqual(t, slices.Min(during), int64(4), "%v", during)
				assert.Zero(t, l.stats().LastScale.FailureRate)
				assert.Zero(t, l.stats().FailedBatches)
				l.ends(func(*inproq.MessageBatch[string]) error { return nil })
				consumePass(2 * time.Hour)
				assert.Zero(t, l.backlog("jobs"))
			})
		})
	}
}
