package inproq_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// consumeFailures are the ways in which an invocation fails, with MaxDuration 10 s.
var consumeFailures = map[string]func() error{
	"error":   func() error { return errConsume },
	"panic":   func() error { panic("jammed") },
	"goexit":  func() error { runtime.Goexit(); return nil },
	"timeout": func() error { time.Sleep(11 * time.Second); return nil },
}

// consumeAcks acknowledge the first message.
var consumeAcks = map[string]func(*inproq.MessageBatch[string]){
	"Ack":    func(b *inproq.MessageBatch[string]) { b.Messages[0].Ack() },
	"AckAll": func(b *inproq.MessageBatch[string]) { b.AckAll() },
}

func TestSettleAcknowledgementSurvivesFailure(t *testing.T) {
	for name, fail := range consumeFailures {
		for call, ack := range consumeAcks {
			t.Run(call+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := consumeRun(t, inproq.ConsumerConfig{
						MaxBatchSize: 2, MaxBatchTimeout: inproq.NoWait, MaxDuration: 10 * time.Second,
					}, consumeScript(func(_ context.Context, b *inproq.MessageBatch[string]) error {
						ack(b)
						return fail()
					}), "first", "second")
					consumePass(time.Minute)
					assert.Len(t, r.of("first"), 1)
					want := 2 // without a call of its own it is retried
					if call == "AckAll" {
						want = 1
					}
					assert.Len(t, r.of("second"), want)
					assert.EqualValues(t, 1, r.stats().FailedBatches)
					assert.Zero(t, r.backlog("jobs"))
				})
			})
		}
	}
}

// What the calls of one handler make of the delay of the only message, where the
// consumer's is seven minutes.
func TestSettleDelayOfRepeatedRetries(t *testing.T) {
	for _, c := range []struct {
		rule  string
		calls func(b *inproq.MessageBatch[string], m *inproq.Message[string])
		delay time.Duration
	}{
		{"the last delay wins", func(_ *inproq.MessageBatch[string], m *inproq.Message[string]) {
			m.Retry(inproq.Delay(2 * time.Minute))
			m.Retry(inproq.Delay(time.Minute))
		}, time.Minute},
		{"a bare Retry clears an earlier delay", func(_ *inproq.MessageBatch[string], m *inproq.Message[string]) {
			m.Retry(inproq.Delay(time.Minute))
			m.Retry()
		}, 7 * time.Minute},
		{"a bare Retry falls to the delay of RetryAll", func(b *inproq.MessageBatch[string], m *inproq.Message[string]) {
			m.Retry(inproq.Delay(time.Minute))
			m.Retry()
			b.RetryAll(inproq.Delay(2 * time.Minute))
		}, 2 * time.Minute},
		{"a bare RetryAll keeps the earlier delay", func(b *inproq.MessageBatch[string], _ *inproq.Message[string]) {
			b.RetryAll(inproq.Delay(time.Minute))
			b.RetryAll()
		}, time.Minute},
		{"a later RetryAll replaces the delay", func(b *inproq.MessageBatch[string], _ *inproq.Message[string]) {
			b.RetryAll(inproq.Delay(time.Minute))
			b.RetryAll(inproq.Delay(2 * time.Minute))
		}, 2 * time.Minute},
		{"a message sets its own delay after RetryAll", func(b *inproq.MessageBatch[string], m *inproq.Message[string]) {
			b.RetryAll(inproq.Delay(time.Minute))
			m.Retry(inproq.Delay(2 * time.Minute))
		}, 2 * time.Minute},
		{"a bare Retry after RetryAll keeps its delay", func(b *inproq.MessageBatch[string], m *inproq.Message[string]) {
			b.RetryAll(inproq.Delay(time.Minute))
			m.Retry()
		}, time.Minute},
	} {
		t.Run(c.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := consumeRun(t, inproq.ConsumerConfig{
					MaxBatchTimeout: inproq.NoWait, RetryDelay: 7 * time.Minute,
				}, consumeScript(func(_ context.Context, b *inproq.MessageBatch[string]) error {
					c.calls(b, b.Messages[0])
					return nil
				}), "a")
				consumePass(time.Hour)
				assert.Equal(t, []time.Duration{0, c.delay}, r.times("a"))
				assert.Empty(t, r.log.find("call ignored"))
			})
		})
	}
}

// Calls on a batch that is settled have no effect but one warning each.
func TestSettleLateCallsAreHarmless(t *testing.T) {
	for name, call := range map[string]func(*inproq.MessageBatch[string]){
		"Ack":      func(b *inproq.MessageBatch[string]) { b.Messages[0].Ack() },
		"Retry":    func(b *inproq.MessageBatch[string]) { b.Messages[0].Retry(inproq.Delay(time.Minute)) },
		"AckAll":   func(b *inproq.MessageBatch[string]) { b.AckAll() },
		"RetryAll": func(b *inproq.MessageBatch[string]) { b.RetryAll(inproq.Delay(time.Minute)) },
	} {
		for outcome, err := range map[string]error{"acked": nil, "retried": errConsume} {
			t.Run(name+"/"+outcome, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var late sync.WaitGroup
					r := consumeRun(t, inproq.ConsumerConfig{
						MaxBatchTimeout: inproq.NoWait, RetryDelay: 10 * time.Second,
					}, consumeScript(func(_ context.Context, b *inproq.MessageBatch[string]) error {
						late.Go(func() {
							time.Sleep(time.Second)
							call(b)
						})
						return err
					}), "a")
					late.Wait()
					consumePass(time.Hour)
					want := []time.Duration{0}
					if err != nil {
						want = append(want, 10*time.Second)
					}
					assert.Equal(t, want, r.times("a"))
					warnings := r.log.find("the batch is settled")
					require.Len(t, warnings, 1)
					assert.Equal(t, name, warnings[0].Attrs["call"])
				})
			})
		}
	}
}

// Calls from many goroutines are calls like any other: here half of the messages
// are acknowledged and half retried, at the same time.
func TestSettleCallsFromManyGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bodies := make([]string, 100)
		for i := range bodies {
			bodies[i] = string(rune('a' + i%2))
		}
		r := consumeRun(t, inproq.ConsumerConfig{MaxBatchSize: 100}, consumeScript(func(_ context.Context, b *inproq.MessageBatch[string]) error {
			var wg sync.WaitGroup
			for _, m := range b.Messages {
				wg.Go(func() {
					if m.Body == "a" {
						m.Ack()
					} else {
						m.Retry(inproq.Delay(time.Minute))
					}
				})
			}
			wg.Wait()
			return errConsume
		}), bodies...)
		consumePass(time.Hour)
		assert.Len(t, r.of("a"), 50)
		assert.Len(t, r.of("b"), 100)
	})
}
