package inproq_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// A batch that is filling when the pause begins is given back, and its messages
// have lost no attempt.
func TestPauseGivesBackFillingBatch(t *testing.T) {
	for name, wrap := range accountStores {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := accountBroker(t, inproq.Config{Store: wrap(accountStore(t))})
				q := accountDeclare(t, b, "q", inproq.QueueConfig{})
				var sink accountSink
				accountConsume(t, q, sink.handle, inproq.ConsumerConfig{})
				run := accountStart(b)
				accountSend(t, q, "a", "b", "c")
				time.Sleep(4 * time.Second)

				require.NoError(t, b.PauseDelivery(t.Context(), "q"))
				bl, err := b.Backlog(t.Context(), "q")
				require.NoError(t, err)
				assert.EqualValues(t, 3, bl.Ready, "nothing is held any more")
				accountSend(t, q, "d", "e", "f", "g", "h", "i", "j", "k")
				time.Sleep(time.Hour)
				synctest.Wait()
				assert.Empty(t, sink.bodies(), "not even a full batch")
				info, err := b.Queue(t.Context(), "q")
				require.NoError(t, err)
				assert.True(t, info.DeliveryPaused)

				require.NoError(t, b.ResumeDelivery(t.Context(), "q"))
				time.Sleep(5 * time.Second)
				synctest.Wait()
				assert.Equal(t, []int{10, 1}, sink.batches())
				for _, d := range sink.deliveries() {
					assert.Equal(t, 1, d.Attempts, d.Body)
				}
				require.NoError(t, run.stop())
			})
		})
	}
}

// A pause that falls together with a batch's departure is decided one way or the
// other when PauseDelivery returns.
func TestPauseIsInForceWhenItReturns(t *testing.T) {
	for name, wrap := range accountStores {
		t.Run(name, func(t *testing.T) {
			for range 30 {
				synctest.Test(t, func(t *testing.T) {
					b := accountBroker(t, inproq.Config{Store: wrap(accountStore(t))})
					q := accountDeclare(t, b, "q", inproq.QueueConfig{})
					var sink accountSink
					accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchSize: 3})
					run := accountStart(b)
					accountSend(t, q, "a", "b")
					time.Sleep(5*time.Second - 1)
					var sends sync.WaitGroup
					sends.Go(func() { accountSend(t, q, "c", "d", "e") })
					time.Sleep(1)
					require.NoError(t, b.PauseDelivery(t.Context(), "q"))
					delivered := b.Stats("q").Delivered
					sends.Wait()
					time.Sleep(time.Minute)
					synctest.Wait()
					assert.Equal(t, delivered, b.Stats("q").Delivered)
					require.NoError(t, b.ResumeDelivery(t.Context(), "q"))
					time.Sleep(time.Minute)
					synctest.Wait()
					assert.ElementsMatch(t, []string{"a", "b", "c", "d", "e"}, sink.bodies())
					for _, d := range sink.deliveries() {
						assert.Equal(t, 1, d.Attempts)
					}
					require.NoError(t, run.stop())
				})
			}
		})
	}
}

// What handlers that run settle counts.
func TestPauseLetsHandlersFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		gate := accountGate()
		gate.then = func(_ context.Context, batch *inproq.MessageBatch[string]) error {
			for _, m := range batch.Messages {
				if m.Body == "again" && m.Attempts == 1 {
					m.Retry()
				}
			}
			return nil
		}
		accountConsume(t, q, gate.handle, inproq.ConsumerConfig{MaxBatchSize: 2})
		run := accountStart(b)
		accountSend(t, q, "done", "again")
		synctest.Wait()
		require.NoError(t, b.PauseDelivery(t.Context(), "q"))
		close(gate.open)
		synctest.Wait()
		s := b.Stats("q")
		assert.EqualValues(t, 1, s.Acked)
		assert.EqualValues(t, 1, s.Retried)
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Len(t, gate.bodies(), 2)

		require.NoError(t, b.ResumeDelivery(t.Context(), "q"))
		synctest.Wait()
		got := gate.deliveries()
		require.Len(t, got, 3)
		assert.Equal(t, accountDelivery{"again", 2, time.Now()}, got[2])
		assert.Zero(t, accountCount(t, b, "q"))
		require.NoError(t, run.stop())
	})
}

// Time goes on during a pause: delays pass, and messages expire.
func TestPauseDoesNotStopTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{MessageRetentionPeriod: time.Hour})
		var sink accountSink
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		run := accountStart(b)
		synctest.Wait()
		require.NoError(t, b.PauseDelivery(t.Context(), "q"))
		accountSend(t, q, "too old")
		time.Sleep(30 * time.Minute)
		_, err := q.Send(t.Context(), "due", inproq.Delay(15*time.Minute))
		require.NoError(t, err)
		_, err = q.Send(t.Context(), "later", inproq.Delay(40*time.Minute))
		require.NoError(t, err)
		time.Sleep(30 * time.Minute)
		assert.Equal(t, 2, accountCount(t, b, "q"))

		require.NoError(t, b.ResumeDelivery(t.Context(), "q"))
		synctest.Wait()
		assert.Equal(t, []string{"due"}, sink.bodies())
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		assert.Equal(t, []string{"due", "later"}, sink.bodies())
		require.NoError(t, run.stop())
	})
}

func TestPauseTwiceResumeTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		var sink accountSink
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		require.NoError(t, b.PauseDelivery(t.Context(), "q"), "before Run")
		once, err := b.Queue(t.Context(), "q")
		require.NoError(t, err)
		require.NoError(t, b.PauseDelivery(t.Context(), "q"))
		twice, err := b.Queue(t.Context(), "q")
		require.NoError(t, err)
		assert.Equal(t, once, twice, "the second pause is no change")

		run := accountStart(b)
		accountSend(t, q, "a")
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Empty(t, sink.bodies())
		require.NoError(t, b.ResumeDelivery(t.Context(), "q"))
		synctest.Wait()
		assert.Equal(t, []string{"a"}, sink.bodies(), "one resume ends both")
		require.NoError(t, b.ResumeDelivery(t.Context(), "q"))
		accountSend(t, q, "b")
		synctest.Wait()
		assert.Equal(t, []string{"a", "b"}, sink.bodies())
		require.NoError(t, run.stop())
	})
}

// A pause in a queue without messages wakes up with the first after it.
func TestPauseOfIdleConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		other := accountDeclare(t, b, "other", inproq.QueueConfig{})
		var sink, rest accountSink
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		accountConsume(t, other, rest.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		run := accountStart(b)
		synctest.Wait()
		require.NoError(t, b.PauseDelivery(t.Context(), "q"))
		accountSend(t, other, "x")
		synctest.Wait()
		assert.Equal(t, []string{"x"}, rest.bodies(), "other queues go on")
		require.NoError(t, b.ResumeDelivery(t.Context(), "q"))
		synctest.Wait()
		accountSend(t, q, "a")
		synctest.Wait()
		assert.Equal(t, []string{"a"}, sink.bodies())
		require.NoError(t, run.stop())
	})
}
