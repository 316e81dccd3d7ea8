package inproq_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// A shutdown waits for the turns that are under way, which settle in time.
func TestShutdownWaitsForTurns(t *testing.T) {
	for name, owned := range map[string]bool{"its own store": true, "a store": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := inproq.Config{}
				if !owned {
					cfg.Store = accountStore(t)
				}
				r := newPullRig(t, cfg)
				run := accountStart(r.broker)
				c := r.consumer(inproq.PullConfig{MaxBatchSize: 1})
				r.send("a", "b", "c")
				var sent atomic.Bool
				turn := func(b *inproq.PulledBatch[string]) bool {
					time.Sleep(time.Duration(10+len(b.Messages[0].Body)) * time.Second)
					_, err := r.queue.Send(context.Background(), "x")
					sent.Store(err == nil)
					b.AckAll()
					return true
				}
				first, second := pullStart(t.Context(), c, turn), pullStart(t.Context(), c, turn)
				consumePass(time.Second)
				began := time.Now()
				require.NoError(t, run.stop())
				assert.Equal(t, 10*time.Second, time.Since(began))
				first.wg.Wait()
				second.wg.Wait()
				assert.Len(t, append(first.bodies(), second.bodies()...), 2)
				assert.Empty(t, append(first.failures(), second.failures()...))
				assert.EqualValues(t, 2, r.stats().Acked)
				assert.True(t, sent.Load(), "who has a turn may send")
			})
		})
	}
}

// A turn may take the grace, and no longer. Handlers have the same grace.
func TestShutdownDoesNotWaitForTurnsForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{ShutdownTimeout: 10 * time.Second})
		run := accountStart(r.broker)
		c := r.consumer(inproq.PullConfig{})
		r.send("a")
		l := pullStart(t.Context(), c, func(b *inproq.PulledBatch[string]) bool {
			b.AckAll()
			time.Sleep(time.Minute)
			return true
		})
		consumePass(time.Second)
		began := time.Now()
		require.ErrorIs(t, run.stop(), inproq.ErrShutdownTimeout)
		assert.Equal(t, 10*time.Second, time.Since(began))
		lines := r.log.find("still in a turn")
		require.Len(t, lines, 1)
		assert.Equal(t, map[string]any{"turns": int64(1)}, lines[0].Attrs)
		l.wg.Wait()
		require.Len(t, l.failures(), 1)
		assert.ErrorIs(t, l.failures()[0], inproq.ErrBrokerClosed, "its settlement comes too late")
	})
}

// With a store that was passed in, a turn that comes too late for the shutdown still
// settles.
func TestTurnOutlivesTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		r := newPullRig(t, inproq.Config{Store: st, ShutdownTimeout: time.Second})
		run := accountStart(r.broker)
		c := r.consumer(inproq.PullConfig{VisibilityTimeout: time.Hour})
		r.send("a")
		l := pullStart(t.Context(), c, func(b *inproq.PulledBatch[string]) bool {
			time.Sleep(time.Minute)
			b.AckAll()
			return true
		})
		consumePass(time.Second)
		require.ErrorIs(t, run.stop(), inproq.ErrShutdownTimeout)
		l.wg.Wait()
		assert.Empty(t, l.failures())
		assert.Zero(t, sendBacklog(t, newPullRig(t, inproq.Config{Store: st}).broker, "jobs"))
	})
}

// The context of Shutdown shortens the grace.
func TestShutdownHurriesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{})
		r.send("a")
		l := pullStart(t.Context(), c, func(b *inproq.PulledBatch[string]) bool {
			time.Sleep(time.Minute)
			return false
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		require.ErrorIs(t, r.broker.Shutdown(ctx), inproq.ErrShutdownTimeout, "also of a broker that does not run")
		assert.Equal(t, 3*time.Second, time.Since(began))
		l.wg.Wait()
	})
}

// While a shutdown waits for a turn, handlers go on, and no loop gets another turn.
func TestShutdownWithTurnsAndHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		other := accountDeclare(t, r.broker, "other", inproq.QueueConfig{})
		var sink accountSink
		accountConsume(t, other, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		run := accountStart(r.broker)
		c := r.consumer(inproq.PullConfig{MaxBatchSize: 1})
		r.send("a", "b")
		l := pullStart(t.Context(), c, func(b *inproq.PulledBatch[string]) bool {
			time.Sleep(10 * time.Second)
			_, err := other.Send(context.Background(), "from a turn")
			assert.NoError(t, err)
			_, err = r.queue.PullConsumer(inproq.PullConfig{})
			assert.ErrorIs(t, err, inproq.ErrBrokerClosed, "nothing new begins")
			b.AckAll()
			return true
		})
		consumePass(time.Second)
		require.NoError(t, run.stop())
		l.wg.Wait()
		assert.Equal(t, []string{"a"}, l.bodies())
		assert.Equal(t, []string{"from a turn"}, sink.bodies(), "it is delivered before Run returns")
		lines := r.log.find("messages discarded")
		require.Len(t, lines, 1)
		assert.Equal(t, "jobs", lines[0].Attrs["queue"])
	})
}
