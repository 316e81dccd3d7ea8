package inproq_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// turnsLasting is a turn over a pulled batch that takes so long.
func turnsLasting(d time.Duration) func(*inproq.PulledBatch[string]) bool {
	return func(b *inproq.PulledBatch[string]) bool {
		b.AckAll()
		time.Sleep(d)
		return true
	}
}

// A turn that outlasts the grace takes none of it from handlers. With a store that was passed in the
// batch that runs finishes, no other begins, and nobody is cancelled.
func TestSlowTurnLeavesHandlersTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{Store: accountStore(t), ShutdownTimeout: 10 * time.Second})
		var cancelled atomic.Int64
		sink := accountSink{then: func(ctx context.Context, _ *inproq.MessageBatch[string]) error {
			select {
			case <-ctx.Done():
				cancelled.Add(1)
			case <-time.After(4 * time.Second):
			}
			return nil
		}}
		push := accountDeclare(t, r.broker, "push", inproq.QueueConfig{})
		accountConsume(t, push, sink.handle, inproq.ConsumerConfig{MaxBatchSize: 1, MaxConcurrency: 1, MaxBatchTimeout: inproq.NoWait})
		accountSend(t, push, "a", "b", "c", "d", "e")
		r.send("x")
		run := accountStart(r.broker)
		l := pullStart(t.Context(), r.consumer(inproq.PullConfig{}), turnsLasting(time.Minute))
		consumePass(time.Second)
		began := time.Now()
		require.EqualError(t, run.stop(), inproq.ErrShutdownTimeout.Error())
		assert.Equal(t, 10*time.Second, time.Since(began), "the turn has the grace too")
		l.wg.Wait()
		assert.Equal(t, []string{"a"}, sink.bodies())
		assert.Zero(t, cancelled.Load())
		assert.EqualValues(t, 1, r.broker.Stats("push").Acked)
	})
}

// In the broker's own store all that is ready is delivered while a turn goes on, though the turn
// outlasts the grace.
func TestSlowTurnDoesNotKeepWhatIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		var sink accountSink
		push := accountDeclare(t, r.broker, "push", inproq.QueueConfig{})
		accountConsume(t, push, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: time.Minute})
		accountSend(t, push, "a", "b", "c")
		r.send("x")
		run := accountStart(r.broker)
		l := pullStart(t.Context(), r.consumer(inproq.PullConfig{}), turnsLasting(time.Hour))
		consumePass(time.Second)
		require.Empty(t, sink.bodies(), "they wait for a full batch")
		began := time.Now()
		require.EqualError(t, run.stop(), inproq.ErrShutdownTimeout.Error())
		got := sink.deliveries()
		require.Len(t, got, 3)
		for _, d := range got {
			assert.Equal(t, began, d.At, "before the turn is over")
		}
		l.wg.Wait()
	})
}

// What a turn sends last is delivered like what it sends first, also when a handler sends on.
func TestShutdownDeliversWhatTurnsSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		push := accountDeclare(t, r.broker, "push", inproq.QueueConfig{})
		last := accountDeclare(t, r.broker, "last", inproq.QueueConfig{})
		sinks := make([]accountSink, 2)
		sinks[0].then = func(ctx context.Context, b *inproq.MessageBatch[string]) error {
			_, err := last.Send(ctx, b.Messages[0].Body+" again")
			return err
		}
		accountConsume(t, push, sinks[0].handle, inproq.ConsumerConfig{MaxBatchTimeout: time.Minute})
		accountConsume(t, last, sinks[1].handle, inproq.ConsumerConfig{MaxBatchTimeout: time.Minute})
		r.send("x")
		run := accountStart(r.broker)
		l := pullStart(t.Context(), r.consumer(inproq.PullConfig{}), func(b *inproq.PulledBatch[string]) bool {
			for _, body := range []string{"first", "last"} {
				_, err := push.Send(context.Background(), body)
				assert.NoError(t, err)
				time.Sleep(10 * time.Second)
			}
			b.AckAll()
			return true
		})
		consumePass(time.Second)
		require.NoError(t, run.stop())
		l.wg.Wait()
		assert.Empty(t, l.failures())
		assert.Equal(t, []string{"first", "last"}, sinks[0].bodies())
		assert.Equal(t, []string{"first again", "last again"}, sinks[1].bodies())
	})
}

// A turn and a handler that are both too late make one error.
func TestShutdownTimeoutIsToldOnce(t *testing.T) {
	for name, owned := range map[string]bool{"its own store": true, "a store": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := inproq.Config{ShutdownTimeout: 10 * time.Second}
				if !owned {
					cfg.Store = accountStore(t)
				}
				r := newPullRig(t, cfg)
				sink := accountSink{then: func(ctx context.Context, _ *inproq.MessageBatch[string]) error {
					<-ctx.Done()
					return ctx.Err()
				}}
				push := accountDeclare(t, r.broker, "push", inproq.QueueConfig{})
				accountConsume(t, push, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
				accountSend(t, push, "a")
				r.send("x")
				run := accountStart(r.broker)
				l := pullStart(t.Context(), r.consumer(inproq.PullConfig{}), turnsLasting(time.Minute))
				consumePass(time.Second)
				began := time.Now()
				err := run.stop()
				require.ErrorIs(t, err, inproq.ErrShutdownTimeout)
				assert.Equal(t, 1, strings.Count(err.Error(), inproq.ErrShutdownTimeout.Error()))
				assert.Equal(t, 10*time.Second, time.Since(began))
				l.wg.Wait()
			})
		})
	}
}
