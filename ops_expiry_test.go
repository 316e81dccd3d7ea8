package inproq_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

// expiryQueue makes a queue whose messages expire after a minute.
func expiryQueue(t *testing.T, b *inproq.Broker) *inproq.Queue[[]byte] {
	t.Helper()
	return sendQueue[[]byte](t, b, "q", inproq.QueueConfig{MessageRetentionPeriod: time.Minute})
}

// expiryPass sends n messages of two operations each, and waits until they have expired.
func expiryPass(t *testing.T, q *inproq.Queue[[]byte], n int) {
	t.Helper()
	for range n {
		_, err := q.Send(context.Background(), make([]byte, 128_000))
		require.NoError(t, err)
	}
	time.Sleep(2 * time.Minute)
}

// expiryExpect checks what a broker has counted, and what it has told of since the last time.
func expiryExpect(t *testing.T, b *inproq.Broker, r *eventsReader, count int, told ...int64) {
	t.Helper()
	s := b.Stats("q")
	assert.EqualValues(t, count, s.Expired)
	assert.EqualValues(t, 2*count, s.Ops.Delete, "as it is billed")
	var got []int64
	for _, e := range r.take() {
		got = append(got, e.Count)
	}
	assert.Equal(t, told, got)
}

// What expired before a broker was made is not billed to it, nor told of.
func TestExpiredBeforeTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		first := accountBroker(t, inproq.Config{Store: st})
		firstEvents := eventsOf(t, first, inproq.EventExpired)
		expiryPass(t, expiryQueue(t, first), 3)
		expiryExpect(t, first, firstEvents, 3, 3)

		b := accountBroker(t, inproq.Config{Store: st})
		r := eventsOf(t, b, inproq.EventExpired)
		q := expiryQueue(t, b)
		expiryExpect(t, b, r, 0)
		expiryPass(t, q, 2)
		expiryExpect(t, b, r, 2, 2)
		expiryExpect(t, first, firstEvents, 5, 2)

		// Made anew, the queue has nothing from before.
		require.NoError(t, b.DeleteQueue(t.Context(), "q"))
		expiryPass(t, expiryQueue(t, b), 4)
		expiryExpect(t, b, r, 6, 4)
		_, err := first.Queue(t.Context(), "q") // hears of that
		require.NoError(t, err)
		expiryExpect(t, first, firstEvents, 9, 4)
	})
}

// What expires between a queue's declaration and the first look at it counts.
func TestExpiredBeforeTheFirstLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		other := accountBroker(t, inproq.Config{Store: st})
		expiryPass(t, expiryQueue(t, other), 1)

		b := accountBroker(t, inproq.Config{Store: st})
		r := eventsOf(t, b, inproq.EventExpired)
		expiryPass(t, expiryQueue(t, b), 2)
		expiryExpect(t, b, r, 2, 2)
	})
}

// Of a queue that is younger than the broker all counts, whenever the broker looks, and of one in the
// broker's own store too.
func TestExpiredInYoungQueues(t *testing.T) {
	for name, shared := range map[string]bool{"its own store": false, "a store": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var cfg inproq.Config
				if shared {
					cfg.Store = accountStore(t)
				}
				b := accountBroker(t, cfg)
				r := eventsOf(t, b, inproq.EventExpired)
				time.Sleep(time.Hour)
				jobs := accountDeclare(t, b, "jobs", inproq.QueueConfig{})
				_, err := b.CreateQueue(t.Context(), "q", inproq.QueueConfig{MessageRetentionPeriod: time.Minute})
				require.NoError(t, err)
				// Dead letters get there before the broker has a view of the queue.
				p := pullConsumer(t, jobs, inproq.PullConfig{MaxRetries: inproq.NoRetries, DeadLetterQueue: "q"})
				accountSend(t, jobs, "a", "b", "c")
				batch := pullNow(t, p)
				batch.RetryAll()
				pullSettle(t, batch)
				time.Sleep(time.Hour)
				_, err = inproq.Bind[string](t.Context(), b, "q")
				require.NoError(t, err)
				assert.EqualValues(t, 3, b.Stats("q").Expired)
				got := r.take()
				require.Len(t, got, 1)
				assert.EqualValues(t, 3, got[0].Count)
			})
		})
	}
}

// A store may not know how many have expired. When it does, the count begins.
func TestExpiredUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newSendStore()
		defer st.Close()
		expiryPass(t, expiryQueue(t, accountBroker(t, inproq.Config{Store: st.Store})), 3)
		unknown := true
		st.adjust = func(s store.Stats) store.Stats {
			if unknown {
				s.Expired, s.ExpiredBytes = -1, -1
			}
			return s
		}
		b := accountBroker(t, inproq.Config{Store: st})
		r := eventsOf(t, b, inproq.EventExpired)
		q := expiryQueue(t, b)
		expiryExpect(t, b, r, 0)
		unknown = false
		expiryExpect(t, b, r, 0)
		expiryPass(t, q, 2)
		expiryExpect(t, b, r, 2, 2)
	})
}
