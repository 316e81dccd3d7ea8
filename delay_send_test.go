package inproq_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// delayTaken sends one message and returns how long after that it was delivered.
func delayTaken(t *testing.T, cfg inproq.QueueConfig, send func(context.Context, *inproq.Queue[string]) error) (took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := sendBroker(t, inproq.Config{})
		q := sendQueue[string](t, b, "q", cfg)
		var sink sendSink[string]
		_, err := q.Consume(sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		require.NoError(t, err)
		queuetest.Start(t, b)
		synctest.Wait()
		start := time.Now()
		require.NoError(t, send(t.Context(), q))
		time.Sleep(13 * time.Hour)
		times := sink.times()
		require.Len(t, times, 1)
		took = times[0].Sub(start)
	})
	return took
}

// delayIs allows for a millisecond: never early, and exact to that.
func delayIs(t *testing.T, want, got time.Duration) {
	t.Helper()
	assert.GreaterOrEqual(t, got, want)
	assert.LessOrEqual(t, got, want+time.Millisecond)
}

// Message before batch before queue. Zero is a delay like any other where it is
// said: as an option by Delay(0), in a struct by NoDelay.
func TestDelayOfAMessagePrecedesBatchPrecedesQueue(t *testing.T) {
	const none = time.Duration(-1 << 63) // the option is not given
	tests := []struct{ queue, option, message, want time.Duration }{
		{0, none, 0, 0},
		{5 * time.Second, none, 0, 5 * time.Second},
		{5 * time.Second, 3 * time.Second, 0, 3 * time.Second},
		{5 * time.Second, 0, 0, 0},
		{5 * time.Second, inproq.NoDelay, 0, 0},
		{5 * time.Second, 3 * time.Second, time.Second, time.Second},
		{5 * time.Second, 3 * time.Second, inproq.NoDelay, 0},
		{5 * time.Second, none, inproq.NoDelay, 0},
		{5 * time.Second, none, 7 * time.Second, 7 * time.Second},
		{5 * time.Second, 0, 7 * time.Second, 7 * time.Second},
		{inproq.NoDelay, none, 0, 0},
		{inproq.NoDelay, none, 1500 * time.Microsecond, 1500 * time.Microsecond},
		{12 * time.Hour, none, 0, 12 * time.Hour},
		{0, 12 * time.Hour, 0, 12 * time.Hour},
		{0, none, 12 * time.Hour, 12 * time.Hour},
	}
	for _, tt := range tests {
		var opts []inproq.SendOption
		if tt.option != none {
			opts = append(opts, inproq.Delay(tt.option))
		}
		cfg := inproq.QueueConfig{DeliveryDelay: tt.queue}
		delayIs(t, tt.want, delayTaken(t, cfg, func(ctx context.Context, q *inproq.Queue[string]) error {
			_, err := q.SendBatch(ctx, []inproq.MessageSendRequest[string]{{Delay: tt.message}}, opts...)
			return err
		}))
		if tt.message != 0 {
			continue // Send has options only
		}
		delayIs(t, tt.want, delayTaken(t, cfg, func(ctx context.Context, q *inproq.Queue[string]) error {
			_, err := q.Send(ctx, "a", opts...)
			return err
		}))
	}
}

func TestDelayOtherOptionsLeaveTheQueuesDelay(t *testing.T) {
	cfg := inproq.QueueConfig{DeliveryDelay: 5 * time.Second}
	delayIs(t, 5*time.Second, delayTaken(t, cfg, func(ctx context.Context, q *inproq.Queue[string]) error {
		_, err := q.Send(ctx, "a", inproq.Header("K", "v"), inproq.ContentAs(inproq.Text))
		return err
	}))
	delayIs(t, 2*time.Second, delayTaken(t, cfg, func(ctx context.Context, q *inproq.Queue[string]) error {
		_, err := q.Send(ctx, "a", inproq.Delay(time.Second), inproq.Delay(2*time.Second)) // the last one counts
		return err
	}))
}

// A delay is one message's own: those beside it in the batch are ready.
func TestDelayIsOfSingleMessagesOfABatch(t *testing.T) {
	b := sendBroker(t, inproq.Config{})
	q := sendQueue[string](t, b, "q", inproq.QueueConfig{})
	_, err := q.SendBatch(t.Context(), []inproq.MessageSendRequest[string]{{Delay: time.Hour}, {}, {Delay: inproq.NoDelay}})
	require.NoError(t, err)
	backlog, err := b.Backlog(t.Context(), "q")
	require.NoError(t, err)
	assert.EqualValues(t, 1, backlog.Delayed)
	assert.EqualValues(t, 2, backlog.Ready)
}

func TestDelayBoundsOfSends(t *testing.T) {
	tests := map[string]struct {
		limit, delay time.Duration
		text         string // in the error; "": accepted
	}{
		"12h":             {0, 12 * time.Hour, ""},
		"above":           {0, 12*time.Hour + 1, "12h0m0.000000001s, allowed: 0s to 12h0m0s"},
		"negative":        {0, -2, "-2ns, allowed: 0s to 12h0m0s"},
		"very negative":   {0, -1 << 63, "allowed: 0s to 12h0m0s"},
		"custom":          {time.Minute, time.Minute, ""},
		"above custom":    {time.Minute, time.Minute + 1, "1m0.000000001s, allowed: 0s to 1m0s"},
		"raised":          {24 * time.Hour, 24 * time.Hour, ""},
		"without a limit": {inproq.NoLimit, 1<<63 - 1, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := sendBroker(t, inproq.Config{Limits: inproq.Limits{MaxDelay: tt.limit}})
			q := sendQueue[string](t, b, "q", inproq.QueueConfig{})
			_, one := q.Send(t.Context(), "a", inproq.Delay(tt.delay))
			_, all := q.SendBatch(t.Context(), inproq.Bodies("a"), inproq.Delay(tt.delay))
			_, each := q.SendBatch(t.Context(), []inproq.MessageSendRequest[string]{{Delay: tt.delay}})
			if tt.text == "" {
				require.NoError(t, one)
				require.NoError(t, all)
				require.NoError(t, each)
				backlog, err := b.Backlog(t.Context(), "q")
				require.NoError(t, err)
				assert.EqualValues(t, 3, backlog.Delayed)
				return
			}
			sendReject(t, one, inproq.ErrDelayOutOfRange, 10203, tt.text, `"q"`)
			sendReject(t, all, inproq.ErrDelayOutOfRange, 10202, tt.text, `"q"`)
			sendReject(t, each, inproq.ErrDelayOutOfRange, 10203, tt.text, "message 0")
			assert.Zero(t, sendBacklog(t, b, "q"))
		})
	}
}
