package queuetest_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

var errBoom = errors.New("boom")

func batchOf(bodies ...string) *inproq.MessageBatch[string] {
	return queuetest.NewBatch("q", queuetest.Messages(bodies...)...)
}

func idsOf[T any](b *inproq.MessageBatch[T]) []inproq.MessageID {
	var ids []inproq.MessageID
	for _, m := range b.Messages {
		ids = append(ids, m.ID)
	}
	return ids
}

func TestMessagesMakesOneOfEachBody(t *testing.T) {
	msgs := queuetest.Messages("a", "b")
	require.Len(t, msgs, 2)
	assert.Equal(t, "a", msgs[0].Body)
	assert.Equal(t, "b", msgs[1].Body)
	assert.Empty(t, queuetest.Messages[string]())
}

func TestNewBatchFillsInWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := batchOf("a", "b")
		assert.Equal(t, "q", b.Queue)
		require.Len(t, b.Messages, 2)
		for i, id := range []string{"00000000000000000000000000000001", "00000000000000000000000000000002"} {
			m := b.Messages[i]
			assert.Equal(t, id, m.ID.String())
			assert.Equal(t, time.Now(), m.Timestamp)
			assert.Equal(t, 1, m.Attempts)
			assert.Equal(t, inproq.JSON, m.ContentType)
		}
		assert.Equal(t, "a", b.Messages[0].Body)
		assert.Equal(t, "b", b.Messages[1].Body)
	})
}

func TestNewBatchKeepsWhatIsGiven(t *testing.T) {
	given := inproq.Message[[]byte]{
		ID:          inproq.MessageID{1, 2, 3},
		Timestamp:   time.Date(2020, 1, 2, 3, 4, 5, 6, time.UTC),
		Attempts:    7,
		Body:        []byte("body"),
		ContentType: inproq.Bytes,
		Headers:     map[string]string{"Trace": "1"},
	}
	got := queuetest.NewBatch("q", given).Messages[0]
	assert.Equal(t, given.ID, got.ID)
	assert.Equal(t, given.Timestamp, got.Timestamp)
	assert.Equal(t, given.Attempts, got.Attempts)
	assert.Equal(t, given.Body, got.Body)
	assert.Equal(t, given.ContentType, got.ContentType)
	assert.Equal(t, given.Headers, got.Headers)
}

// A table of tests may share one list of messages.
func TestBatchesOfOneListAreIndependent(t *testing.T) {
	msgs := queuetest.Messages("a")
	first, second := queuetest.NewBatch("q", msgs...), queuetest.NewBatch("q", msgs...)
	first.Messages[0].Retry()
	assert.Empty(t, queuetest.ResultOf(second, nil).Retried())
	assert.Equal(t, []string{"a"}, queuetest.ResultOf(first, nil).Retried())
}

func TestMadeMessageCanBeADeadLetter(t *testing.T) {
	want := inproq.DeadLetter{
		Queue: "orders", Attempts: 4, Reason: inproq.RetriesExhausted, Error: "no route", Time: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	headers := map[string]string{"Trace": "1"}
	msg := inproq.Message[string]{Body: "a", Headers: headers}
	b := queuetest.NewBatch("dead", queuetest.DeadLetter(msg, want), inproq.Message[string]{})
	assert.Equal(t, "a", b.Messages[0].Body)
	assert.Equal(t, "1", b.Messages[0].Headers["Trace"], "what it was sent with stays")
	assert.Len(t, headers, 1, "the given ones are not changed")
	got, ok := b.Messages[0].DeadLetter()
	assert.True(t, ok)
	assert.Equal(t, want, got)
	_, ok = b.Messages[1].DeadLetter()
	assert.False(t, ok)
}

func TestDeadLetterFillsInWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := queuetest.DeadLetter(inproq.Message[string]{}, inproq.DeadLetter{Queue: "orders", Error: "two\nlines"})
		got, ok := m.DeadLetter()
		assert.True(t, ok)
		assert.Equal(t, inproq.DeadLetter{
			Queue: "orders", Attempts: 4, Reason: inproq.RetriesExhausted, Error: "two lines", Time: time.Now().UTC(),
		}, got)
	})
}

func TestDeliverCallsTheHandlerWithTheContextAndTheBatch(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "value")
	b := batchOf("a")
	r := queuetest.Deliver(ctx, func(ctx context.Context, got *inproq.MessageBatch[string]) error {
		assert.Same(t, b, got)
		assert.Equal(t, "value", ctx.Value(key{}))
		got.Go(func(ctx context.Context) error {
			assert.Equal(t, "value", ctx.Value(key{}))
			return nil
		})
		return nil
	}, b)
	assert.NoError(t, r.Err)
}

func TestContextOfAGoFunctionEndsWithDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r := queuetest.Deliver(ctx, func(_ context.Context, b *inproq.MessageBatch[string]) error {
			b.Go(func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			})
			return nil
		}, batchOf("a"))
		assert.ErrorIs(t, r.Err, context.DeadlineExceeded)
	})
}

// What a handler has left running learns that the batch is settled.
func TestContextsEndWithTheSettlement(t *testing.T) {
	var handlers, functions context.Context
	queuetest.Deliver(t.Context(), func(ctx context.Context, b *inproq.MessageBatch[string]) error {
		handlers = ctx
		b.Go(func(ctx context.Context) error {
			functions = ctx
			return ctx.Err()
		})
		return ctx.Err()
	}, batchOf("a"))
	assert.ErrorIs(t, handlers.Err(), context.Canceled)
	assert.ErrorIs(t, functions.Err(), context.Canceled)
	assert.NoError(t, t.Context().Err())
}

// The ways in which an invocation ends, for a batch whose messages have no calls
// of their own.
func TestDeliverReportsHowTheInvocationEnded(t *testing.T) {
	spawn := func(fn func(context.Context) error) inproq.Handler[string] {
		return func(_ context.Context, b *inproq.MessageBatch[string]) error { b.Go(fn); return nil }
	}
	tests := map[string]struct {
		handler inproq.Handler[string]
		want    string // "": no failure
		is      error
	}{
		"nil":                {handler: func(context.Context, *inproq.MessageBatch[string]) error { return nil }},
		"error":              {func(context.Context, *inproq.MessageBatch[string]) error { return errBoom }, "boom", errBoom},
		"panic":              {func(context.Context, *inproq.MessageBatch[string]) error { panic("ouch") }, "handler panicked: ouch", nil},
		"panic with error":   {func(context.Context, *inproq.MessageBatch[string]) error { panic(errBoom) }, "handler panicked: boom", errBoom},
		"Go function":        {handler: spawn(func(context.Context) error { return nil })},
		"Go function fails":  {spawn(func(context.Context) error { return errBoom }), "boom", errBoom},
		"Go function panics": {spawn(func(context.Context) error { panic("ouch") }), "handler panicked: ouch", nil},
		"Go function exits":  {spawn(func(context.Context) error { runtime.Goexit(); return nil }), "handler called runtime.Goexit", nil},
		"handler and Go function fail": {func(_ context.Context, b *inproq.MessageBatch[string]) error {
			b.Go(func(context.Context) error { return errBoom })
			return errors.New("ouch")
		}, "ouch\nboom", errBoom},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := batchOf("a", "b")
			r := queuetest.Deliver(t.Context(), test.handler, b)
			if test.want == "" {
				assert.NoError(t, r.Err)
				assert.Equal(t, []string{"a", "b"}, r.Acked())
				assert.Empty(t, r.Retried())
				return
			}
			assert.EqualError(t, r.Err, test.want)
			if test.is != nil {
				assert.ErrorIs(t, r.Err, test.is)
			}
			assert.Empty(t, r.Acked())
			assert.Equal(t, []string{"a", "b"}, r.Retried())
			for _, f := range r.Fates {
				assert.Equal(t, r.Err, f.Cause)
			}
		})
	}
}

// Deliver waits for the functions, also for those that functions start, and what
// they call counts.
func TestDeliverWaitsForGoFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := batchOf("a", "b", "c")
		began := time.Now()
		r := queuetest.Deliver(t.Context(), func(_ context.Context, b *inproq.MessageBatch[string]) error {
			b.Go(func(context.Context) error {
				time.Sleep(time.Second)
				b.Messages[0].Retry(inproq.Delay(time.Hour))
				b.Go(func(context.Context) error {
					time.Sleep(time.Second)
					b.Messages[1].Retry()
					return nil
				})
				return nil
			})
			return nil
		}, b)
		assert.Equal(t, 2*time.Second, time.Since(began))
		assert.Equal(t, []string{"a", "b"}, r.Retried())
		assert.Equal(t, []string{"c"}, r.Acked())
		assert.Equal(t, time.Hour, r.Fates[0].Delay)
	})
}

// The same batch, without Deliver.
func TestResultOfWaitsForGoFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := batchOf("a")
		b.Go(func(context.Context) error {
			time.Sleep(time.Second)
			return errBoom
		})
		assert.ErrorIs(t, queuetest.ResultOf(b, nil).Err, errBoom)
	})
}
