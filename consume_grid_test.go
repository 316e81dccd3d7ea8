package inproq_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// The delays that calls give, all different so that a redelivery tells whose it
// was, and what else may become of a message.
const (
	gridFirstRetry    = 1 * time.Minute
	gridFirstRetryAll = 2 * time.Minute
	gridRetry         = 3 * time.Minute
	gridRetryAll      = 4 * time.Minute
	gridRetryDelay    = 7 * time.Minute // the consumer's

	gridAcked   time.Duration = -1
	gridOutcome time.Duration = -2 // as the handler's outcome says
)

type gridCall = func(*inproq.MessageBatch[string])

var gridStates = map[string]gridCall{
	"nothing":  func(*inproq.MessageBatch[string]) {},
	"acked":    func(b *inproq.MessageBatch[string]) { b.Messages[0].Ack() },
	"retried":  func(b *inproq.MessageBatch[string]) { b.Messages[0].Retry(inproq.Delay(gridFirstRetry)) },
	"ackAll":   func(b *inproq.MessageBatch[string]) { b.AckAll() },
	"retryAll": func(b *inproq.MessageBatch[string]) { b.RetryAll(inproq.Delay(gridFirstRetryAll)) },
}

var gridCalls = map[string]gridCall{
	"Ack":      func(b *inproq.MessageBatch[string]) { b.Messages[0].Ack() },
	"Retry":    func(b *inproq.MessageBatch[string]) { b.Messages[0].Retry(inproq.Delay(gridRetry)) },
	"AckAll":   func(b *inproq.MessageBatch[string]) { b.AckAll() },
	"RetryAll": func(b *inproq.MessageBatch[string]) { b.RetryAll(inproq.Delay(gridRetryAll)) },
}

// TestSettleGrid goes through all pairs of calls, with both outcomes. A cell tells
// what becomes of the message that is called upon and of another one in the batch.
func TestSettleGrid(t *testing.T) {
	for _, cell := range []struct {
		state, call string
		own, other  time.Duration
		warnings    int
	}{
		{"nothing", "Ack", gridAcked, gridOutcome, 0},
		{"nothing", "Retry", gridRetry, gridOutcome, 0},
		{"nothing", "AckAll", gridAcked, gridAcked, 0},
		{"nothing", "RetryAll", gridRetryAll, gridRetryAll, 0},
		{"acked", "Ack", gridAcked, gridOutcome, 0},
		{"acked", "Retry", gridAcked, gridOutcome, 1},
		{"acked", "AckAll", gridAcked, gridAcked, 0},
		{"acked", "RetryAll", gridAcked, gridRetryAll, 0},
		{"retried", "Ack", gridFirstRetry, gridOutcome, 1},
		{"retried", "Retry", gridRetry, gridOutcome, 0},
		{"retried", "AckAll", gridFirstRetry, gridAcked, 0},
		{"retried", "RetryAll", gridFirstRetry, gridRetryAll, 0},
		{"ackAll", "Ack", gridAcked, gridAcked, 0},
		{"ackAll", "Retry", gridAcked, gridAcked, 1},
		{"ackAll", "AckAll", gridAcked, gridAcked, 0},
		{"ackAll", "RetryAll", gridAcked, gridAcked, 1},
		{"retryAll", "Ack", gridFirstRetryAll, gridFirstRetryAll, 1},
		{"retryAll", "Retry", gridRetry, gridFirstRetryAll, 0},
		{"retryAll", "AckAll", gridFirstRetryAll, gridFirstRetryAll, 1},
		{"retryAll", "RetryAll", gridRetryAll, gridRetryAll, 0},
	} {
		for name, outcome := range map[string]error{"nil": nil, "error": errConsume} {
			t.Run(cell.state+"/"+cell.call+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := consumeScript(func(_ context.Context, b *inproq.MessageBatch[string]) error {
						gridStates[cell.state](b)
						gridCalls[cell.call](b)
						return outcome
					})
					r := consumeRun(t, inproq.ConsumerConfig{
						MaxBatchSize: 2, MaxBatchTimeout: inproq.NoWait, RetryDelay: gridRetryDelay,
					}, h, "own", "other")
					warnings := len(r.log.find("call ignored"))
					consumePass(time.Hour)

					require.Equal(t, consumeBatch{0, "own other"}, r.groups()[0])
					assert.Equal(t, gridTimes(cell.own, outcome), r.times("own"))
					assert.Equal(t, gridTimes(cell.other, outcome), r.times("other"))
					assert.Equal(t, cell.warnings, warnings)
					assert.Zero(t, r.backlog("jobs"))
				})
			})
		}
	}
}

// gridTimes is when a message is delivered that has a fate.
func gridTimes(fate time.Duration, outcome error) []time.Duration {
	if fate == gridOutcome {
		fate = gridAcked
		if outcome != nil {
			fate = gridRetryDelay
		}
	}
	if fate == gridAcked {
		return []time.Duration{0}
	}
	return []time.Duration{0, fate}
}
