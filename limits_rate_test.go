package inproq_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
	"github.com/inproq/inproq/store"
)

// limitAdmitted sends until that is refused, and returns how many were accepted.
func limitAdmitted(t *testing.T, q *inproq.Queue[[]byte]) int {
	t.Helper()
	for n := 0; ; n++ {
		require.Less(t, n, 100_000)
		if _, err := q.Send(t.Context(), nil); err != nil {
			sendReject(t, err, inproq.ErrTooManyRequests, 10250, "5000", `"q"`)
			return n
		}
	}
}

// A second's worth may come at once; then one message every 200 µs.
func TestLimitRateHasABurstAndRefills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sendBroker(t, inproq.Config{Limits: inproq.CloudflareLimits()})
		q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
		assert.Equal(t, 5_000, limitAdmitted(t, q))
		for _, step := range []struct {
			wait time.Duration
			n    int
		}{
			{199 * time.Microsecond, 0},
			{time.Microsecond, 1},
			{time.Millisecond, 5},
			{time.Second, 5_000},
			{time.Hour, 5_000}, // what was not used is not saved up
		} {
			time.Sleep(step.wait)
			assert.Equal(t, step.n, limitAdmitted(t, q), "after %v more", step.wait)
		}
	})
}

func TestLimitRateCountsMessagesOfBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sendBroker(t, inproq.Config{Limits: inproq.CloudflareLimits()})
		q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
		batch := make([]inproq.MessageSendRequest[[]byte], 100)
		for range 50 {
			_, err := q.SendBatch(t.Context(), batch)
			require.NoError(t, err)
		}
		assert.Zero(t, limitAdmitted(t, q))
		time.Sleep(10 * time.Millisecond) // 50 messages
		_, err := q.SendBatch(t.Context(), batch)
		require.ErrorIs(t, err, inproq.ErrTooManyRequests)
		assert.Equal(t, 50, limitAdmitted(t, q), "a refused batch uses nothing up")
		time.Sleep(20 * time.Millisecond)
		_, err = q.SendBatch(t.Context(), batch)
		require.NoError(t, err)
	})
}

func TestLimitRateIsPerQueueAndOffByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sendBroker(t, inproq.Config{Limits: inproq.CloudflareLimits()})
		limitAdmitted(t, sendQueue[[]byte](t, b, "q", inproq.QueueConfig{}))
		_, err := sendQueue[[]byte](t, b, "other", inproq.QueueConfig{}).Send(t.Context(), nil)
		require.NoError(t, err)

		free := sendQueue[[]byte](t, sendBroker(t, inproq.Config{}), "q", inproq.QueueConfig{})
		for range 6_000 {
			_, err := free.Send(t.Context(), nil)
			require.NoError(t, err)
		}
	})
}

// limitedBacklog makes a queue with room for 1,000 bytes.
func limitedBacklog(t *testing.T) (*inproq.Broker, *inproq.Queue[[]byte]) {
	b := sendBroker(t, inproq.Config{Limits: inproq.Limits{MaxBacklogBytes: 1_000}})
	return b, sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
}

func TestLimitBacklogBytesAreExact(t *testing.T) {
	b, q := limitedBacklog(t)
	_, err := q.Send(t.Context(), make([]byte, 1_001)) // the very first looks too
	sendReject(t, err, inproq.ErrStorageLimitExceeded, 10251, "1001", "1000", `"q"`)
	_, err = q.SendBatch(t.Context(), inproq.Bodies(make([]byte, 500), make([]byte, 400)))
	require.NoError(t, err)
	_, err = q.Send(t.Context(), make([]byte, 101))
	sendReject(t, err, inproq.ErrStorageLimitExceeded, 10251, "900", "101", "1000")
	_, err = q.SendBatch(t.Context(), inproq.Bodies(make([]byte, 50), make([]byte, 51)))
	require.ErrorIs(t, err, inproq.ErrStorageLimitExceeded)
	assert.Equal(t, 2, sendBacklog(t, b, "q"))
	_, err = q.Send(t.Context(), make([]byte, 100), inproq.Delay(time.Hour))
	require.NoError(t, err)
	_, err = q.Send(t.Context(), make([]byte, 1))
	require.ErrorIs(t, err, inproq.ErrStorageLimitExceeded, "delayed messages count")
	_, err = q.Send(t.Context(), nil)
	require.NoError(t, err, "an empty body needs no room")
}

func TestLimitBacklogHasRoomAgainAfterPurge(t *testing.T) {
	b, q := limitedBacklog(t)
	for range 2 {
		_, err := q.Send(t.Context(), make([]byte, 1_000))
		require.NoError(t, err)
		_, err = q.Send(t.Context(), make([]byte, 1_000))
		require.ErrorIs(t, err, inproq.ErrStorageLimitExceeded)
		require.NoError(t, b.Purge(t.Context(), "q"))
	}
}

func TestLimitBacklogHasRoomAgainAfterConsumption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, q := limitedBacklog(t)
		_, err := q.Send(t.Context(), make([]byte, 1_000))
		require.NoError(t, err)
		_, err = q.Send(t.Context(), make([]byte, 1_000))
		require.ErrorIs(t, err, inproq.ErrStorageLimitExceeded)
		var sink sendSink[[]byte]
		_, err = q.Consume(sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		require.NoError(t, err)
		queuetest.Start(t, b)
		synctest.Wait()
		_, err = q.Send(t.Context(), make([]byte, 1_000))
		require.NoError(t, err)
	})
}

// The default is 25 GB. Looking costs a call of the store, so it is only done
// while the backlog is above half of the limit.
func TestLimitBacklogIsWatchedAboveHalf(t *testing.T) {
	one := func(q *inproq.Queue[[]byte]) error {
		_, err := q.Send(t.Context(), make([]byte, 10))
		return err
	}
	batch := func(q *inproq.Queue[[]byte]) error {
		_, err := q.SendBatch(t.Context(), inproq.Bodies(make([]byte, 4), make([]byte, 6)))
		return err
	}
	t.Run("Send", func(t *testing.T) { st := newSendStore(); limitWatch(t, st, st, one) })
	t.Run("Send, local", func(t *testing.T) { st := newSendStore(); limitWatch(t, st, &sendLocalStore{st}, one) })
	t.Run("SendBatch", func(t *testing.T) { st := newSendStore(); limitWatch(t, st, st, batch) })
}

// limitWatch sends ten bytes at a time to a store that has the backlog which it is
// told to have.
func limitWatch(t *testing.T, st *sendStore, as store.Store, send func(*inproq.Queue[[]byte]) error) {
	const limit = 25_000_000_000
	bytes := int64(0)
	st.adjust = func(s store.Stats) store.Stats {
		s.Bytes = bytes
		return s
	}
	q := sendQueue[[]byte](t, sendBroker(t, inproq.Config{Store: as}), "q", inproq.QueueConfig{})
	for _, step := range []struct {
		backlog int64
		looked  int // calls of Stats so far
		full    bool
	}{
		{limit/2 - 1, 0, false},
		{limit / 2, 0, false}, // notices
		{limit - 10, 1, false},
		{limit - 9, 2, true},
		{limit - 10, 3, false},
		{limit/2 - 1, 4, false}, // relaxes
		{limit/2 - 1, 4, false},
	} {
		bytes = step.backlog
		err := send(q)
		assert.Equal(t, step.looked, st.called("Stats"), "at %d", step.backlog)
		if step.full {
			sendReject(t, err, inproq.ErrStorageLimitExceeded, 10251, "25000000000")
		} else {
			require.NoError(t, err)
		}
	}
}

// A batch that is larger than what may come in a second is admitted after a second
// without any, and paid for afterwards.
func TestLimitRateOfALargeBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sendBroker(t, inproq.Config{Limits: inproq.Limits{MessagesPerSecond: 50}})
		q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
		batch := inproq.Bodies(make([][]byte, 100)...)
		_, err := q.SendBatch(t.Context(), batch)
		require.NoError(t, err)
		for range 2 {
			_, err = q.SendBatch(t.Context(), batch)
			require.ErrorIs(t, err, inproq.ErrTooManyRequests)
			time.Sleep(time.Second)
		}
		_, err = q.SendBatch(t.Context(), batch)
		require.NoError(t, err)
	})
}
