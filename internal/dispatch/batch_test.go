package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/store"
)

func detached(t *testing.T, n int) (*Batch, *logbook) {
	book := new(logbook)
	return NewDetached(t.Context(), n, time.Hour, slog.New(book)), book
}

func TestJoinWaitsForFunctionsAndThoseTheyStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := detached(t, 1)
		began := time.Now()
		b.Spawn(func(context.Context) error {
			time.Sleep(time.Minute)
			b.Spawn(func(context.Context) error {
				time.Sleep(time.Minute)
				b.Spawn(func(context.Context) error { time.Sleep(time.Minute); return nil })
				return nil
			})
			return nil
		})
		b.Spawn(func(context.Context) error { time.Sleep(30 * time.Second); return nil })
		require.NoError(t, b.Join(nil))
		assert.Equal(t, 3*time.Minute, time.Since(began))
	})
}

func TestJoinGathersWhatWentWrong(t *testing.T) {
	own, other := errors.New("own"), errors.New("other")
	cases := map[string]struct {
		err  error
		fns  []func(context.Context) error
		want []error
	}{
		"nothing":                {},
		"only the handler":       {own, []func(context.Context) error{ok}, []error{own}},
		"only a function":        {nil, []func(context.Context) error{ok, fails(other)}, []error{other}},
		"both":                   {own, []func(context.Context) error{fails(other)}, []error{own, other}},
		"a panic":                {nil, []func(context.Context) error{func(context.Context) error { panic(other) }}, []error{other}},
		"the end of a goroutine": {nil, []func(context.Context) error{func(context.Context) error { runtime.Goexit(); return nil }}, []error{errGoexit}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, _ := detached(t, 1)
				for _, fn := range c.fns {
					b.Spawn(fn)
				}
				err := b.Join(c.err)
				if len(c.want) == 0 {
					require.NoError(t, err)
				}
				for _, want := range c.want {
					require.ErrorIs(t, err, want)
				}
			})
		})
	}
}

func ok(context.Context) error { return nil }

func fails(err error) func(context.Context) error { return func(context.Context) error { return err } }

func TestSpawnAfterJoinDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, book := detached(t, 1)
		require.NoError(t, b.Join(nil))
		b.Spawn(func(context.Context) error { assert.Fail(t, "called"); return nil })
		synctest.Wait()
		require.Len(t, book.find("call ignored: the batch is settled"), 1)
	})
}

// TestFunctionsArePartOfTheInvocation: they hold its slot and its context, their
// calls count, and an error fails it.
func TestFunctionsArePartOfTheInvocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(_ context.Context, b *Batch) error {
			b.Spawn(func(ctx context.Context) error {
				time.Sleep(time.Minute)
				if ctx.Err() == nil {
					b.Ack(0)
				}
				return errors.New("refused")
			})
			return nil
		}, with(func(s *Settings) { s.RetryDelay = time.Hour }))
		r.send(20)
		time.Sleep(59 * time.Second)
		assert.Equal(t, 1, r.State().Running)
		assert.Len(t, r.seen.batches(), 1)
		time.Sleep(2 * time.Second)
		assert.EqualValues(t, 1, r.cfg.Counters.Acked.Load())
		assert.EqualValues(t, 9, r.cfg.Counters.Retried.Load())
		assert.Len(t, r.seen.batches(), 2)
		require.NoError(t, r.Stop(t.Context()))
	})
}

func TestPanicFailsTheBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(_ context.Context, b *Batch) error { b.Ack(3); panic("boom") }, with(func(s *Settings) { s.MaxRetries = 0 }))
		r.send(20)
		synctest.Wait()
		assert.EqualValues(t, 2, r.cfg.Counters.Acked.Load())
		assert.EqualValues(t, 18, r.cfg.Counters.Dropped.Load())
		assert.EqualValues(t, 2, r.cfg.Counters.FailedBatches.Load())
		logged := r.book.find("handler failed")
		require.Len(t, logged, 2)
		assert.EqualError(t, attr(logged[0], "err").Any().(error), "handler panicked: boom")
		assert.Contains(t, attr(logged[0], "stack").String(), "TestPanicFailsTheBatch")
	})
}

func TestPanicErrorUnwrapsWhatIsAnError(t *testing.T) {
	cause := errors.New("cause")
	require.NoError(t, Protect(func() error { return nil }))
	assert.Equal(t, cause, Protect(func() error { return cause }))
	err := Protect(func() error { panic(cause) })
	require.ErrorIs(t, err, cause)
	err = Protect(func() error { panic("text") })
	p, isPanic := errors.AsType[*PanicError](err)
	require.True(t, isPanic)
	assert.Equal(t, "text", p.Value)
	assert.NoError(t, p.Unwrap())
	assert.NotEmpty(t, p.Stack)
	err = Protect(func() error { panic(nil) })
	_, isNil := errors.AsType[*runtime.PanicNilError](err)
	assert.True(t, isNil)
}

func TestWithheldMessageIsRetriedAsUndecodable(t *testing.T) {
	b, book := detached(t, 2)
	b.Deliveries = make([]store.Delivery, 2)
	b.Deliveries[1].Attempts = 7
	cause := errors.New("not JSON")
	b.Withhold(1, cause)
	require.True(t, b.Seal())
	record := b.Record()
	assert.Equal(t, settlement.Verdict{}, record.Verdict(0, nil))
	assert.Equal(t, settlement.Verdict{Retry: true, Cause: cause, Undecodable: true}, record.Verdict(1, nil))
	assert.EqualValues(t, 1, b.counters.Undecodable.Load())
	logged := book.find("message does not decode")
	require.Len(t, logged, 1)
	assert.EqualValues(t, 7, attr(logged[0], "attempts").Int64())
}

func TestRetryDelayIsClamped(t *testing.T) {
	b, book := detached(t, 1)
	for d, want := range map[time.Duration]time.Duration{0: 0, time.Hour: time.Hour, time.Second: time.Second} {
		assert.Equal(t, want, b.ClampDelay(d))
	}
	assert.Empty(t, book.all())
	assert.Equal(t, time.Hour, b.ClampDelay(time.Hour+1))
	assert.Equal(t, time.Duration(0), b.ClampDelay(-1))
	assert.Len(t, book.find("retry delay out of range"), 2)
}

func TestRemarkLogsWhatHadNoEffect(t *testing.T) {
	for effect, text := range map[settlement.Effect]string{
		settlement.Recorded:  "",
		settlement.Redundant: "",
		settlement.Ignored:   "call ignored: an earlier one has decided otherwise",
		settlement.Late:      "call ignored: the batch is settled",
	} {
		b, book := detached(t, 1)
		b.Remark("Ack", 0, store.ID{15: 10}, effect)
		if text == "" {
			assert.Empty(t, book.all())
			continue
		}
		require.Len(t, book.all(), 1)
		assert.Equal(t, text, book.all()[0].Message)
		assert.Equal(t, "Ack", attr(book.all()[0], "call").String())
		assert.Equal(t, "0000000000000000000000000000000a", attr(book.all()[0], "message_id").String())
	}
}
