package inproq_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

func TestBatchThatIsFullLeavesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{MaxBatchSize: 3, MaxBatchTimeout: time.Minute}, nil)
		for i := range 3 {
			consumePass(time.Second)
			require.Empty(t, r.all())
			r.send(strconv.Itoa(i))
		}
		synctest.Wait()
		assert.Equal(t, []consumeBatch{{3 * time.Second, "0 1 2"}}, r.groups())
	})
}

// The timeout counts from the first message; others do not put it off.
func TestBatchTimeoutCountsFromTheFirstMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{}, nil) // 10 messages or 5 seconds
		time.Sleep(time.Hour)
		r.send("a")
		consumePass(3 * time.Second)
		r.send("b")
		consumePass(2*time.Second - 1)
		require.Empty(t, r.all())
		consumePass(1)
		assert.Equal(t, []consumeBatch{{time.Hour + 5*time.Second, "a b"}}, r.groups())
	})
}

// What a full batch leaves behind waits for a timeout of its own, unless it fills
// a batch.
func TestBatchLeftovers(t *testing.T) {
	for n, want := range map[int][]consumeBatch{
		5:  {{0, "1 2 3 4 5"}},
		7:  {{0, "1 2 3 4 5"}, {time.Second, "6 7"}},
		10: {{0, "1 2 3 4 5"}, {0, "6 7 8 9 10"}},
		12: {{0, "1 2 3 4 5"}, {0, "6 7 8 9 10"}, {time.Second, "11 12"}},
	} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var bodies []string
				for i := range n {
					bodies = append(bodies, strconv.Itoa(i+1))
				}
				r := consumeRun(t, inproq.ConsumerConfig{MaxBatchSize: 5, MaxBatchTimeout: time.Second}, nil, bodies...)
				consumePass(time.Minute)
				assert.Equal(t, want, r.groups())
			})
		})
	}
}

// The timeout of leftovers begins when the batch before them has left, however
// long they were in the queue.
func TestBatchLeftoversStartAFreshTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{MaxBatchSize: 2, MaxBatchTimeout: 10 * time.Second}, nil, "a")
		consumePass(9 * time.Second)
		r.send("b", "c")
		consumePass(time.Minute)
		assert.Equal(t, []consumeBatch{{9 * time.Second, "a b"}, {19 * time.Second, "c"}}, r.groups())
	})
}

// A batch whose messages vanish while it fills is no batch.
func TestBatchIsNeverEmpty(t *testing.T) {
	for name, vanish := range map[string]func(*testing.T, *consumeRig){
		"purged":  func(t *testing.T, r *consumeRig) { require.NoError(t, r.broker.Purge(t.Context(), "jobs")) },
		"expired": func(*testing.T, *consumeRig) { consumePass(time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newConsumeRig(t, inproq.ConsumerConfig{MaxBatchTimeout: time.Minute}, nil)
				_, err := inproq.Declare[string](t.Context(), r.broker, "jobs", inproq.QueueConfig{MessageRetentionPeriod: time.Minute})
				require.NoError(t, err)
				queuetest.Start(t, r.broker)
				_, err = r.queue.Send(t.Context(), "a", inproq.Delay(30*time.Second))
				require.NoError(t, err)
				consumePass(40 * time.Second)
				vanish(t, r)
				consumePass(time.Hour)
				assert.Empty(t, r.groups())
				assert.Zero(t, r.stats().Batches)

				r.send("1", "2", "3", "4", "5", "6", "7", "8", "9", "10")
				synctest.Wait()
				assert.Len(t, r.groups(), 1, "the consumer goes on")
			})
		})
	}
}

func TestBatchNoWaitDeliversEachAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}, nil)
		want := []consumeBatch{}
		for i := range 5 {
			consumePass(time.Millisecond)
			r.send(strconv.Itoa(i))
			synctest.Wait()
			want = append(want, consumeBatch{time.Duration(i+1) * time.Millisecond, strconv.Itoa(i)})
		}
		assert.Equal(t, want, r.groups())
	})
}

// With one producer and one handler messages are delivered in their order.
func TestBatchOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{MaxBatchSize: 7, MaxConcurrency: 1, MaxBatchTimeout: time.Second},
			func(context.Context, *inproq.MessageBatch[string]) error {
				time.Sleep(time.Millisecond)
				return nil
			})
		var want, got []string
		for i := range 500 {
			want = append(want, strconv.Itoa(i))
			_, err := r.queue.Send(t.Context(), want[i])
			require.NoError(t, err)
			if i%50 == 0 {
				consumePass(time.Millisecond)
			}
		}
		consumePass(time.Minute)
		for _, d := range r.all() {
			got = append(got, d.Body)
		}
		assert.Equal(t, want, got)
	})
}

// A batch tells the name of its queue, and what remains there without it, whether
// it is ready or delayed.
func TestBatchMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newConsumeRig(t, inproq.ConsumerConfig{MaxBatchSize: 5, MaxBatchTimeout: time.Second},
			func(context.Context, *inproq.MessageBatch[string]) error {
				time.Sleep(10 * time.Second)
				return nil
			})
		first := time.Now()
		_, err := r.queue.Send(t.Context(), "delayed", inproq.Delay(time.Hour))
		require.NoError(t, err)
		consumePass(time.Second)
		second := time.Now()
		r.send("a", "b", "c", "d", "e", "f", "g")
		queuetest.Start(t, r.broker)
		consumePass(2 * time.Hour)

		quoted := int64(len(`"a"`))
		require.Len(t, r.batches, 3)
		for i, want := range []inproq.Metrics{
			{BacklogCount: 3, BacklogBytes: int64(len(`"delayed"`)) + 2*quoted, OldestMessageTimestamp: first},
			{BacklogCount: 1, BacklogBytes: int64(len(`"delayed"`)), OldestMessageTimestamp: first},
			{}, // the oldest is in the batch, and nothing else
		} {
			b := &r.batches[i]
			assert.Equal(t, "jobs", b.Queue)
			assert.Equal(t, want.BacklogCount, b.Metrics.BacklogCount, "batch %d", i)
			assert.Equal(t, want.BacklogBytes, b.Metrics.BacklogBytes, "batch %d", i)
			assert.True(t, want.OldestMessageTimestamp.Equal(b.Metrics.OldestMessageTimestamp), "batch %d: %v", i, b.Metrics.OldestMessageTimestamp)
		}
		assert.True(t, second.Equal(r.of("a")[0].Timestamp))
	})
}

// Handlers that are free do not tear a batch apart that fills.
func TestBatchIsNotSplitAmongIdleHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newConsumeRig(t, inproq.ConsumerConfig{MaxBatchSize: 5, MaxBatchTimeout: 5 * time.Second, MaxConcurrency: 10},
			func(context.Context, *inproq.MessageBatch[string]) error {
				time.Sleep(time.Second)
				return nil
			})
		for i := range 40 { // a load that lets the number of handlers grow
			r.send(fmt.Sprintf("%d-1", i), fmt.Sprintf("%d-2", i), fmt.Sprintf("%d-3", i), fmt.Sprintf("%d-4", i), fmt.Sprintf("%d-5", i))
		}
		queuetest.Start(t, r.broker)
		consumePass(time.Hour)
		require.Greater(t, r.stats().Limit, 1)
		before := len(r.groups())

		began := time.Since(r.began)
		for _, body := range []string{"a", "b", "c", "d", "e"} {
			r.send(body)
			consumePass(time.Second)
		}
		assert.Equal(t, []consumeBatch{{began + 4*time.Second, "a b c d e"}}, r.groups()[before:])
	})
}
