package inproq_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// What a turn sends while a shutdown waits for it is delivered at once, also if the turn
// outlasts the grace.
func TestWhatATurnSendsIsDeliveredAtOnce(t *testing.T) {
	for name, turn := range map[string]time.Duration{"within": 5 * time.Second, "beyond": time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newPullRig(t, inproq.Config{ShutdownTimeout: 10 * time.Second})
				var sink accountSink
				push := accountDeclare(t, r.broker, "push", inproq.QueueConfig{})
				accountConsume(t, push, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: time.Minute})
				r.send("x")
				run := accountStart(r.broker)
				l := pullStart(t.Context(), r.consumer(inproq.PullConfig{}), func(b *inproq.PulledBatch[string]) bool {
					b.AckAll()
					time.Sleep(2 * time.Second) // the shutdown begins at 1s
					accountSend(t, push, "from the turn")
					time.Sleep(turn)
					return true
				})
				consumePass(time.Second)
				if err := run.stop(); name == "beyond" {
					require.ErrorIs(t, err, inproq.ErrShutdownTimeout)
				} else {
					require.NoError(t, err)
				}
				l.wg.Wait()
				assert.Equal(t, []string{"from the turn"}, sink.bodies())
			})
		})
	}
}

// So a turn may wait for what a handler makes of it.
func TestATurnMayWaitForAHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{ShutdownTimeout: 10 * time.Second})
		reply := make(chan struct{})
		sink := accountSink{then: func(context.Context, *inproq.MessageBatch[string]) error { close(reply); return nil }}
		push := accountDeclare(t, r.broker, "push", inproq.QueueConfig{})
		accountConsume(t, push, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: time.Minute})
		r.send("x")
		run := accountStart(r.broker)
		l := pullStart(t.Context(), r.consumer(inproq.PullConfig{}), func(b *inproq.PulledBatch[string]) bool {
			b.AckAll()
			time.Sleep(2 * time.Second)
			accountSend(t, push, "request")
			select {
			case <-reply:
			case <-time.After(time.Hour):
				t.Error("no reply")
			}
			return true
		})
		consumePass(time.Second)
		assert.NoError(t, run.stop())
		l.wg.Wait()
	})
}
