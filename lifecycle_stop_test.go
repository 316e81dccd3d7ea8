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

// Stop finishes what runs, gives back what waits, and takes the record away.
func TestStopDetaches(t *testing.T) {
	for name, wrap := range accountStores {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := accountBroker(t, inproq.Config{Store: wrap(accountStore(t))})
				q := accountDeclare(t, b, "q", inproq.QueueConfig{})
				gate := accountGate()
				c := accountConsume(t, q, gate.handle, inproq.ConsumerConfig{MaxBatchSize: 2, MaxConcurrency: 1})
				run := accountStart(b)
				accountSend(t, q, "a", "b", "c")
				synctest.Wait()
				stopped := make(chan error)
				go func() { stopped <- c.Stop(context.Background()) }()
				time.Sleep(10 * time.Second)
				close(gate.open)
				require.NoError(t, <-stopped)
				assert.Equal(t, []string{"a", "b"}, gate.bodies())
				assert.EqualValues(t, 2, b.Stats("q").Acked)
				info, err := b.Queue(t.Context(), "q")
				require.NoError(t, err)
				assert.Nil(t, info.Consumer)
				assert.NoError(t, c.Stop(t.Context()), "it stays stopped")

				accountSend(t, q, "d")
				time.Sleep(24 * time.Hour)
				synctest.Wait()
				assert.Equal(t, 2, accountCount(t, b, "q"), "messages wait without a consumer")
				var sink accountSink
				accountConsume(t, q, sink.handle, inproq.ConsumerConfig{})
				assert.NoError(t, c.Stop(t.Context()))
				info, err = b.Queue(t.Context(), "q")
				require.NoError(t, err)
				assert.NotNil(t, info.Consumer, "the new one is none of its business")
				time.Sleep(5 * time.Second)
				synctest.Wait()
				assert.Equal(t, []string{"c", "d"}, sink.bodies())
				for _, d := range sink.deliveries() {
					assert.Equal(t, 1, d.Attempts)
				}
				require.NoError(t, run.stop())
			})
		})
	}
}

// A batch that is filling is given back with its attempts.
func TestStopGivesBackFillingBatch(t *testing.T) {
	for name, wrap := range accountStores {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := accountBroker(t, inproq.Config{Store: wrap(accountStore(t))})
				q := accountDeclare(t, b, "q", inproq.QueueConfig{})
				var sink accountSink
				c := accountConsume(t, q, sink.handle, inproq.ConsumerConfig{})
				run := accountStart(b)
				accountSend(t, q, "a", "b")
				time.Sleep(3 * time.Second)
				require.NoError(t, c.Stop(t.Context()))
				assert.Empty(t, sink.bodies())
				found, err := b.Peek(t.Context(), "q", 5)
				require.NoError(t, err)
				require.Len(t, found, 2)
				assert.Zero(t, found[0].Attempts)
				require.NoError(t, run.stop())
			})
		})
	}
}

// Stop's grace ends with its context; then the handler's context ends, and the
// record goes all the same.
func TestStopGrace(t *testing.T) {
	for name, tc := range map[string]struct{ ctx, after time.Duration }{
		"context":         {3 * time.Second, 3 * time.Second},
		"ShutdownTimeout": {time.Minute, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := accountBroker(t, inproq.Config{ShutdownTimeout: 10 * time.Second})
				q := accountDeclare(t, b, "q", inproq.QueueConfig{})
				var h accountObedient
				c := accountConsume(t, q, h.handle, inproq.ConsumerConfig{MaxBatchSize: 1})
				run := accountStart(b)
				accountSend(t, q, "x")
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), tc.ctx)
				defer cancel()
				began := time.Now()
				require.ErrorIs(t, c.Stop(ctx), inproq.ErrShutdownTimeout)
				assert.Equal(t, tc.after, time.Since(began))
				info, err := b.Queue(t.Context(), "q")
				require.NoError(t, err)
				assert.Nil(t, info.Consumer)
				assert.EqualValues(t, 1, b.Stats("q").Acked)
				require.NoError(t, run.stop(), "the broker goes on")
			})
		})
	}
}

func TestStopBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		var first, second accountSink
		c := accountConsume(t, q, first.handle, inproq.ConsumerConfig{})
		require.NoError(t, c.Stop(t.Context()))
		accountConsume(t, q, second.handle, inproq.ConsumerConfig{})
		accountSend(t, q, "x")
		require.NoError(t, accountStart(b).stop())
		assert.Empty(t, first.bodies())
		assert.Equal(t, []string{"x"}, second.bodies())
	})
}

// A consumer whose queue is gone, or whose broker is, may be stopped.
func TestStopOfWhatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q, other := accountDeclare(t, b, "q", inproq.QueueConfig{}), accountDeclare(t, b, "other", inproq.QueueConfig{})
		c := accountConsume(t, q, new(accountSink).handle, inproq.ConsumerConfig{})
		d := accountConsume(t, other, new(accountSink).handle, inproq.ConsumerConfig{})
		e := accountConsume(t, accountDeclare(t, b, "early", inproq.QueueConfig{}), new(accountSink).handle, inproq.ConsumerConfig{})
		require.NoError(t, b.DeleteQueue(t.Context(), "early"))
		assert.NoError(t, e.Stop(t.Context()))
		run := accountStart(b)
		synctest.Wait()
		require.NoError(t, b.DeleteQueue(t.Context(), "q"))
		assert.NoError(t, c.Stop(t.Context()))
		require.NoError(t, run.stop())
		assert.NoError(t, d.Stop(t.Context()))
	})
}

// A shutdown leaves the record for the next run, so only the same consumer may
// come.
func TestConsumerRecordOutlivesShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		b := accountBroker(t, inproq.Config{Store: st})
		accountConsume(t, accountDeclare(t, b, "q", inproq.QueueConfig{}), new(accountSink).handle, inproq.ConsumerConfig{Name: "worker"})
		run := accountStart(b)
		synctest.Wait()
		before, err := b.Queue(t.Context(), "q")
		require.NoError(t, err)
		require.NoError(t, run.stop())

		next := accountBroker(t, inproq.Config{Store: st})
		q := accountDeclare(t, next, "q", inproq.QueueConfig{})
		run = accountStart(next)
		synctest.Wait()
		after, err := next.Queue(t.Context(), "q")
		require.NoError(t, err)
		require.NotNil(t, after.Consumer)
		assert.Equal(t, before.Consumer, after.Consumer)
		_, err = q.Consume(new(accountSink).handle, inproq.ConsumerConfig{})
		require.ErrorIs(t, err, inproq.ErrConsumerExists, "another name")
		accountConsume(t, q, new(accountSink).handle, inproq.ConsumerConfig{Name: "worker"})
		after, err = next.Queue(t.Context(), "q")
		require.NoError(t, err)
		assert.Equal(t, before.Consumer, after.Consumer)
		require.NoError(t, run.stop())
	})
}
