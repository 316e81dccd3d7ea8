package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// What decides over a message is the answer to its own request.
func TestEachMessageIsSettledForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("connection refused")
		answers := []int{http.StatusOK, http.StatusTooManyRequests, http.StatusBadGateway, 0}
		c := newCaller(func(*http.Request) (*http.Response, error) {
			status := answers[0]
			answers = answers[1:]
			if status == 0 {
				return nil, down
			}
			return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: http.NoBody}, nil
		})
		c.log = log.New(io.Discard, "", 0)
		c.open.Store(100) // more than are sent
		batch := queuetest.NewBatch("reports", queuetest.Messages(Report{1}, Report{2}, Report{3}, Report{4})...)
		result := queuetest.Deliver(t.Context(), c.handle, batch)
		require.NoError(t, result.Err)
		queuetest.AssertAcked(t, result, Report{1})
		fates := result.Fates[1:]
		assert.Equal(t, 5*time.Second, fates[0].Delay)
		assert.ErrorIs(t, fates[0].Cause, errTooManyRequests)
		assert.Equal(t, inproq.NoDelay, fates[1].Delay, "the consumer's RetryDelay")
		assert.ErrorContains(t, fates[1].Cause, "unexpected status Bad Gateway")
		assert.ErrorIs(t, fates[2].Cause, down)
	})
}

// A shutdown need not wait for the second to pass.
func TestThePauseEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCaller(serve(&quota{limit: 2, window: time.Second}))
		c.log = log.New(io.Discard, "", 0)
		c.open.Store(100) // more than are sent
		first := queuetest.Deliver(t.Context(), c.handle, queuetest.NewBatch("reports", queuetest.Messages(Report{1})...))
		assert.Len(t, first.Acked(), 1)

		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		began := time.Now()
		second := queuetest.Deliver(ctx, c.handle, queuetest.NewBatch("reports", queuetest.Messages(Report{2})...))
		assert.Len(t, second.Retried(), 1)
		assert.ErrorIs(t, second.Err, context.DeadlineExceeded)
		assert.Equal(t, 300*time.Millisecond, time.Since(began))
	})
}
