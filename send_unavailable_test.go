package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

// sendToBroken sends to a store whose Enqueue fails as told, and returns how long
// that took.
func sendToBroken(t *testing.T, ctx context.Context, st *sendStore) (time.Duration, *inproq.Broker, error) {
	t.Helper()
	b := sendBroker(t, inproq.Config{Store: st})
	q := sendQueue[string](t, b, "q", inproq.QueueConfig{})
	start := time.Now()
	_, err := q.SendBatch(ctx, inproq.Bodies("a", "b"))
	return time.Since(start), b, err
}

func TestSendOutlastsAnOutageOfAnIdempotentStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, start := newSendStore(), time.Now()
		st.promise.Idempotent = true
		st.fail = func(int) error {
			if time.Since(start) < 10*time.Second {
				return fmt.Errorf("election: %w", store.ErrUnavailable)
			}
			return nil
		}
		took, b, err := sendToBroken(t, t.Context(), st)
		require.NoError(t, err)
		assert.Less(t, took, 12*time.Second)
		assert.Equal(t, 2, sendBacklog(t, b, "q"))
		assert.EqualValues(t, 2, b.Stats("q").Sent)
		given := st.given()
		assert.Greater(t, len(given), 5)
		for _, msgs := range given {
			assert.Equal(t, given[0], msgs, "the store knows a message by its ID")
		}
	})
}

func TestSendGivesUpOnAStoreThatStaysUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newSendStore()
		st.promise.Idempotent = true
		st.fail = func(int) error { return store.ErrUnavailable }
		took, b, err := sendToBroken(t, t.Context(), st)
		sendReject(t, err, store.ErrUnavailable, 15000, "inproq: ", `"q"`)
		assert.GreaterOrEqual(t, took, 10*time.Second)
		assert.LessOrEqual(t, took, 15*time.Second)
		assert.Less(t, st.called("Enqueue"), 100, "it is asked now and then")
		assert.Zero(t, b.Stats("q").Sent)
	})
}

// Elsewhere a repetition might send the message twice.
func TestSendIsNotRepeatedUnlessIdempotent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newSendStore()
		st.fail = func(int) error { return store.ErrUnavailable }
		took, _, err := sendToBroken(t, t.Context(), st)
		require.ErrorIs(t, err, store.ErrUnavailable)
		assert.Zero(t, took)
		assert.Equal(t, 1, st.called("Enqueue"))
	})
}

func TestSendRepeatsOnlyForUnavailability(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for failures, want := range map[int]error{0: store.ErrReadOnly, 2: store.ErrFull} {
			st := newSendStore()
			st.promise.Idempotent = true
			st.fail = func(call int) error {
				if call <= failures {
					return store.ErrUnavailable
				}
				return want
			}
			took, _, err := sendToBroken(t, t.Context(), st)
			require.ErrorIs(t, err, want)
			assert.Less(t, took, time.Second)
			assert.Equal(t, failures+1, st.called("Enqueue"))
		}
	})
}

func TestSendStopsRepeatingWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newSendStore()
		st.promise.Idempotent = true
		st.fail = func(int) error { return store.ErrUnavailable }
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		took, _, err := sendToBroken(t, ctx, st)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 3*time.Second, took)
	})
}

func TestSendTranslatesTheStoresErrors(t *testing.T) {
	other := errors.New("disk on fire")
	for from, to := range map[error]struct {
		err  error
		code int
	}{
		store.ErrFull:          {inproq.ErrStorageLimitExceeded, 10251},
		store.ErrQueueNotFound: {inproq.ErrQueueNotFound, 10104},
		store.ErrClosed:        {inproq.ErrBrokerClosed, 15000},
		store.ErrReadOnly:      {store.ErrReadOnly, 15000},
		store.ErrConflict:      {inproq.ErrConflict, 15000},
		store.ErrPaused:        {inproq.ErrDeliveryPaused, 0},
		context.Canceled:       {context.Canceled, 15000},
		other:                  {other, 15000},
	} {
		st := newSendStore()
		st.fail = func(int) error { return fmt.Errorf("wrapped: %w", from) }
		q := sendQueue[string](t, sendBroker(t, inproq.Config{Store: st}), "q", inproq.QueueConfig{})
		res, one := q.Send(t.Context(), "a")
		assert.Zero(t, res)
		results, many := q.SendBatch(t.Context(), inproq.Bodies("a"))
		assert.Zero(t, results)
		for _, err := range []error{one, many} {
			sendReject(t, err, to.err, to.code)
			if errors.Is(from, context.Canceled) {
				assert.EqualError(t, err, "wrapped: context canceled", "the caller's own is passed on as it is")
			} else if !errors.Is(from, to.err) {
				assert.ErrorContains(t, err, "inproq: ")
			}
		}
	}
}
