package inproq_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// The delay of a retry is that of the message, else of RetryAll, else of Backoff,
// else RetryDelay. Zero is a delay like any other.
func TestRetryDelayPrecedence(t *testing.T) {
	const none time.Duration = -2 // the level says nothing
	for _, c := range []struct {
		name                                string
		message, retryAll, backoff, setting time.Duration
		want                                time.Duration
	}{
		{"nothing", none, none, none, 0, 0},
		{"RetryDelay", none, none, none, 4 * time.Minute, 4 * time.Minute},
		{"Backoff over RetryDelay", none, none, 3 * time.Minute, 4 * time.Minute, 3 * time.Minute},
		{"Backoff 0 over RetryDelay", none, none, 0, 4 * time.Minute, 0},
		{"RetryAll over Backoff", none, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute, 2 * time.Minute},
		{"RetryAll 0 over Backoff", none, 0, 3 * time.Minute, 4 * time.Minute, 0},
		{"message over RetryAll", time.Minute, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute, time.Minute},
		{"message 0 over RetryAll", 0, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute, 0},
		{"message NoDelay over RetryAll", inproq.NoDelay, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute, 0},
		{"message over Backoff", time.Minute, none, 3 * time.Minute, none, time.Minute},
		{"message 0 over RetryDelay", 0, none, none, 4 * time.Minute, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait, RetryDelay: max(c.setting, 0)}
				if c.backoff != none {
					cfg.Backoff = func(int) time.Duration { return c.backoff }
				}
				r := consumeRun(t, cfg, consumeScript(func(_ context.Context, b *inproq.MessageBatch[string]) error {
					if c.retryAll != none {
						b.RetryAll(inproq.Delay(c.retryAll))
					}
					if c.message != none {
						b.Messages[0].Retry(inproq.Delay(c.message))
					}
					return errConsume // retries what has no call
				}), "a")
				consumePass(time.Hour)
				assert.Equal(t, []time.Duration{0, c.want}, r.times("a"))
				assert.Empty(t, r.log.find("out of range"))
			})
		})
	}
}

// What a retry asks for is brought into the range from 0 to 12 hours. The call
// cannot return an error, so it warns; the function Backoff is just bounded.
func TestRetryDelayOutOfRange(t *testing.T) {
	for name, c := range map[string]struct {
		asked, want time.Duration
	}{
		"above the limit": {13 * time.Hour, 12 * time.Hour},
		"negative":        {-time.Minute, 0},
	} {
		for source, h := range map[string]inproq.Handler[string]{
			"Retry": func(_ context.Context, b *inproq.MessageBatch[string]) error {
				b.Messages[0].Retry(inproq.Delay(c.asked))
				return nil
			},
			"RetryAll": func(_ context.Context, b *inproq.MessageBatch[string]) error {
				b.RetryAll(inproq.Delay(c.asked))
				return nil
			},
			"Backoff": consumeFail,
		} {
			t.Run(source+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := consumeRun(t, inproq.ConsumerConfig{
						MaxBatchTimeout: inproq.NoWait, Backoff: func(int) time.Duration { return c.asked },
					}, consumeScript(h), "a")
					warnings := r.log.find("retry delay out of range")
					consumePass(14 * time.Hour)
					assert.Equal(t, []time.Duration{0, c.want}, r.times("a"))
					if source == "Backoff" {
						assert.Empty(t, warnings)
						return
					}
					require.Len(t, warnings, 1)
					assert.Equal(t, slog.LevelWarn, warnings[0].Level)
				})
			})
		}
	}
}

// Backoff gets the number of deliveries so far.
func TestRetryBackoffByAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{
			MaxBatchTimeout: inproq.NoWait,
			Backoff:         func(attempts int) time.Duration { return time.Duration(attempts) * time.Minute },
		}, consumeFail, "a")
		consumePass(time.Hour)
		assert.Equal(t, []time.Duration{0, time.Minute, 3 * time.Minute, 6 * time.Minute}, r.times("a"))
	})
}

func TestRetryBackoffPanicFallsToRetryDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{
			MaxBatchTimeout: inproq.NoWait, RetryDelay: time.Minute, MaxRetries: 1,
			Backoff: func(int) time.Duration { panic("no idea") },
		}, consumeScript(consumeFail), "a")
		consumePass(time.Hour)
		assert.Equal(t, []time.Duration{0, time.Minute}, r.times("a"))
		assert.Len(t, r.log.find("backoff failed"), 1)
		assert.Zero(t, r.backlog("jobs"))
	})
}

// A delay counts from the settlement and is exact: never early, not a moment late.
func TestRetryDelayIsExact(t *testing.T) {
	for _, delay := range []time.Duration{
		time.Millisecond, 17 * time.Millisecond, time.Second, 59*time.Second + 999*time.Millisecond, 61 * time.Minute, 12 * time.Hour,
	} {
		t.Run(delay.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := consumeRun(t, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}, consumeScript(func(_ context.Context, b *inproq.MessageBatch[string]) error {
					b.RetryAll(inproq.Delay(delay))
					time.Sleep(3 * time.Second)
					return nil
				}), "a")
				consumePass(3*time.Second + delay - 1)
				require.Len(t, r.all(), 1, "never early")
				consumePass(1)
				assert.Equal(t, []time.Duration{0, 3*time.Second + delay}, r.times("a"))
			})
		})
	}
}

// Delays that are no whole milliseconds end less than one late, and never early.
func TestRetryDelayOfFractions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var settled sync.Map
		r := consumeRun(t, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}, consumeScript(func(_ context.Context, b *inproq.MessageBatch[string]) error {
			for i, m := range b.Messages {
				delay := time.Duration(i)*777*time.Microsecond + time.Duration(i)
				m.Retry(inproq.Delay(delay))
				settled.Store(m.Body, delay)
			}
			return nil
		}), "a", "b", "c", "d", "e", "f", "g")
		consumePass(time.Minute)
		settled.Range(func(body, delay any) bool {
			at := r.times(body.(string))
			require.Len(t, at, 2)
			assert.GreaterOrEqual(t, at[1], delay.(time.Duration))
			assert.Less(t, at[1], delay.(time.Duration)+time.Millisecond)
			return true
		})
	})
}

// The time in which a batch fills begins when a message becomes ready, not when
// it was sent or retried.
func TestBatchFillBeginsWhenReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{MaxBatchTimeout: 5 * time.Second, RetryDelay: 20 * time.Second}, consumeScript(consumeFail))
		_, err := r.queue.Send(t.Context(), "a", inproq.Delay(10*time.Second))
		require.NoError(t, err)
		consumePass(time.Minute)
		assert.Equal(t, []time.Duration{15 * time.Second, 40 * time.Second}, r.times("a"))
	})
}
