package inproq_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
	"github.com/inproq/inproq/store/memory"
)

// consumeEach fails the bodies that begin with "bad" in their first delivery.
func consumeEach(_ context.Context, m *inproq.Message[string]) error {
	if m.Attempts == 1 && strings.HasPrefix(m.Body, "bad") {
		return fmt.Errorf("cannot read %s", m.Body)
	}
	return nil
}

// nil acknowledges, an error retries that message alone and goes on. The
// invocation fails only if every message did.
func TestEach(t *testing.T) {
	for _, c := range []struct {
		bodies string
		failed uint64
	}{
		{"good", 0},
		{"good better", 0},
		{"good bad better", 0},
		{"bad good", 0},
		{"bad", 1},
		{"bad badder", 1},
	} {
		t.Run(c.bodies, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bodies := strings.Fields(c.bodies)
				r := consumeRun(t, inproq.ConsumerConfig{
					MaxBatchSize: len(bodies), MaxBatchTimeout: inproq.NoWait, RetryDelay: time.Minute,
				}, inproq.Each(consumeEach), bodies...)
				consumePass(time.Hour)
				for _, body := range bodies {
					want := []time.Duration{0}
					if strings.HasPrefix(body, "bad") {
						want = append(want, time.Minute)
					}
					assert.Equal(t, want, r.times(body), body)
				}
				assert.Equal(t, c.failed, r.stats().FailedBatches)
				assert.Zero(t, r.backlog("jobs"))
			})
		})
	}
}

// A message that fails does so with its own error, not with that of the batch.
func TestEachKeepsTheCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := consumeDoomed
		cfg.MaxBatchSize = 3
		r := newConsumeRig(t, cfg, inproq.Each(consumeEach))
		dead := r.attach("dead", inproq.QueueConfig{}, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}, nil)
		r.send("bad-1", "good", "bad-2")
		queuetest.Start(t, r.broker)
		synctest.Wait()
		require.Len(t, dead.all(), 2)
		for _, d := range dead.all() {
			letter, _ := d.DeadLetter()
			assert.Equal(t, "cannot read "+d.Body, letter.Error)
		}
	})
}

// The messages are processed one after another in their order, and a message that
// was decided by its function stays so.
func TestEachInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &consumeJournal{began: time.Now()}
		each := inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
			time.Sleep(time.Second)
			if m.Body == "b" && m.Attempts == 1 {
				m.Retry(inproq.Delay(time.Minute))
			}
			return j.wrap(nil)(ctx, &inproq.MessageBatch[string]{Messages: []*inproq.Message[string]{m}})
		})
		r := consumeRun(t, inproq.ConsumerConfig{MaxBatchSize: 3, MaxBatchTimeout: inproq.NoWait}, each, "a", "b", "c")
		consumePass(time.Hour)
		assert.Equal(t, []consumeBatch{
			{time.Second, "a"}, {2 * time.Second, "b"}, {3 * time.Second, "c"}, {64 * time.Second, "b"},
		}, j.groups())
		assert.Zero(t, r.stats().FailedBatches)
	})
}

// When the context ends the rest of the batch is not begun with, and retried.
func TestEachStopsWhenTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{
			MaxBatchSize: 4, MaxBatchTimeout: inproq.NoWait, MaxDuration: 10 * time.Second, RetryDelay: time.Minute,
		}, inproq.Each(func(_ context.Context, m *inproq.Message[string]) error {
			if m.Attempts == 1 {
				time.Sleep(6 * time.Second)
			}
			return nil
		}), "a", "b", "c", "d")
		consumePass(time.Hour)
		assert.Len(t, r.of("a"), 1)
		assert.Len(t, r.of("b"), 1, "it was done, although late")
		again := []time.Duration{0, 12*time.Second + time.Minute}
		assert.Equal(t, again, r.times("c"))
		assert.Equal(t, again, r.times("d"))
		assert.EqualValues(t, 1, r.stats().FailedBatches)
	})
}

// The same when a shutdown cannot wait any longer: what was not begun with stays
// in the store.
func TestEachStopsInAShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		broker := inproq.Must(inproq.NewBroker(inproq.Config{
			Store: st, Logger: slog.New(slog.DiscardHandler), ShutdownTimeout: 10 * time.Second,
		}))
		q, err := inproq.Declare[string](t.Context(), broker, "jobs", inproq.QueueConfig{})
		require.NoError(t, err)
		_, err = q.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
			if m.Body == "b" {
				<-ctx.Done()
			}
			return nil
		}), inproq.ConsumerConfig{MaxBatchSize: 3})
		require.NoError(t, err)
		_, err = q.SendBatch(t.Context(), inproq.Bodies("a", "b", "c"))
		require.NoError(t, err)
		ended := make(chan error)
		go func() { ended <- broker.Run(t.Context()) }()
		synctest.Wait()
		require.ErrorIs(t, broker.Shutdown(t.Context()), inproq.ErrShutdownTimeout)
		require.ErrorIs(t, <-ended, inproq.ErrShutdownTimeout)

		left, err := st.Peek(t.Context(), "jobs", "", 10)
		require.NoError(t, err)
		require.Len(t, left, 1)
		assert.Equal(t, `"c"`, string(left[0].Body))
		require.NoError(t, st.Close())
	})
}

// A panic retries its message alone, although the invocation has failed.
func TestEachPanicRetriesItsMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{MaxBatchSize: 3, MaxBatchTimeout: inproq.NoWait, RetryDelay: time.Minute},
			inproq.Each(func(_ context.Context, m *inproq.Message[string]) error {
				if m.Body == "b" && m.Attempts == 1 {
					panic("jammed")
				}
				return nil
			}), "a", "b", "c")
		consumePass(time.Hour)
		assert.Len(t, r.of("a"), 1)
		assert.Equal(t, []time.Duration{0, time.Minute}, r.times("b"))
		assert.Len(t, r.of("c"), 1, "it was processed behind the panic")
		assert.EqualValues(t, 1, r.stats().FailedBatches)
	})
}
