package inproq_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/internal/invariant"
	"github.com/inproq/inproq/queuetest"
)

// Each reader gets what it has asked for, from when it has asked.
func TestEventsReadersAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		eventsConsume(t, b, "q", eventsAccept, inproq.ConsumerConfig{})
		queuetest.Start(t, b)
		synctest.Wait()
		consumersSend(t, b, "q", "before")
		synctest.Wait()
		all, again, sent, none, lost := eventsOf(t, b), eventsOf(t, b), eventsOf(t, b, inproq.EventSent),
			eventsOf(t, b, "nonsense"), eventsOf(t, b, inproq.EventLost)
		two := eventsOf(t, b, inproq.EventAcked, inproq.EventSent)
		consumersSend(t, b, "q", "a")
		want := []inproq.EventKind{inproq.EventSent, inproq.EventDelivered, inproq.EventAcked}
		synctest.Wait()
		assert.ElementsMatch(t, want, all.kinds())
		assert.ElementsMatch(t, want, again.kinds())
		assert.Equal(t, want[:1], sent.kinds())
		assert.ElementsMatch(t, []inproq.EventKind{inproq.EventSent, inproq.EventAcked}, two.kinds())
		assert.Empty(t, none.kinds())
		assert.Empty(t, lost.kinds())
	})
}

// eventsCreate makes events: one for each queue.
func eventsCreate(t *testing.T, b *inproq.Broker, prefix string, n int) {
	t.Helper()
	for i := range n {
		consumersCreate(t, b, fmt.Sprint(prefix, i))
	}
}

// A reader that is too slow learns how much it has missed, where it has.
func TestEventsSlowReader(t *testing.T) {
	for name, late := range map[string]int{"none": 0, "one": 1, "many": 904} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := consumersBroker(t, inproq.Config{})
				q, err := inproq.Bind[string](t.Context(), b, "q")
				require.NoError(t, err)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				events := b.Events(ctx, inproq.EventSent)
				var ids []inproq.MessageID
				send := func(n int) {
					for range n {
						res, err := q.Send(t.Context(), "x")
						require.NoError(t, err)
						ids = append(ids, res.ID)
					}
				}
				send(4096 + late)
				time.Sleep(time.Second)
				read, rest := 0, 0
				for e := range events {
					switch {
					case read < 4096:
						require.Equal(t, inproq.EventSent, e.Kind)
						require.Equal(t, ids[read], e.Message)
					case read == 4096 && late > 0:
						require.Equal(t, inproq.Event{Kind: inproq.EventLost, Time: time.Now(), Count: int64(late)}, e)
					default:
						require.Equal(t, inproq.EventSent, e.Kind)
						require.Equal(t, ids[4096+late+rest], e.Message)
						rest++
					}
					read++
					if read == 4096 {
						send(10) // behind the gap
					}
					if rest == 10 {
						break
					}
				}
				assert.Equal(t, 10, rest)
			})
		})
	}
}

// A reader ends with its context, also in the middle of what it has fetched, and when it
// is left; then it costs nothing.
func TestEventsReaderEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		events := b.Events(ctx)
		eventsCreate(t, b, "a", 10)
		n := 0
		for range events {
			if n++; n == 3 {
				cancel()
			}
		}
		assert.Equal(t, 3, n)
		for range events {
			t.Error("it is over")
		}

		for range b.Events(ctx) {
			t.Error("it was over when it began")
		}

		events = b.Events(t.Context())
		eventsCreate(t, b, "b", 10)
		for e := range events {
			assert.Equal(t, "b0", e.Queue)
			break
		}
		for range events {
			t.Error("it can be used once")
		}
	})
}

// A reader that waits ends when its context does.
func TestEventsReaderThatWaitsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := time.Now()
		for range b.Events(ctx) {
			t.Error("nothing has happened")
		}
		assert.Equal(t, time.Hour, time.Since(began))
	})
}

// A panic in the loop's body lets the reader go.
func TestEventsReaderThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		events := b.Events(t.Context())
		eventsCreate(t, b, "a", 2)
		assert.Panics(t, func() {
			for range events {
				panic("no")
			}
		})
		for range events {
			t.Error("it can be used once")
		}
	})
}

// A shutdown ends all readers, after the last that has happened; later ones get nothing.
func TestEventsEndWithTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		eventsConsume(t, b, "q", func(context.Context, *inproq.MessageBatch[string]) error {
			time.Sleep(time.Second)
			return nil
		}, inproq.ConsumerConfig{MaxBatchSize: 1, MaxConcurrency: 1})
		run := accountStart(b)
		synctest.Wait()
		r := eventsOf(t, b, inproq.EventAcked)
		unread := b.Events(t.Context(), inproq.EventAcked)
		ids := consumersSend(t, b, "q", "a", "b", "c")
		require.NoError(t, run.stop())
		assert.True(t, r.over())
		var acked []inproq.MessageID
		for _, e := range r.take() {
			acked = append(acked, e.Message)
		}
		assert.Equal(t, ids, acked)
		n := 0
		for e := range unread {
			assert.Equal(t, ids[n], e.Message)
			n++
		}
		assert.Equal(t, 3, n)
		for range b.Events(t.Context()) {
			t.Error("it is over")
		}
	})
}

// An iterator that nobody uses holds on to events until its context ends.
func TestEventsUnusedReaderIsReleased(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_ = b.Events(ctx, inproq.EventRetried)
	err := eventsFailOnce(t, b)
	runtime.GC()
	assert.NotNil(t, err.Value(), "it could still be read")
	cancel()
	assert.Eventually(t, func() bool { runtime.GC(); return err.Value() == nil }, 10*time.Second, time.Millisecond)
}

// eventsError is an error that can be followed.
type eventsError struct{ text string }

func (e *eventsError) Error() string { return e.text }

// eventsFailOnce retries a message for a reason to which it returns a weak pointer. The
// broker runs until the test ends.
func eventsFailOnce(t *testing.T, b *inproq.Broker) weak.Pointer[eventsError] {
	t.Helper()
	cause := make(chan weak.Pointer[eventsError], 1)
	eventsConsume(t, b, "q", func(_ context.Context, batch *inproq.MessageBatch[string]) error {
		if batch.Messages[0].Attempts == 1 {
			e := &eventsError{"no"}
			cause <- weak.Make(e)
			batch.RetryAll(inproq.Delay(0), inproq.Cause(e))
		}
		return nil
	}, inproq.ConsumerConfig{})
	queuetest.Start(t, b)
	consumersSend(t, b, "q", "a")
	require.Eventually(t, func() bool { return b.Stats("q").Acked == 1 }, 10*time.Second, time.Millisecond)
	return <-cause
}

// Readers come and go while things happen.
func TestEventsConcurrently(t *testing.T) {
	b := consumersBroker(t, inproq.Config{})
	q, err := inproq.Bind[string](t.Context(), b, "q")
	require.NoError(t, err)
	const sends = 1000
	ctx, cancel := context.WithCancel(t.Context())
	all := b.Events(ctx, inproq.EventSent)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range sends / 4 {
				_, err := q.Send(context.Background(), "x")
				assert.NoError(t, err)
			}
		})
		wg.Go(func() {
			for range 20 {
				for range b.Events(ctx, inproq.EventSent) {
					break
				}
			}
		})
	}
	seen := make(map[inproq.MessageID]bool)
	for e := range all {
		seen[e.Message] = true
		if len(seen) == sends {
			break
		}
	}
	cancel()
	wg.Wait()
	assert.Len(t, seen, sends)
}

// While nobody reads, or reads something else, a send does not allocate.
func TestEventsCostNothingUnread(t *testing.T) {
	const sends = 1_000
	most := 0.1 * sends
	if invariant.On {
		most = 2 * sends // the race detector and the checks allocate
	}
	b := sendBroker(t, inproq.Config{})
	q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	over, end := context.WithCancel(t.Context())
	gone := b.Events(over, inproq.EventSent)
	end()
	for range gone {
		t.Error("nothing was sent")
	}
	_ = b.Events(ctx, inproq.EventAcked, inproq.EventCreateQueue)
	body := make([]byte, 100)
	allocs := testing.AllocsPerRun(20, func() {
		for range sends {
			if _, err := q.Send(ctx, body); err != nil {
				t.Fatal(err)
			}
		}
	})
	assert.Less(t, allocs, most, "in %d sends", sends)
}

// Events of one message come in their order, as far as no other goroutine is faster;
// their times always do.
func TestEventsOfOneMessageAreInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		eventsConsume(t, b, "q", consumeFail, inproq.ConsumerConfig{MaxRetries: 3, RetryDelay: time.Second})
		queuetest.Start(t, b)
		synctest.Wait()
		r := eventsOf(t, b, inproq.EventDelivered, inproq.EventRetried, inproq.EventDropped)
		for i := range 20 {
			consumersSend(t, b, "q", fmt.Sprint(i))
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		of := make(map[inproq.MessageID][]inproq.Event)
		for _, e := range r.take() {
			of[e.Message] = append(of[e.Message], e)
		}
		require.Len(t, of, 20)
		for _, events := range of {
			var story []string
			for _, e := range events {
				story = append(story, fmt.Sprint(e.Kind, e.Attempts))
			}
			assert.Equal(t, []string{
				"delivered1", "retried1", "delivered2", "retried2", "delivered3", "retried3", "delivered4", "dropped4",
			}, story)
			assert.True(t, slices.IsSortedFunc(events, func(a, b inproq.Event) int { return a.Time.Compare(b.Time) }))
		}
	})
}
