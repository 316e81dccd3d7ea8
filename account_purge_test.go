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

// A purge deletes what no handler has seen, also a batch that is filling.
func TestPurgeDeletesReadyDelayedAndFilling(t *testing.T) {
	for name, wrap := range accountStores {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := accountBroker(t, inproq.Config{Store: wrap(accountStore(t))})
				q := accountDeclare(t, b, "q", inproq.QueueConfig{})
				var sink accountSink
				accountConsume(t, q, sink.handle, inproq.ConsumerConfig{})
				run := accountStart(b)
				accountSend(t, q, "filling", "too")
				_, err := q.Send(t.Context(), "delayed", inproq.Delay(time.Hour))
				require.NoError(t, err)
				time.Sleep(3 * time.Second)

				require.NoError(t, b.Purge(t.Context(), "q"))
				m, err := q.Metrics(t.Context())
				require.NoError(t, err)
				assert.Equal(t, inproq.Metrics{}, m)
				accountSend(t, q, "sent after")
				time.Sleep(5*time.Second - 1)
				synctest.Wait()
				assert.Empty(t, sink.bodies(), "a batch begins anew")
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				assert.Equal(t, []string{"sent after"}, sink.bodies())

				s := b.Stats("q")
				assert.EqualValues(t, 4, s.Sent)
				assert.EqualValues(t, 1, s.Delivered)
				assert.EqualValues(t, 1, s.Acked)
				assert.Zero(t, s.Expired+s.Dropped+s.LeasesLost)
				require.NoError(t, run.stop())
			})
		})
	}
}

// Messages with a handler are not in the queue: they finish, and one that is
// retried comes back.
func TestPurgeLeavesWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		gate := accountGate()
		gate.then = func(_ context.Context, batch *inproq.MessageBatch[string]) error {
			for _, m := range batch.Messages {
				if m.Attempts == 1 && m.Body == "again" {
					m.Retry(inproq.Delay(time.Minute))
				}
			}
			return nil
		}
		accountConsume(t, q, gate.handle, inproq.ConsumerConfig{MaxBatchSize: 2, MaxConcurrency: 1, MaxBatchTimeout: inproq.NoWait})
		require.NoError(t, b.PauseDelivery(t.Context(), "q"))
		accountSend(t, q, "done", "again", "purged")
		run := accountStart(b)
		synctest.Wait()
		require.NoError(t, b.ResumeDelivery(t.Context(), "q"))
		synctest.Wait()
		require.Equal(t, []string{"done", "again"}, gate.bodies())

		require.NoError(t, b.Purge(t.Context(), "q"))
		bl, err := b.Backlog(t.Context(), "q")
		require.NoError(t, err)
		assert.EqualValues(t, 2, bl.Leased)
		assert.Zero(t, bl.Ready)
		close(gate.open)
		time.Sleep(time.Minute)
		synctest.Wait()
		got := gate.deliveries()
		require.Len(t, got, 3)
		assert.Equal(t, accountDelivery{"again", 2, time.Now()}, got[2])
		s := b.Stats("q")
		assert.EqualValues(t, 2, s.Acked)
		assert.EqualValues(t, 1, s.Retried)
		assert.Zero(t, s.LeasesLost)
		assert.Zero(t, accountCount(t, b, "q"))
		require.NoError(t, run.stop())
	})
}

// A message that waits for its next delivery is in the queue again, and goes.
func TestPurgeDeletesRetried(t *testing.T) {
	for name, delay := range map[string]time.Duration{"ready": 0, "delayed": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := accountBroker(t, inproq.Config{})
				q := accountDeclare(t, b, "q", inproq.QueueConfig{})
				gate := accountGate()
				gate.then = func(_ context.Context, batch *inproq.MessageBatch[string]) error {
					batch.RetryAll(inproq.Delay(delay))
					return nil
				}
				accountConsume(t, q, gate.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
				run := accountStart(b)
				accountSend(t, q, "a")
				synctest.Wait()
				require.NoError(t, b.PauseDelivery(t.Context(), "q"))
				close(gate.open)
				synctest.Wait()
				require.Equal(t, 1, accountCount(t, b, "q"))
				require.NoError(t, b.Purge(t.Context(), "q"))
				assert.Zero(t, accountCount(t, b, "q"))
				require.NoError(t, b.ResumeDelivery(t.Context(), "q"))
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				assert.Len(t, gate.bodies(), 1)
				require.NoError(t, run.stop())
			})
		})
	}
}

// A purge neither pauses nor resumes, and leaves other queues alone.
func TestPurgeTouchesNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q, other := accountDeclare(t, b, "q", inproq.QueueConfig{}), accountDeclare(t, b, "other", inproq.QueueConfig{})
		accountSend(t, q, "a", "b")
		accountSend(t, other, "kept")
		require.NoError(t, b.PauseDelivery(t.Context(), "q"))
		before, err := b.Queue(t.Context(), "q")
		require.NoError(t, err)
		require.NoError(t, b.Purge(t.Context(), "q"))
		require.NoError(t, b.Purge(t.Context(), "q"), "an empty queue may be purged")
		after, err := b.Queue(t.Context(), "q")
		require.NoError(t, err)
		assert.Equal(t, before, after)
		assert.Zero(t, accountCount(t, b, "q"))
		assert.Equal(t, 1, accountCount(t, b, "other"))
	})
}
