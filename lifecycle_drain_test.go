package inproq_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// The broker's own store dies with it, so all that is ready is delivered first:
// partial batches at once, and what handlers send on the way.
func TestShutdownDeliversChains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		const stages = 4
		queues, sinks := make([]*inproq.Queue[string], stages), make([]accountSink, stages)
		for i := range stages {
			queues[i] = accountDeclare(t, b, fmt.Sprintf("q%d", i), inproq.QueueConfig{})
			sinks[i].then = func(ctx context.Context, batch *inproq.MessageBatch[string]) error {
				for _, m := range batch.Messages {
					if i+1 < stages {
						if _, err := queues[i+1].Send(ctx, m.Body+"+"); err != nil {
							return err
						}
					}
					if i+1 == stages && len(m.Body) < 8 { // round again
						if _, err := queues[0].Send(ctx, m.Body+"+"); err != nil {
							return err
						}
					}
				}
				return nil
			}
			accountConsume(t, queues[i], sinks[i].handle, inproq.ConsumerConfig{MaxBatchTimeout: time.Minute})
		}
		run := accountStart(b)
		accountSend(t, queues[0], "a", "b", "c")
		synctest.Wait()
		began := time.Now()
		require.NoError(t, run.stop())
		assert.Zero(t, time.Since(began), "nothing waits for a full batch")
		assert.ElementsMatch(t, []string{"a+++", "b+++", "c+++", "a+++++++", "b+++++++", "c+++++++"}, sinks[stages-1].bodies())
		for i := range stages {
			assert.EqualValues(t, 6, b.Stats(fmt.Sprintf("q%d", i)).Acked)
		}
	})
}

// Retries without a delay are ready, so they are delivered, to the last attempt
// and to the consumer of the dead-letter queue.
func TestShutdownDeliversRetriesAndDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q, dead := accountDeclare(t, b, "q", inproq.QueueConfig{}), accountDeclare(t, b, "dead", inproq.QueueConfig{})
		sink, letters := accountSink{then: accountRetryAll}, accountSink{}
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{DeadLetterQueue: "dead"})
		accountConsume(t, dead, letters.handle, inproq.ConsumerConfig{})
		run := accountStart(b)
		accountSend(t, q, "x")
		require.NoError(t, run.stop())
		assert.Len(t, sink.bodies(), 4)
		assert.Equal(t, []string{"x"}, letters.bodies())
	})
}

// Sends work until the last handler has returned, and what they bring is
// delivered.
func TestShutdownTakesSendsWhileHandlersRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q, other := accountDeclare(t, b, "q", inproq.QueueConfig{}), accountDeclare(t, b, "other", inproq.QueueConfig{})
		gate, sink := accountGate(), accountSink{}
		accountConsume(t, q, gate.handle, inproq.ConsumerConfig{MaxBatchSize: 1})
		accountConsume(t, other, sink.handle, inproq.ConsumerConfig{})
		run := accountStart(b)
		accountSend(t, q, "running")
		synctest.Wait()
		run.cancel()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		accountSend(t, other, "late")
		_, err := q.Consume(gate.handle, inproq.ConsumerConfig{})
		assert.ErrorIs(t, err, inproq.ErrBrokerClosed, "no new consumer begins")
		close(gate.open)
		require.NoError(t, <-run.result)
		assert.Equal(t, []string{"late"}, sink.bodies())
		_, err = other.Send(t.Context(), "too late")
		assert.ErrorIs(t, err, inproq.ErrBrokerClosed)
		_, err = other.SendBatch(t.Context(), inproq.Bodies("too late"))
		assert.ErrorIs(t, err, inproq.ErrBrokerClosed)
		_, err = other.Consume(sink.handle, inproq.ConsumerConfig{})
		assert.ErrorIs(t, err, inproq.ErrBrokerClosed)
	})
}

// Every message whose send was accepted is delivered, however close to the end.
func TestShutdownLosesNoAcceptedSend(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			b := accountBroker(t, inproq.Config{})
			q := accountDeclare(t, b, "q", inproq.QueueConfig{})
			var sink accountSink
			accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchSize: 7})
			run := accountStart(b)
			var senders sync.WaitGroup
			var mu sync.Mutex
			var accepted []string
			for i := range 4 {
				senders.Go(func() {
					for j := range 200 {
						body := fmt.Sprint(i, "-", j)
						if _, err := q.Send(context.Background(), body); err != nil {
							assert.ErrorIs(t, err, inproq.ErrBrokerClosed)
							return
						}
						mu.Lock()
						accepted = append(accepted, body)
						mu.Unlock()
					}
				})
			}
			require.NoError(t, run.stop())
			senders.Wait()
			assert.Subset(t, sink.bodies(), accepted) // a send that fails in the last moment may be delivered
		})
	}
}

// Delayed and paused messages, and those without a consumer, are not awaited;
// the log says how many went with the store.
func TestShutdownDiscardsWhatIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log accountLog
		b := accountBroker(t, inproq.Config{Logger: log.logger()})
		q, paused, lonely := accountDeclare(t, b, "q", inproq.QueueConfig{}), accountDeclare(t, b, "paused", inproq.QueueConfig{}), accountDeclare(t, b, "lonely", inproq.QueueConfig{})
		var sink accountSink
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{})
		accountConsume(t, paused, sink.handle, inproq.ConsumerConfig{})
		run := accountStart(b)
		synctest.Wait()
		require.NoError(t, b.PauseDelivery(t.Context(), "paused"))
		accountSend(t, q, "ready")
		_, err := q.Send(t.Context(), "delayed", inproq.Delay(time.Second))
		require.NoError(t, err)
		accountSend(t, paused, "a", "b")
		accountSend(t, lonely, "c", "d", "e")
		began := time.Now()
		require.NoError(t, run.stop())
		assert.Zero(t, time.Since(began))
		assert.Equal(t, []string{"ready"}, sink.bodies())
		const warning = `level=WARN msg="messages discarded with the store in memory"`
		for _, line := range []string{" queue=q messages=1 delayed=1", " queue=paused messages=2 delayed=0", " queue=lonely messages=3 delayed=0"} {
			assert.Contains(t, log.String(), warning+line)
		}
	})
}

// With a store that was passed in, what runs finishes and the rest stays there,
// with its attempts; the store is not closed.
func TestShutdownLeavesTheRestInPassedStore(t *testing.T) {
	for name, wrap := range accountStores {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := wrap(accountStore(t))
				b := accountBroker(t, inproq.Config{Store: st})
				q, filling := accountDeclare(t, b, "q", inproq.QueueConfig{}), accountDeclare(t, b, "filling", inproq.QueueConfig{})
				gate, sink := accountGate(), accountSink{}
				accountConsume(t, q, gate.handle, inproq.ConsumerConfig{MaxBatchSize: 1, MaxConcurrency: 1})
				accountConsume(t, filling, sink.handle, inproq.ConsumerConfig{})
				run := accountStart(b)
				accountSend(t, q, "running", "a", "b")
				accountSend(t, filling, "c", "d")
				_, err := filling.Send(t.Context(), "delayed", inproq.Delay(time.Hour))
				require.NoError(t, err)
				synctest.Wait()
				run.cancel()
				synctest.Wait()
				close(gate.open)
				require.NoError(t, <-run.result)
				assert.Equal(t, []string{"running"}, gate.bodies())
				assert.Empty(t, sink.bodies())

				next := accountBroker(t, inproq.Config{Store: st})
				var rest accountSink
				for _, name := range []string{"q", "filling"} {
					q, err := inproq.Bind[string](t.Context(), next, name)
					require.NoError(t, err)
					accountConsume(t, q, rest.handle, inproq.ConsumerConfig{})
				}
				run = accountStart(next)
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				assert.ElementsMatch(t, []string{"a", "b", "c", "d", "delayed"}, rest.bodies())
				for _, d := range rest.deliveries() {
					assert.Equal(t, 1, d.Attempts, d.Body)
				}
				require.NoError(t, run.stop())
			})
		})
	}
}
