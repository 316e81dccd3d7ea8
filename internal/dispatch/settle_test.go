package dispatch

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/internal/headers"
	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/store"
)

func TestRetryDelays(t *testing.T) {
	const none = time.Duration(0)
	own := func(d time.Duration) settlement.Verdict { return settlement.Verdict{Delay: d, HasDelay: true} }
	backoff := func(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }
	cases := []struct {
		name    string
		verdict settlement.Verdict
		backoff func(int) time.Duration
		want    time.Duration
	}{
		{"the consumer's delay", settlement.Verdict{}, nil, time.Minute},
		{"a delay of its own beats it", own(time.Hour), nil, time.Hour},
		{"also when it is none", own(none), backoff(time.Hour), none},
		{"backoff beats the consumer's delay", settlement.Verdict{}, backoff(time.Second), time.Second},
		{"backoff of none", settlement.Verdict{}, backoff(none), none},
		{"backoff is clamped below", settlement.Verdict{}, backoff(-time.Second), none},
		{"backoff is clamped above", settlement.Verdict{}, backoff(24 * time.Hour), 12 * time.Hour},
		{"backoff that panics", settlement.Verdict{}, func(int) time.Duration { panic("no delay today") }, time.Minute},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, succeed)
				s := Settings{RetryDelay: time.Minute, Backoff: c.backoff, MaxDelay: 12 * time.Hour}
				assert.Equal(t, c.want, r.retryDelay(&s, c.verdict, 1))
			})
		})
	}
}

func TestBackoffIsAskedWithTheAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		fail := func(context.Context, *Batch) error { return errors.New("refused") }
		r := start(t, fail, with(func(s *Settings) {
			s.BatchSize = 1
			s.Backoff = func(attempts int) time.Duration { return time.Duration(attempts) * time.Minute }
		}))
		r.send(1)
		time.Sleep(time.Hour)
		var at []time.Duration
		for _, x := range r.seen.batches() {
			at = append(at, x.at.Sub(began).Round(time.Second))
		}
		assert.Equal(t, []time.Duration{0, time.Minute, 3 * time.Minute, 6 * time.Minute}, at)
	})
}

// TestBackoffThatEndsItsGoroutineDoesNotEndTheEngine: a failed assertion in a
// user's test does that.
func TestBackoffThatEndsItsGoroutineDoesNotEndTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := func(context.Context, *Batch) error { return errors.New("refused") }
		r := start(t, fail, with(func(s *Settings) {
			s.BatchSize, s.MaxRetries, s.MaxDuration = 1, 1, time.Minute
			s.Backoff = func(int) time.Duration { runtime.Goexit(); return 0 }
		}))
		r.send(2)
		time.Sleep(time.Hour)
		assert.Equal(t, []int{1, 1, 2, 2}, r.seen.attempts(), "the messages come again when their leases have run out")
		assert.Zero(t, r.State().Running)
		assert.Zero(t, r.stats().Messages)
	})
}

func TestExhaustedMessagesAreDeadLettered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(_ context.Context, b *Batch) error {
			b.Ack(0)
			b.Retry(1, settlement.Retry{Cause: errors.New("own cause"), HasDelay: true, Delay: time.Hour})
			b.Withhold(2, errors.New("not JSON"))
			return errors.New("refused")
		}, with(func(s *Settings) { s.BatchSize, s.MaxRetries, s.DeadLetterQueue = 4, 0, "dead" }))
		r.create("dead")
		r.send(4)
		sent := time.Now()
		synctest.Wait()
		assert.Zero(t, r.stats().Messages)
		dead := r.peek("dead")
		require.Len(t, dead, 3)
		want := []headers.DeadLetter{
			{Queue: "q", Attempts: 1, Reason: RetriesExhausted, Error: "own cause", Time: sent.UTC()},
			{Queue: "q", Attempts: 1, Reason: Undecodable, Error: "not JSON", Time: sent.UTC()},
			{Queue: "q", Attempts: 1, Reason: RetriesExhausted, Error: "refused", Time: sent.UTC()},
		}
		for i := range dead {
			assert.Equal(t, i+2, number(&dead[i]))
			assert.Zero(t, dead[i].Attempts)
			h, err := headers.Decode(dead[i].Headers)
			require.NoError(t, err)
			letter, _ := headers.ParseDeadLetter(h)
			assert.Equal(t, want[i], letter)
		}
		assert.Len(t, r.spy.calls(store.Ack), 1, "one call settles the batch")
		assert.Empty(t, r.spy.calls(store.Move))
		assert.EqualValues(t, 1, r.cfg.Counters.Undecodable.Load())
		logged := r.book.find("message dead-lettered")
		require.Len(t, logged, 3)
		assert.Equal(t, "dead", attr(logged[1], "dead_letter_queue").String())
		assert.Equal(t, Undecodable, attr(logged[1], "reason").String())
	})
}

func TestDeadLettersKeepTheirHeaders(t *testing.T) {
	cases := map[string]struct {
		stored []byte
		want   string
	}{
		"kept":      {headers.Encode(map[string]string{"Tenant": "seven"}), "seven"},
		"malformed": {[]byte{255, 1, 2}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, succeed)
				var o store.Outcome
				s := Settings{DeadLetterQueue: "dead"}
				r.last(&o, &s, &store.Delivery{Message: store.Message{Headers: c.stored}}, &spent{reason: Crashed})
				h, err := headers.Decode(o.Headers)
				require.NoError(t, err)
				assert.Equal(t, c.want, h["Tenant"])
				assert.Len(t, r.book.all(), len(name)/9, "what is dropped is logged")
			})
		})
	}
}

func TestMissingDeadLetterQueueIsCreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := func(context.Context, *Batch) error { return errors.New("refused") }
		r := start(t, fail, with(func(s *Settings) { s.MaxRetries, s.DeadLetterQueue = 0, "dead" }))
		r.send(10)
		synctest.Wait()
		assert.EqualValues(t, 10, r.statsOf("dead").Messages)
		assert.EqualValues(t, 10, r.cfg.Counters.DeadLettered.Load())
		assert.Len(t, r.spy.calls(store.Move), 2, "the settlement is repeated")
	})
}

func TestDeadLetterQueueThatCannotBeCreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0 // only by the one handler
		fail := func(context.Context, *Batch) error { return errors.New("refused") }
		r := start(t, fail, func(c *Config) {
			c.Settings.MaxRetries, c.Settings.DeadLetterQueue = 0, "dead"
			c.EnsureQueue = func(context.Context, string) error { asked++; return errors.New("no room") }
		})
		r.send(10)
		synctest.Wait()
		assert.Equal(t, 1, asked)
		assert.Len(t, r.spy.calls(store.Move), 2)
		assert.Len(t, r.book.find("dead-letter queue not created"), 1)
		assert.EqualValues(t, 10, r.stats().Leased, "the messages are kept")
		assert.Zero(t, r.cfg.Counters.DeadLettered.Load())
	})
}
