package inproq_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/internal/invariant"
	"github.com/inproq/inproq/store/memory"
)

// As at Cloudflare: the first send finds nothing, the second one message.
func TestSendMetricsAreOfTheBacklogBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, cfg := range []inproq.Config{{Store: memory.New()}, {Store: newSendStore()}} {
			b := sendBroker(t, cfg)
			q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
			start := time.Now()
			send := func(n int, opts ...inproq.SendOption) inproq.Metrics {
				t.Helper()
				res, err := q.Send(t.Context(), make([]byte, n), opts...)
				require.NoError(t, err)
				time.Sleep(time.Second)
				return res.Metrics
			}
			check := func(got inproq.Metrics, count, bytes int64) {
				t.Helper()
				assert.Equal(t, count, got.BacklogCount)
				assert.Equal(t, bytes, got.BacklogBytes)
				assert.True(t, got.OldestMessageTimestamp.Equal(start), "the oldest is of %v", got.OldestMessageTimestamp)
			}
			assert.Zero(t, send(10))
			check(send(5), 1, 10)
			check(send(7, inproq.Delay(time.Hour)), 2, 15)
			res, err := q.SendBatch(t.Context(), inproq.Bodies(make([]byte, 1), make([]byte, 2)))
			require.NoError(t, err)
			check(res.Metrics, 3, 22)
			check(send(0), 5, 25)
			now, err := q.Metrics(t.Context())
			require.NoError(t, err)
			check(now, 6, 25)

			require.NoError(t, b.Purge(t.Context(), "q"))
			start = time.Now()
			assert.Zero(t, send(1))
			check(send(1), 1, 1)
		}
	})
}

func TestSendCountsInStats(t *testing.T) {
	sendOnBoth(t, func(t *testing.T, cfg inproq.Config) {
		b := sendBroker(t, cfg)
		q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
		for _, n := range []int{0, 1, 64_000, 64_001, 128_000} {
			_, err := q.Send(t.Context(), make([]byte, n))
			require.NoError(t, err)
		}
		_, err := q.SendBatch(t.Context(), inproq.Bodies(make([]byte, 64_001), nil))
		require.NoError(t, err)
		_, err = q.Send(t.Context(), make([]byte, 128_001))
		require.Error(t, err)
		s := b.Stats("q")
		assert.EqualValues(t, 7, s.Sent)
		assert.EqualValues(t, 10, s.Ops.Write, "one for each started 64,000 bytes")
	})
}

// The store takes a chunk of memory now and then; that is shared by many sends.
func TestSendOfBytesDoesNotAllocate(t *testing.T) {
	const sends = 1_000
	most := 0.1 * sends
	if invariant.On {
		most = 2 * sends // the race detector and the checks allocate
	}
	q := sendQueue[[]byte](t, sendBroker(t, inproq.Config{}), "q", inproq.QueueConfig{})
	ctx, body := t.Context(), make([]byte, 100)
	allocs := testing.AllocsPerRun(20, func() {
		for range sends {
			if _, err := q.Send(ctx, body); err != nil {
				t.Fatal(err)
			}
		}
	})
	assert.Less(t, allocs, most, "in %d sends", sends)
}
