package queuetest_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// drained returns how long a Drain takes.
func drained(t *testing.T, b *inproq.Broker) time.Duration {
	t.Helper()
	began := time.Now()
	queuetest.Drain(t, b)
	return time.Since(began)
}

func TestDrainOfNothing(t *testing.T) {
	b, _ := newQueue(t, inproq.Config{})
	assert.Less(t, drained(t, b), time.Minute, "a broker without handlers")
	synctest.Test(t, func(t *testing.T) {
		b, q := newQueue(t, inproq.Config{})
		_, err := q.Consume(refuse(""), inproq.ConsumerConfig{})
		require.NoError(t, err)
		assert.Zero(t, drained(t, b), "one that does not run yet")
		queuetest.Start(t, b)
		assert.Zero(t, drained(t, b), "one whose queue is empty")
	})
}

// Time passes as far as it has to, and no further.
func TestDrainPassesTime(t *testing.T) {
	tests := map[string]struct {
		cfg    inproq.ConsumerConfig
		handle inproq.Handler[string]
		delay  time.Duration
		want   time.Duration
	}{
		"the batch timeout":  {inproq.ConsumerConfig{}, refuse(""), 0, 5 * time.Second},
		"a delay":            {inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}, refuse(""), 12 * time.Hour, 12 * time.Hour},
		"retries":            {inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait, RetryDelay: 7 * time.Hour}, refuse("a"), 0, 21 * time.Hour},
		"a handler's work":   {inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}, busy(90*time.Second + 1), 0, 90*time.Second + 1},
		"what is left in Go": {inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}, later(10*time.Minute + 1), 0, 10*time.Minute + 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, q := newQueue(t, inproq.Config{Logger: quiet()})
				_, err := q.Consume(test.handle, test.cfg)
				require.NoError(t, err)
				queuetest.Start(t, b)
				_, err = q.Send(t.Context(), "a", inproq.Delay(test.delay))
				require.NoError(t, err)
				assert.Equal(t, test.want, drained(t, b))
				st := b.Stats("q")
				assert.EqualValues(t, 1, st.Acked+st.Dropped)
			})
		})
	}
}

// busy is a handler that takes its time.
func busy(d time.Duration) inproq.Handler[string] {
	return func(context.Context, *inproq.MessageBatch[string]) error { time.Sleep(d); return nil }
}

// later is one that leaves its work to a function.
func later(d time.Duration) inproq.Handler[string] {
	return func(_ context.Context, b *inproq.MessageBatch[string]) error {
		b.Go(func(context.Context) error { time.Sleep(d); return nil })
		return nil
	}
}

// A batch that ran before anybody listened tells nothing when it ends.
func TestDrainNoticesTheEndOfBatchesThatRan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, q := newQueue(t, inproq.Config{})
		_, err := q.Consume(busy(90*time.Second+1), inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		require.NoError(t, err)
		queuetest.Start(t, b)
		send(t, q, "a")
		time.Sleep(time.Second)
		assert.Equal(t, 89*time.Second+1, drained(t, b))
	})
}

// Handlers may send to queues that were empty when they were looked at.
func TestDrainFollowsMessagesFromQueueToQueue(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			b, err := inproq.NewBroker(inproq.Config{Logger: quiet()})
			require.NoError(t, err)
			names := []string{"c", "a", "b"} // not in the order of names
			var queues []*inproq.Queue[int]
			for _, name := range names {
				q, err := inproq.Declare[int](t.Context(), b, name, inproq.QueueConfig{})
				require.NoError(t, err)
				queues = append(queues, q)
			}
			var done atomic.Int64
			for i, q := range queues {
				next := queues[(i+1)%len(queues)]
				_, err := q.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[int]) error {
					done.Add(1)
					if m.Body == 0 {
						return nil
					}
					_, err := next.Send(ctx, m.Body-1)
					return err
				}), inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
				require.NoError(t, err)
			}
			queuetest.Start(t, b)
			_, err = queues[0].Send(t.Context(), 100)
			require.NoError(t, err)
			queuetest.Drain(t, b)
			assert.EqualValues(t, 101, done.Load())
		})
	}
}

// The dead letters of a queue are worked off too, if they have a handler.
func TestDrainFollowsDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, q := newQueue(t, inproq.Config{Logger: quiet()})
		dead, err := inproq.Declare[string](t.Context(), b, "dead", inproq.QueueConfig{})
		require.NoError(t, err)
		o := queuetest.Observe(t, dead)
		_, err = q.Consume(refuse("a"), inproq.ConsumerConfig{DeadLetterQueue: "dead"})
		require.NoError(t, err)
		_, err = dead.Consume(refuse(""), inproq.ConsumerConfig{})
		require.NoError(t, err)
		queuetest.Start(t, b)
		send(t, q, "a")
		queuetest.Drain(t, b)
		queuetest.AssertAcked(t, o, "a")
	})
}

func TestDrainLeavesWhatNothingHereMoves(t *testing.T) {
	tests := map[string]func(t *testing.T, b *inproq.Broker, q *inproq.Queue[string]){
		"without a handler": func(*testing.T, *inproq.Broker, *inproq.Queue[string]) {},
		"with a pull consumer": func(t *testing.T, _ *inproq.Broker, q *inproq.Queue[string]) {
			p, err := q.PullConsumer(inproq.PullConfig{})
			require.NoError(t, err)
			_, err = p.Pull(t.Context())
			require.NoError(t, err)
		},
		"with a handler elsewhere": func(t *testing.T, b *inproq.Broker, _ *inproq.Queue[string]) {
			_, err := b.AttachConsumer(t.Context(), "q", inproq.ConsumerSpec{Kind: inproq.Worker, Script: "elsewhere"})
			require.NoError(t, err)
			require.NoError(t, inproq.Handle(b, "here", refuse("")))
		},
		"paused": func(t *testing.T, b *inproq.Broker, q *inproq.Queue[string]) {
			_, err := q.Consume(refuse(""), inproq.ConsumerConfig{})
			require.NoError(t, err)
			require.NoError(t, b.PauseDelivery(t.Context(), "q"))
		},
	}
	for name, prepare := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, q := newQueue(t, inproq.Config{Logger: quiet()})
				send(t, q, "stays")
				prepare(t, b, q)
				queuetest.Start(t, b)
				assert.Zero(t, drained(t, b))
				bl, err := b.Backlog(t.Context(), "q")
				require.NoError(t, err)
				assert.EqualValues(t, 1, bl.Ready+bl.Leased)
			})
		})
	}
}

// A handler that had its batch before the pause is waited for.
func TestDrainWaitsForHandlersOfAPausedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, q := newQueue(t, inproq.Config{})
		_, err := q.Consume(busy(time.Hour), inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		require.NoError(t, err)
		queuetest.Start(t, b)
		send(t, q, "a")
		synctest.Wait()
		require.NoError(t, b.PauseDelivery(t.Context(), "q"))
		send(t, q, "stays")
		assert.Equal(t, time.Hour, drained(t, b))
	})
}

// Run may not have begun, nor bound the handlers by their names.
func TestDrainRightAfterStart(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			b, q := newQueue(t, inproq.Config{})
			require.NoError(t, inproq.Handle(b, "q", refuse("")))
			_, err := b.AttachConsumer(t.Context(), "q", inproq.ConsumerSpec{Kind: inproq.Worker})
			require.NoError(t, err)
			send(t, q, "a")
			queuetest.Start(t, b)
			queuetest.Drain(t, b)
			assert.EqualValues(t, 1, b.Stats("q").Acked)
		})
	}
}

func TestDrainNoticesWhatIsNotTold(t *testing.T) {
	t.Run("the end of a retention", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, err := inproq.NewBroker(inproq.Config{Limits: inproq.Limits{MaxDelay: 24 * time.Hour}})
			require.NoError(t, err)
			q, err := inproq.Declare[string](t.Context(), b, "q", inproq.QueueConfig{MessageRetentionPeriod: time.Hour})
			require.NoError(t, err)
			_, err = q.Consume(refuse(""), inproq.ConsumerConfig{})
			require.NoError(t, err)
			queuetest.Start(t, b)
			_, err = q.Send(t.Context(), "a", inproq.Delay(24*time.Hour))
			require.NoError(t, err)
			assert.InDelta(t, time.Hour, drained(t, b), float64(time.Minute))
		})
	})
	t.Run("the queue is deleted", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, q := newQueue(t, inproq.Config{Logger: quiet()})
			_, err := q.Consume(refuse(""), inproq.ConsumerConfig{})
			require.NoError(t, err)
			queuetest.Start(t, b)
			_, err = q.Send(t.Context(), "a", inproq.Delay(time.Hour))
			require.NoError(t, err)
			defer time.AfterFunc(time.Minute, func() { assert.NoError(t, b.DeleteQueue(context.Background(), "q")) }).Stop()
			assert.Equal(t, time.Minute, drained(t, b))
		})
	})
}

// Without a bubble time is real, and ends with the test's.
func TestDrainWithoutABubble(t *testing.T) {
	b, q := newQueue(t, inproq.Config{Logger: quiet()})
	o := queuetest.Observe(t, q)
	_, err := q.Consume(refuse(""), inproq.ConsumerConfig{MaxBatchTimeout: 10 * time.Millisecond})
	require.NoError(t, err)
	queuetest.Start(t, b)
	for range 20 {
		send(t, q, "a", "b")
		queuetest.Drain(t, b)
	}
	assert.Len(t, o.Acked(), 40, "all that was done is told")

	_, err = q.Send(t.Context(), "late", inproq.Delay(time.Hour))
	require.NoError(t, err)
	f := &hurriedT{fakeT: fakeT{TB: t}}
	began := time.Now()
	f.run(func() { queuetest.Drain(f, b) })
	require.Len(t, f.errors, 1)
	assert.Contains(t, f.errors[0], "q      0      1        0       0\n")
	assert.Less(t, time.Since(began), 10*time.Minute)
}

// hurriedT is a test that is about to reach its deadline.
type hurriedT struct{ fakeT }

func (*hurriedT) Deadline() (time.Time, bool) { return time.Now().Add(1050 * time.Millisecond), true }

// What handlers have done is told when Drain returns, whatever they do.
func TestDrainReturnsWhenAllIsTold(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			b, q := newQueue(t, inproq.Config{Logger: quiet()})
			o := queuetest.Observe(t, q)
			_, err := q.Consume(func(_ context.Context, batch *inproq.MessageBatch[string]) error {
				if batch.Messages[0].Attempts == 1 {
					return errors.New("try again")
				}
				return nil
			}, inproq.ConsumerConfig{MaxBatchSize: 100})
			require.NoError(t, err)
			queuetest.Start(t, b)
			bodies := make([]string, 100)
			send(t, q, bodies...)
			queuetest.Drain(t, b)
			queuetest.AssertAcked(t, o, bodies...)
			queuetest.AssertRetried(t, o, bodies...)
		})
	}
}
