package queuetest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

const unset = inproq.NoDelay // no delay was given

// call is one call of a handler on the first of two messages, or on the batch.
type call func(b *inproq.MessageBatch[string])

func ack(b *inproq.MessageBatch[string])      { b.Messages[0].Ack() }
func retry(b *inproq.MessageBatch[string])    { b.Messages[0].Retry() }
func ackAll(b *inproq.MessageBatch[string])   { b.AckAll() }
func retryAll(b *inproq.MessageBatch[string]) { b.RetryAll() }

func retryIn(d time.Duration) call {
	return func(b *inproq.MessageBatch[string]) { b.Messages[0].Retry(inproq.Delay(d)) }
}

func retryAllIn(d time.Duration) call {
	return func(b *inproq.MessageBatch[string]) { b.RetryAll(inproq.Delay(d)) }
}

// settle makes the calls on a batch of two messages and returns its result.
func settle(outcome error, calls ...call) queuetest.Result[string] {
	b := batchOf("called on", "not called on")
	for _, c := range calls {
		c(b)
	}
	return queuetest.ResultOf(b, outcome)
}

// fate says "ack", or "retry" with the delay and cause if there are any.
func fate(f queuetest.Fate[string]) string {
	if !f.Retried {
		return "ack"
	}
	s := "retry"
	if f.Delay != unset {
		s += fmt.Sprint(" ", f.Delay)
	}
	if f.Cause != nil {
		s += fmt.Sprint(" ", f.Cause)
	}
	return s
}

// What becomes of the message that was called on, and of the other.
func TestFatesFollowTheOrderOfResolution(t *testing.T) {
	const second, minute = time.Second, time.Minute
	tests := []struct {
		name       string
		calls      []call
		ok, failed [2]string // the fates by outcome
	}{
		{"nothing", nil, [2]string{"ack", "ack"}, [2]string{"retry boom", "retry boom"}},
		// 1. An explicit Ack.
		{"Ack", []call{ack}, [2]string{"ack", "ack"}, [2]string{"ack", "retry boom"}},
		{"Ack, RetryAll", []call{ack, retryAll}, [2]string{"ack", "retry"}, [2]string{"ack", "retry boom"}},
		{"Ack, Retry", []call{ack, retryIn(second)}, [2]string{"ack", "ack"}, [2]string{"ack", "retry boom"}},
		{"Ack, AckAll", []call{ack, ackAll}, [2]string{"ack", "ack"}, [2]string{"ack", "ack"}},
		// 2. An explicit Retry: its own delay, or else that of the batch.
		{"Retry", []call{retry}, [2]string{"retry", "ack"}, [2]string{"retry boom", "retry boom"}},
		{"Retry(1s)", []call{retryIn(second)}, [2]string{"retry 1s", "ack"}, [2]string{"retry 1s boom", "retry boom"}},
		{"Retry(0s)", []call{retryIn(0)}, [2]string{"retry 0s", "ack"}, [2]string{"retry 0s boom", "retry boom"}},
		{"Retry(1s), Retry", []call{retryIn(second), retry}, [2]string{"retry", "ack"}, [2]string{"retry boom", "retry boom"}},
		{"Retry(1s), Retry(1m)", []call{retryIn(second), retryIn(minute)}, [2]string{"retry 1m0s", "ack"}, [2]string{"retry 1m0s boom", "retry boom"}},
		{"Retry(1s), Ack", []call{retryIn(second), ack}, [2]string{"retry 1s", "ack"}, [2]string{"retry 1s boom", "retry boom"}},
		{"Retry(1s), AckAll", []call{retryIn(second), ackAll}, [2]string{"retry 1s", "ack"}, [2]string{"retry 1s boom", "ack"}},
		{"Retry, RetryAll(1m)", []call{retry, retryAllIn(minute)}, [2]string{"retry 1m0s", "retry 1m0s"}, [2]string{"retry 1m0s boom", "retry 1m0s boom"}},
		{"Retry(0s), RetryAll(1m)", []call{retryIn(0), retryAllIn(minute)}, [2]string{"retry 0s", "retry 1m0s"}, [2]string{"retry 0s boom", "retry 1m0s boom"}},
		{"RetryAll(1m), Retry(1s)", []call{retryAllIn(minute), retryIn(second)}, [2]string{"retry 1s", "retry 1m0s"}, [2]string{"retry 1s boom", "retry 1m0s boom"}},
		// 3. AckAll.
		{"AckAll", []call{ackAll}, [2]string{"ack", "ack"}, [2]string{"ack", "ack"}},
		{"AckAll, Retry", []call{ackAll, retryIn(second)}, [2]string{"ack", "ack"}, [2]string{"ack", "ack"}},
		{"AckAll, RetryAll", []call{ackAll, retryAllIn(minute)}, [2]string{"ack", "ack"}, [2]string{"ack", "ack"}},
		// 4. RetryAll.
		{"RetryAll", []call{retryAll}, [2]string{"retry", "retry"}, [2]string{"retry boom", "retry boom"}},
		{"RetryAll(0s)", []call{retryAllIn(0)}, [2]string{"retry 0s", "retry 0s"}, [2]string{"retry 0s boom", "retry 0s boom"}},
		{"RetryAll, Ack", []call{retryAll, ack}, [2]string{"retry", "retry"}, [2]string{"retry boom", "retry boom"}},
		{"RetryAll, AckAll", []call{retryAll, ackAll}, [2]string{"retry", "retry"}, [2]string{"retry boom", "retry boom"}},
		{"RetryAll(1m), RetryAll", []call{retryAllIn(minute), retryAll}, [2]string{"retry 1m0s", "retry 1m0s"}, [2]string{"retry 1m0s boom", "retry 1m0s boom"}},
		{"RetryAll(1m), RetryAll(1s)", []call{retryAllIn(minute), retryAllIn(second)}, [2]string{"retry 1s", "retry 1s"}, [2]string{"retry 1s boom", "retry 1s boom"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ok, failed := settle(nil, test.calls...), settle(errBoom, test.calls...)
			assert.Equal(t, test.ok[0], fate(ok.Fates[0]))
			assert.Equal(t, test.ok[1], fate(ok.Fates[1]))
			assert.Equal(t, test.failed[0], fate(failed.Fates[0]))
			assert.Equal(t, test.failed[1], fate(failed.Fates[1]))
			assert.NoError(t, ok.Err)
			assert.Equal(t, errBoom, failed.Err)
		})
	}
}

func TestResultTellsWhichBatchCallCounted(t *testing.T) {
	tests := map[string]struct {
		calls            []call
		ackAll, retryAll bool
		delay            time.Duration
	}{
		"none":                   {nil, false, false, unset},
		"AckAll":                 {[]call{ackAll}, true, false, unset},
		"RetryAll":               {[]call{retryAll}, false, true, unset},
		"RetryAll with a delay":  {[]call{retryAllIn(time.Minute)}, false, true, time.Minute},
		"RetryAll with no delay": {[]call{retryAllIn(0)}, false, true, 0},
		"AckAll came first":      {[]call{ackAll, retryAllIn(time.Minute)}, true, false, unset},
		"RetryAll came first":    {[]call{retryAllIn(time.Minute), ackAll}, false, true, time.Minute},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := settle(nil, test.calls...)
			assert.Equal(t, test.ackAll, r.AckAll)
			assert.Equal(t, test.retryAll, r.RetryAll)
			assert.Equal(t, test.delay, r.RetryAllDelay)
		})
	}
}

// Only calls on a message itself are explicit; what follows from batch calls and
// the outcome is in the fates.
func TestResultListsExplicitCalls(t *testing.T) {
	b := batchOf("a", "b", "c", "d")
	ids := idsOf(b)
	b.Messages[3].Retry(inproq.Delay(time.Second), inproq.Cause(errBoom))
	b.Messages[1].Ack()
	b.Messages[0].Retry()
	b.RetryAll(inproq.Delay(time.Minute))
	r := queuetest.ResultOf(b, nil)

	assert.Equal(t, []inproq.MessageID{ids[1]}, r.ExplicitAcks)
	assert.Equal(t, []queuetest.Fate[string]{
		{ID: ids[0], Body: "a", Retried: true, Delay: unset},
		{ID: ids[3], Body: "d", Retried: true, Delay: time.Second, Cause: errBoom},
	}, r.ExplicitRetries, "in the order of the batch, with what was given")
	assert.Equal(t, []queuetest.Fate[string]{
		{ID: ids[0], Body: "a", Retried: true, Delay: time.Minute},
		{ID: ids[1], Body: "b", Delay: unset},
		{ID: ids[2], Body: "c", Retried: true, Delay: time.Minute},
		{ID: ids[3], Body: "d", Retried: true, Delay: time.Second, Cause: errBoom},
	}, r.Fates, "in the order of the batch, with what it comes to")
	assert.Equal(t, []string{"b"}, r.Acked())
	assert.Equal(t, []string{"a", "c", "d"}, r.Retried())
}

func TestCauseOfARetry(t *testing.T) {
	own, all := errors.New("own"), errors.New("all")
	retryOwn := func(b *inproq.MessageBatch[string]) { b.Messages[0].Retry(inproq.Cause(own)) }
	retryAll := func(b *inproq.MessageBatch[string]) { b.RetryAll(inproq.Cause(all)) }
	assert.Equal(t, own, settle(errBoom, retryOwn, retryAll).Fates[0].Cause, "the message's own")
	assert.Equal(t, all, settle(errBoom, retryOwn, retryAll).Fates[1].Cause, "or else RetryAll's")
	assert.Equal(t, errBoom, settle(errBoom, retry).Fates[0].Cause, "or else the invocation's")
	assert.NoError(t, settle(nil, retry).Fates[0].Cause)
	assert.NoError(t, settle(errBoom, ack).Fates[0].Cause, "an acknowledged message has none")
}

// A retry cannot return an error: its delay is brought into the range.
func TestRetryDelayIsClamped(t *testing.T) {
	assert.Equal(t, 12*time.Hour, settle(nil, retryIn(13*time.Hour)).Fates[0].Delay)
	assert.Zero(t, settle(nil, retryIn(-time.Hour)).Fates[0].Delay)
	assert.Equal(t, 12*time.Hour, settle(nil, retryAllIn(13*time.Hour)).RetryAllDelay)
}

func TestCallsAfterTheResultAreHarmless(t *testing.T) {
	b := batchOf("a", "b")
	b.Messages[0].Retry(inproq.Delay(time.Second))
	before := queuetest.ResultOf(b, nil)
	b.Messages[0].Ack()
	b.Messages[0].Retry()
	b.Messages[1].Retry()
	b.Messages[1].Ack()
	b.RetryAll()
	b.AckAll()
	b.Go(func(context.Context) error {
		t.Error("Go ran its function after the settlement")
		return errBoom
	})
	assert.Equal(t, before, queuetest.ResultOf(b, nil))
}

func TestEachInABatchThatWasMade(t *testing.T) {
	failing := map[string]bool{"b": true}
	each := inproq.Each(func(_ context.Context, m *inproq.Message[string]) error {
		if failing[m.Body] {
			return errBoom
		}
		return nil
	})
	b := batchOf("a", "b", "c")
	ids := idsOf(b)
	r := queuetest.Deliver(t.Context(), each, b)
	require.NoError(t, r.Err, "one bad message does not fail the invocation")
	assert.Equal(t, []inproq.MessageID{ids[0], ids[2]}, r.ExplicitAcks)
	assert.Equal(t, []queuetest.Fate[string]{{ID: ids[1], Body: "b", Retried: true, Delay: unset, Cause: errBoom}}, r.ExplicitRetries)

	r = queuetest.Deliver(t.Context(), each, batchOf("b", "b"))
	assert.ErrorIs(t, r.Err, errBoom, "but an outage does")
	assert.Len(t, r.Retried(), 2)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	r = queuetest.Deliver(ended, each, batchOf("a", "c"))
	assert.ErrorIs(t, r.Err, context.Canceled)
	assert.Empty(t, r.ExplicitRetries, "the rest stays unmarked")
	assert.Len(t, r.Retried(), 2)
}
