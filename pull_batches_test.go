package inproq_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// A loop waits for messages, for as long as it takes, and does nothing meanwhile.
func TestBatchesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{MaxBatchSize: 2})
		ctx, cancel := context.WithCancel(t.Context())
		l := pullStart(ctx, c, pullAckAll)
		began := time.Now()
		consumePass(24 * time.Hour)
		assert.Empty(t, l.turns())
		r.send("a", "b", "c")
		synctest.Wait()
		consumePass(time.Hour)
		_, err := r.queue.Send(ctx, "d", inproq.Delay(time.Hour))
		require.NoError(t, err)
		consumePass(2 * time.Hour)
		assert.Equal(t, []pullTurn{
			{began.Add(24 * time.Hour), []string{"a", "b"}},
			{began.Add(24 * time.Hour), []string{"c"}},
			{began.Add(26 * time.Hour), []string{"d"}},
		}, l.turns())
		assert.EqualValues(t, 4, r.stats().Acked)
		assert.EqualValues(t, 3, r.stats().Pulls)
		assert.Zero(t, r.stats().EmptyPulls)
		assert.False(t, l.over())
		cancel()
		l.wg.Wait()
		assert.Empty(t, l.failures())
	})
}

func TestBatchesWaitThroughAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{})
		require.NoError(t, r.broker.PauseDelivery(t.Context(), "jobs"))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		l := pullStart(ctx, c, pullAckAll)
		r.send("a")
		consumePass(time.Hour)
		assert.Empty(t, l.turns())
		require.NoError(t, r.broker.ResumeDelivery(t.Context(), "jobs"))
		synctest.Wait()
		assert.Equal(t, []string{"a"}, l.bodies())
		cancel()
		l.wg.Wait()
		assert.Empty(t, l.failures())
	})
}

// A turn settles what is decided, also the last one; what is not stays leased.
func TestBatchesSettleEachTurn(t *testing.T) {
	for name, last := range map[string]bool{"and go on": false, "and break": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newPullRig(t, inproq.Config{})
				c := r.consumer(inproq.PullConfig{MaxBatchSize: 3})
				r.send("acked", "retried", "undecided", "rest")
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				turn := 0
				l := pullStart(ctx, c, func(b *inproq.PulledBatch[string]) bool {
					if turn++; turn > 1 {
						return pullAckAll(b)
					}
					b.Messages[0].Ack()
					b.Messages[1].Retry(inproq.Delay(time.Hour))
					return !last
				})
				synctest.Wait()
				st := r.stats()
				if last {
					assert.True(t, l.over())
					assert.Equal(t, []uint64{1, 1}, []uint64{st.Acked, st.Retried})
					assert.Equal(t, []int64{1, 1, 1}, []int64{r.backlog().Ready, r.backlog().Delayed, r.backlog().Leased})
					return
				}
				assert.Equal(t, []uint64{2, 1}, []uint64{st.Acked, st.Retried})
				consumePass(30 * time.Second)
				assert.Equal(t, []string{"acked", "retried", "undecided", "rest", "undecided"}, l.bodies())
				cancel()
				l.wg.Wait()
			})
		})
	}
}

// A loop that a panic leaves settles nothing, and does not keep a shutdown.
func TestBatchesSettleNothingOnAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{})
		r.send("a")
		assert.PanicsWithValue(t, errConsume, func() {
			for batch, err := range c.Batches(t.Context()) {
				require.NoError(t, err)
				batch.AckAll()
				panic(errConsume)
			}
		})
		assert.EqualValues(t, 1, r.backlog().Leased)
		assert.Zero(t, r.stats().Acked)
		began := time.Now()
		require.NoError(t, r.broker.Shutdown(t.Context()))
		assert.Zero(t, time.Since(began))
	})
}

// A loop ends with its context, with Stop and with a shutdown, whether it waits or has
// a turn, whose decisions count.
func TestBatchesEnd(t *testing.T) {
	for name, end := range map[string]func(context.CancelFunc, *pullRig, *inproq.PullConsumer[string]) error{
		"its context": func(cancel context.CancelFunc, _ *pullRig, _ *inproq.PullConsumer[string]) error {
			cancel()
			return nil
		},
		"Stop": func(_ context.CancelFunc, _ *pullRig, c *inproq.PullConsumer[string]) error {
			return c.Stop(context.Background())
		},
		"Shutdown": func(_ context.CancelFunc, r *pullRig, _ *inproq.PullConsumer[string]) error {
			return r.broker.Shutdown(context.Background())
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := accountStore(t)
				r := newPullRig(t, inproq.Config{Store: st})
				queuetest.Start(t, r.broker)
				synctest.Wait()
				c := r.consumer(inproq.PullConfig{MaxBatchSize: 1})
				r.send("a", "b", "c")
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				waits := pullStart(ctx, c, func(b *inproq.PulledBatch[string]) bool {
					b.AckAll()
					time.Sleep(10 * time.Second)
					return true
				})
				consumePass(5 * time.Second)
				require.NoError(t, end(cancel, r, c))
				waits.wg.Wait()
				assert.Equal(t, []string{"a"}, waits.bodies())
				assert.Empty(t, waits.failures())
				other := newPullRig(t, inproq.Config{Store: st})
				m, err := other.broker.Backlog(t.Context(), "jobs")
				require.NoError(t, err)
				assert.Equal(t, []int64{2, 0}, []int64{m.Ready, m.Leased}, "the turn is settled, and nothing is taken after it")
				peeked, err := other.broker.Peek(t.Context(), "jobs", 9)
				require.NoError(t, err)
				assert.Zero(t, peeked[0].Attempts+peeked[1].Attempts)
				assert.EqualValues(t, 1, r.stats().Pulls)

				for _, err := range c.Batches(ctx) {
					t.Error("what has ended stays so", err)
				}
			})
		})
	}
}

// A loop that waits ends at once.
func TestBatchesEndWhileTheyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		queuetest.Start(t, r.broker)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		a, b := r.consumer(inproq.PullConfig{}), r.consumer(inproq.PullConfig{})
		first, second, third := pullStart(ctx, a, pullAckAll), pullStart(t.Context(), a, pullAckAll), pullStart(t.Context(), b, pullAckAll)
		synctest.Wait()
		cancel()
		synctest.Wait()
		assert.Equal(t, []bool{true, false, false}, []bool{first.over(), second.over(), third.over()})
		require.NoError(t, b.Stop(t.Context()))
		synctest.Wait()
		assert.Equal(t, []bool{true, true}, []bool{second.over(), third.over()}, "the record is gone for both")
		assert.Empty(t, third.failures(), "it was stopped itself")
		require.Len(t, second.failures(), 1)
		assert.ErrorIs(t, second.failures()[0], inproq.ErrNotPullConsumer)
	})
}

// Settings that change while a loop waits hold for its next batch.
func TestBatchesByNewSettings(t *testing.T) {
	for name, shared := range map[string]bool{"here": false, "in another broker": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := accountStore(t)
				r := newPullRig(t, inproq.Config{Store: st})
				queuetest.Start(t, r.broker)
				operator := r.broker
				if shared {
					operator = newPullRig(t, inproq.Config{Store: st}).broker
				}
				c := r.consumer(inproq.PullConfig{MaxBatchSize: 1})
				ctx, cancel := context.WithCancel(t.Context())
				l := pullStart(ctx, c, func(b *inproq.PulledBatch[string]) bool {
					b.RetryAll()
					return true
				})
				synctest.Wait()
				_, err := operator.UpdateConsumer(t.Context(), "jobs", inproq.ConsumerUpdate{
					MaxBatchSize: new(2), MaxRetries: new(1), RetryDelay: new(time.Minute), DeadLetterQueue: new("dead"),
				})
				require.NoError(t, err)
				synctest.Wait()
				began := time.Now()
				r.send("a", "b")
				consumePass(time.Hour)
				assert.Equal(t, []pullTurn{{began, []string{"a", "b"}}, {began.Add(time.Minute), []string{"a", "b"}}}, l.turns())
				assert.Equal(t, 2, sendBacklog(t, r.broker, "dead"))
				cancel()
				l.wg.Wait()
				assert.Empty(t, l.failures())
			})
		})
	}
}

// A queue that is pulled from no more, or that is gone, ends its loops with the
// reason.
func TestBatchesOfAQueueThatIsNotPulledAnyMore(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*pullRig) error
		want   error
	}{
		"removed": {func(r *pullRig) error { return r.broker.RemoveConsumer(context.Background(), "jobs") }, inproq.ErrNotPullConsumer},
		"pushed": {func(r *pullRig) error {
			if err := r.broker.RemoveConsumer(context.Background(), "jobs"); err != nil {
				return err
			}
			_, err := r.queue.Consume(pullHandler, inproq.ConsumerConfig{})
			return err
		}, inproq.ErrNotPullConsumer},
		"deleted": {func(r *pullRig) error { return r.broker.DeleteQueue(context.Background(), "jobs") }, inproq.ErrQueueNotFound},
	} {
		for _, busy := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newPullRig(t, inproq.Config{})
					queuetest.Start(t, r.broker)
					synctest.Wait()
					p := r.consumer(inproq.PullConfig{})
					l := pullStart(t.Context(), p, func(b *inproq.PulledBatch[string]) bool {
						time.Sleep(time.Second)
						return true
					})
					if busy {
						r.send("a")
					}
					synctest.Wait()
					require.NoError(t, c.change(r))
					l.wg.Wait()
					require.Len(t, l.failures(), 1)
					assert.ErrorIs(t, l.failures()[0], c.want)
				})
			})
		}
	}
}

// The consumer may be removed and attached anew: a loop goes on.
func TestBatchesOfAConsumerThatCameBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		c := r.consumer(inproq.PullConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		l := pullStart(ctx, c, func(b *inproq.PulledBatch[string]) bool {
			b.AckAll()
			time.Sleep(time.Second)
			return true
		})
		r.send("a")
		synctest.Wait()
		require.NoError(t, r.broker.RemoveConsumer(t.Context(), "jobs"))
		_, err := r.broker.AttachConsumer(t.Context(), "jobs", inproq.ConsumerSpec{Kind: inproq.HTTPPull})
		require.NoError(t, err)
		r.send("b")
		consumePass(time.Minute)
		assert.Equal(t, []string{"a", "b"}, l.bodies())
		assert.Empty(t, l.failures())
		cancel()
		l.wg.Wait()
	})
}

// Loops that wait do not cost a goroutine of ours each, and idle consumers none.
func TestPullConsumersHaveNoGoroutine(t *testing.T) {
	r := newPullRig(t, inproq.Config{})
	before := accountGoroutines()
	for range 100 {
		c := r.consumer(inproq.PullConfig{})
		pullNone(t, c, "")
	}
	assert.Equal(t, before, accountGoroutines())
}
