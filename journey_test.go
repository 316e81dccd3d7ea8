package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// Without Config.Journey, and of a message that was not met, there is none.
func TestJourneyOff(t *testing.T) {
	for _, on := range []bool{false, true} {
		b := consumersBroker(t, inproq.Config{Journey: on})
		id := consumersSend(t, b, "q", "a")[0]
		assert.Equal(t, on, b.Journey(id) != nil)
		assert.Nil(t, b.Journey(inproq.MessageID{1}))
		assert.Nil(t, b.Journey(inproq.MessageID{}), "purges and the like belong to no message")
		require.NoError(t, b.Purge(t.Context(), "q"))
		assert.Nil(t, b.Journey(inproq.MessageID{}))
		assert.Empty(t, inproq.Journey(nil).String())
	}
}

// journeyOfLife lets a message live through everything, and returns its ID.
func journeyOfLife(t *testing.T, b *inproq.Broker) inproq.MessageID {
	t.Helper()
	jobs := accountDeclare(t, b, "jobs", inproq.QueueConfig{DeliveryDelay: time.Hour})
	accountConsume(t, jobs, consumeScript(
		func(_ context.Context, batch *inproq.MessageBatch[string]) error {
			batch.Messages[0].Retry(inproq.Delay(time.Minute), inproq.Cause(errors.New("busy")))
			batch.Messages[0].Ack()
			return nil
		},
		func(context.Context, *inproq.MessageBatch[string]) error {
			return errors.Join(errors.New("one"), errors.New("two"))
		},
	), inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait, MaxRetries: 1, DeadLetterQueue: "dead"})
	eventsConsume(t, b, "dead", consumeScript(func(_ context.Context, batch *inproq.MessageBatch[string]) error {
		batch.RetryAll(inproq.Delay(time.Hour))
		return nil
	}), inproq.ConsumerConfig{})
	queuetest.Start(t, b)
	id := consumersSend(t, b, "jobs", "a")[0]
	time.Sleep(90 * time.Minute)
	synctest.Wait()
	n, err := b.Redrive(t.Context(), "dead", "jobs", inproq.RedriveConfig{})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	synctest.Wait()
	return id
}

// A message's whole life, in its order. In virtual time most of it happens at the same
// moment, in several goroutines.
func TestJourneyTellsALife(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			b := accountBroker(t, inproq.Config{Journey: true})
			sent := time.Now()
			id := journeyOfLife(t, b)
			journey := b.Journey(id)
			assert.Equal(t, `+0s sent in "jobs", delayed by 1h0m0s
+1h0m0s delivered in "jobs", attempt 1
+1h0m0s call_ignored in "jobs": inproq: an earlier call has decided otherwise: call of Ack
+1h0m0s retried in "jobs", attempt 1, delayed by 1m0s: busy
+1h1m0s delivered in "jobs", attempt 2
+1h1m0s dead_lettered in "jobs", attempt 2, to "dead": one; two
+1h1m0s delivered in "dead", attempt 1
+1h1m0s retried in "dead", attempt 1, delayed by 1h0m0s
+1h30m0s redriven in "dead", attempt 1, to "jobs"
+1h30m0s delivered in "jobs", attempt 1
+1h30m0s acked in "jobs", attempt 1
`, journey.String())
			for _, e := range journey {
				assert.Equal(t, id, e.Message)
			}
			assert.True(t, journey[0].Time.Equal(sent))
			journey[0].Kind = "changed"
			assert.Equal(t, inproq.EventSent, b.Journey(id)[0].Kind, "it is a copy")
		})
	}
}

// Of a long journey the beginning and the end are kept, and how much is missing between.
func TestJourneyIsBounded(t *testing.T) {
	for _, retries := range []int{14, 15, 16, 17, 40, 90} { // 2 events each, and 2 more
		t.Run(fmt.Sprint(retries), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := accountBroker(t, inproq.Config{Journey: true})
				eventsConsume(t, b, "q", accountRetryAll, inproq.ConsumerConfig{MaxRetries: retries, RetryDelay: time.Second})
				queuetest.Start(t, b)
				id := consumersSend(t, b, "q", "a")[0]
				time.Sleep(time.Hour)
				journey := b.Journey(id)
				events := 1 + 2*(retries+1)
				if events <= 32 {
					require.Len(t, journey, events)
					assert.NotContains(t, journey.String(), "lost")
					return
				}
				require.Len(t, journey, 32)
				assert.Equal(t, inproq.EventSent, journey[0].Kind)
				assert.Equal(t, 4, journey[7].Attempts)
				assert.Equal(t, inproq.EventDelivered, journey[7].Kind)
				lost := journey[8]
				assert.Equal(t, inproq.EventLost, lost.Kind)
				assert.EqualValues(t, events-31, lost.Count)
				assert.Equal(t, id, lost.Message)
				assert.True(t, lost.Time.Equal(journey[7].Time), "when the first of them was")
				assert.Contains(t, journey.String(), fmt.Sprintf("lost in \"q\": %d events\n", events-31))
				assert.Equal(t, inproq.EventDropped, journey[31].Kind)
				assert.Equal(t, retries+1, journey[31].Attempts)
				assert.Equal(t, retries+1-(31-9)/2, journey[9].Attempts, "nothing is missing behind it")
			})
		})
	}
}

// The journeys of the latest 10,000 messages are kept.
func TestJourneysAreBounded(t *testing.T) {
	b := consumersBroker(t, inproq.Config{Journey: true})
	q, err := inproq.Bind[string](t.Context(), b, "q")
	require.NoError(t, err)
	var ids []inproq.MessageID
	send := func(n int) {
		for range n {
			res, err := q.Send(t.Context(), "x")
			require.NoError(t, err)
			ids = append(ids, res.ID)
		}
	}
	send(10_000)
	assert.Len(t, b.Journey(ids[0]), 1)
	send(15_003)
	for i, id := range ids {
		if kept := i >= 15_003; kept != (len(b.Journey(id)) == 1) {
			t.Fatalf("of %d messages, journey %d is %v", len(ids), i, b.Journey(id))
		}
	}
}

// An error in a journey is its text, not more than 1,000 bytes of it: the error, and
// all that it holds on to, may go.
func TestJourneyKeepsNoErrors(t *testing.T) {
	b := accountBroker(t, inproq.Config{Journey: true})
	err := eventsFailOnce(t, b)
	assert.Eventually(t, func() bool { runtime.GC(); return err.Value() == nil }, 10*time.Second, time.Millisecond)
}

func TestJourneyShortensErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{Journey: true})
		for text, want := range map[string]string{
			strings.Repeat("x", 200):              strings.Repeat("x", 200),
			strings.Repeat("x", 201):              strings.Repeat("x", 200) + "…",
			strings.Repeat("x", 199) + "ä and so": strings.Repeat("x", 199) + "…",
		} {
			q := accountDeclare(t, b, "q", inproq.QueueConfig{})
			p, err := q.PullConsumer(inproq.PullConfig{})
			require.NoError(t, err)
			id := consumersSend(t, b, "q", "a")[0]
			batch, err := p.Pull(t.Context())
			require.NoError(t, err)
			batch.RetryAll(inproq.Cause(errors.New(text)), inproq.Delay(time.Hour))
			_, err = batch.Settle(t.Context())
			require.NoError(t, err)
			journey := b.Journey(id)
			require.Len(t, journey, 3)
			assert.EqualError(t, journey[2].Err, want)
		}
	})
}

// Journeys are read while they are written.
func TestJourneyConcurrently(t *testing.T) {
	b := accountBroker(t, inproq.Config{Journey: true})
	eventsConsume(t, b, "q", eventsAccept, inproq.ConsumerConfig{})
	queuetest.Start(t, b)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var all []inproq.MessageID
	q := accountDeclare(t, b, "q", inproq.QueueConfig{})
	for range 4 {
		wg.Go(func() {
			for range 200 {
				res, err := q.Send(context.Background(), "x")
				assert.NoError(t, err)
				_ = b.Journey(res.ID).String()
				mu.Lock()
				all = append(all, res.ID)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.Eventually(t, func() bool { return b.Stats("q").Acked == 800 && len(b.Journey(all[799])) == 3 }, 10*time.Second, time.Millisecond)
	for _, id := range all {
		j := b.Journey(id)
		if assert.Len(t, j, 3) {
			assert.Equal(t, []inproq.EventKind{"sent", "delivered", "acked"}, []inproq.EventKind{j[0].Kind, j[1].Kind, j[2].Kind})
		}
	}
}
