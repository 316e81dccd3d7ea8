package queuetest_test

import (
	"context"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

const (
	twice   = "the message was acknowledged already: call of "
	against = "an earlier call has decided otherwise: call of "
	late    = "the batch was settled already: call of "
)

// idAndPlace are what a test cannot know.
var idAndPlace = regexp.MustCompile(` [0-9a-f]{32}| at \w+_test\.go:\d+$`)

// violations are what CheckAcks says of a queue's handler.
func violations(t *testing.T, h inproq.Handler[string], rules ...queuetest.AckRule) []string {
	t.Helper()
	f := &fakeT{TB: t}
	synctest.Test(t, func(t *testing.T) {
		b, q := newQueue(t, inproq.Config{Logger: quiet()})
		queuetest.CheckAcks(f, b, rules...)
		_, err := q.Consume(h, inproq.ConsumerConfig{MaxRetries: inproq.NoRetries})
		require.NoError(t, err)
		queuetest.Start(t, b)
		send(t, q, "a", "b")
		queuetest.Drain(t, b)
		synctest.Wait()
	})
	return shorten(f.errors)
}

func shorten(errs []string) []string {
	var list []string
	for _, e := range errs {
		list = append(list, idAndPlace.ReplaceAllString(e, ""))
	}
	return list
}

// calling makes a handler of calls on a batch.
func calling(calls ...call) inproq.Handler[string] {
	return func(_ context.Context, b *inproq.MessageBatch[string]) error {
		for _, c := range calls {
			c(b)
		}
		return nil
	}
}

// Each violation is reported, once.
func TestCheckAcks(t *testing.T) {
	const a, batch = `queuetest: queue "q", message "a": inproq: `, `queuetest: queue "q", a batch: inproq: `
	tests := map[string]struct {
		handler inproq.Handler[string]
		want    []string
	}{
		"nothing":       {calling(), nil},
		"an error":      {func(context.Context, *inproq.MessageBatch[string]) error { return errBoom }, nil},
		"Ack":           {calling(ack), nil},
		"Ack, Ack":      {calling(ack, ack), []string{a + twice + "Ack"}},
		"Ack, Ack, Ack": {calling(ack, ack, ack), []string{a + twice + "Ack", a + twice + "Ack"}},
		"Ack, Retry":    {calling(ack, retry), []string{a + against + "Retry"}},
		"Ack, AckAll":   {calling(ack, ackAll), nil},
		"Ack, AckAll, Ack": {
			calling(ack, ackAll, ack), []string{a + twice + "Ack"},
		},
		"Ack, RetryAll":  {calling(ack, retryAll), nil},
		"Retry, Retry":   {calling(retry, retryIn(1)), nil},
		"Retry, Ack":     {calling(retry, ack), []string{a + against + "Ack"}},
		"AckAll, Ack":    {calling(ackAll, ack), nil},
		"AckAll, AckAll": {calling(ackAll, ackAll), nil},
		"AckAll, Retry":  {calling(ackAll, retry), []string{a + against + "Retry"}},
		"AckAll, RetryAll": {
			calling(ackAll, retryAll), []string{batch + against + "RetryAll"},
		},
		"RetryAll, Retry":    {calling(retryAll, retry), nil},
		"RetryAll, Ack":      {calling(retryAll, ack), []string{a + against + "Ack"}},
		"RetryAll, AckAll":   {calling(retryAll, ackAll), []string{batch + against + "AckAll"}},
		"RetryAll, RetryAll": {calling(retryAll, retryAll), nil},
		"Each":               {refuse("b"), nil},
		"Each with its own calls": {inproq.Each(func(_ context.Context, m *inproq.Message[string]) error {
			if m.Body == "a" {
				m.Ack()
				return errBoom
			}
			m.Retry()
			return nil
		}), nil},
		"Each that acks twice": {inproq.Each(func(_ context.Context, m *inproq.Message[string]) error {
			m.Ack()
			if m.Body == "a" {
				m.Ack()
			}
			return nil
		}), []string{a + twice + "Ack"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, violations(t, test.handler))
		})
	}
}

func TestCheckAcksAfterTheSettlement(t *testing.T) {
	const a, batch = `queuetest: queue "q", message "a": inproq: `, `queuetest: queue "q", a batch: inproq: `
	tests := map[string]struct {
		before, after call
		want          string
	}{
		"Ack, Ack":       {ack, ack, a + late + "Ack"},
		"nothing, Ack":   {func(*inproq.MessageBatch[string]) {}, ack, a + late + "Ack"},
		"AckAll, Ack":    {ackAll, ack, a + late + "Ack"},
		"Retry, Retry":   {retry, retry, a + late + "Retry"},
		"Ack, AckAll":    {ack, ackAll, batch + late + "AckAll"},
		"Ack, RetryAll":  {ack, retryAll, batch + late + "RetryAll"},
		"RetryAll again": {retryAll, retryAll, batch + late + "RetryAll"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := &fakeT{TB: t}
			synctest.Test(t, func(t *testing.T) {
				b, q := newQueue(t, inproq.Config{Logger: quiet()})
				queuetest.CheckAcks(f, b)
				_, err := q.Consume(func(_ context.Context, b *inproq.MessageBatch[string]) error {
					test.before(b)
					time.AfterFunc(time.Second, func() { test.after(b) })
					return nil
				}, inproq.ConsumerConfig{MaxRetries: inproq.NoRetries})
				require.NoError(t, err)
				queuetest.Start(t, b)
				send(t, q, "a", "b")
				queuetest.Drain(t, b)
				time.Sleep(time.Minute)
			})
			assert.Equal(t, []string{test.want}, shorten(f.errors))
		})
	}
}

// What was pulled is settled piece by piece.
func TestCheckAcksOfPulledBatches(t *testing.T) {
	const a = `queuetest: queue "q", message "a": inproq: `
	settle := func(b *inproq.PulledBatch[string]) { _, _ = b.Settle(context.Background()) }
	ack := func(b *inproq.PulledBatch[string]) { b.Messages[0].Ack() }
	retry := func(b *inproq.PulledBatch[string]) { b.Messages[0].Retry(inproq.Delay(time.Hour)) }
	ackAll := func(b *inproq.PulledBatch[string]) { b.AckAll() }
	retryAll := func(b *inproq.PulledBatch[string]) { b.RetryAll() }
	tests := map[string]struct {
		calls []func(*inproq.PulledBatch[string])
		want  []string
	}{
		"Ack, Settle":             {[]func(*inproq.PulledBatch[string]){ack, settle}, nil},
		"Ack, Ack":                {[]func(*inproq.PulledBatch[string]){ack, ack}, []string{a + twice + "Ack"}},
		"Ack, Retry":              {[]func(*inproq.PulledBatch[string]){ack, retry}, []string{a + against + "Retry"}},
		"Ack, Settle, Ack":        {[]func(*inproq.PulledBatch[string]){ack, settle, ack}, []string{a + twice + "Ack"}},
		"Retry, Retry":            {[]func(*inproq.PulledBatch[string]){retry, retry}, nil},
		"Retry, Settle, Retry":    {[]func(*inproq.PulledBatch[string]){retry, settle, retry}, []string{a + late + "Retry"}},
		"Retry, Settle, Ack":      {[]func(*inproq.PulledBatch[string]){retry, settle, ack}, []string{a + against + "Ack"}},
		"AckAll, Ack":             {[]func(*inproq.PulledBatch[string]){ackAll, ack}, nil},
		"AckAll, Settle, Ack":     {[]func(*inproq.PulledBatch[string]){ackAll, settle, ack}, nil},
		"RetryAll, Settle, Ack":   {[]func(*inproq.PulledBatch[string]){retryAll, settle, ack}, []string{a + against + "Ack"}},
		"Settle, Ack, Settle":     {[]func(*inproq.PulledBatch[string]){settle, ack, settle}, nil},
		"Ack, Settle, RetryAll":   {[]func(*inproq.PulledBatch[string]){ack, settle, retryAll}, nil},
		"RetryAll, AckAll":        {[]func(*inproq.PulledBatch[string]){retryAll, ackAll}, []string{`queuetest: queue "q", a batch: inproq: ` + against + "AckAll"}},
		"RetryAll, Retry, Settle": {[]func(*inproq.PulledBatch[string]){retryAll, retry, settle}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b, q := newQueue(t, inproq.Config{Logger: quiet()})
			f := &fakeT{TB: t}
			queuetest.CheckAcks(f, b, queuetest.NoImplicitAcks)
			p, err := q.PullConsumer(inproq.PullConfig{})
			require.NoError(t, err)
			send(t, q, "a", "b")
			batch, err := p.Pull(t.Context())
			require.NoError(t, err)
			for _, c := range test.calls {
				c(batch)
			}
			assert.Equal(t, test.want, shorten(f.errors))
		})
	}
}

func TestNoImplicitAcks(t *testing.T) {
	const implicit = ": acknowledged only because the handler returned nil: no call has decided it"
	a, b := `queuetest: queue "q", message "a"`+implicit, `queuetest: queue "q", message "b"`+implicit
	tests := map[string]struct {
		handler inproq.Handler[string]
		want    []string
	}{
		"nothing":  {calling(), []string{a, b}},
		"one":      {calling(ack), []string{b}},
		"a retry":  {calling(retry), []string{b}},
		"AckAll":   {calling(ackAll), nil},
		"RetryAll": {calling(retryAll), nil},
		"Each":     {refuse("b"), nil},
		"an error": {func(context.Context, *inproq.MessageBatch[string]) error { return errBoom }, nil},
		"a Go function": {func(_ context.Context, b *inproq.MessageBatch[string]) error {
			b.Go(func(context.Context) error { b.AckAll(); return nil })
			return nil
		}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, violations(t, test.handler, queuetest.NoImplicitAcks))
			assert.Empty(t, violations(t, test.handler), "it was not asked for")
		})
	}
}

func TestCheckAcksSaysWhereTheCallIs(t *testing.T) {
	b, q := newQueue(t, inproq.Config{Logger: quiet()})
	f := &fakeT{TB: t}
	queuetest.CheckAcks(f, b)
	_, err := q.Consume(inproq.Each(func(_ context.Context, m *inproq.Message[string]) error {
		m.Ack()
		m.Ack()
		return nil
	}), inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
	require.NoError(t, err)
	queuetest.Start(t, b)
	res, err := q.Send(t.Context(), "a")
	require.NoError(t, err)
	queuetest.Drain(t, b)
	require.Len(t, f.errors, 1)
	assert.Regexp(t, `message `+res.ID.String()+` "a": .* call of Ack at acks_test\.go:\d+$`, f.errors[0])
}

func TestCheckAcksEndsWithTheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, q := newQueue(t, inproq.Config{Logger: quiet()})
		_, err := q.Consume(calling(ack, ack), inproq.ConsumerConfig{})
		require.NoError(t, err)
		queuetest.Start(t, b)
		f := &fakeT{TB: t}
		f.run(func() { queuetest.CheckAcks(f, b) })
		send(t, q, "a")
		queuetest.Drain(t, b)
		assert.Empty(t, f.errors)
	})
}

func TestCheckAcksRefusesUnknownRules(t *testing.T) {
	b, _ := newQueue(t, inproq.Config{})
	f := &fakeT{TB: t}
	f.run(func() { queuetest.CheckAcks(f, b, 7) })
	assert.Equal(t, []string{"queuetest: unknown rule 7, allowed: NoImplicitAcks"}, f.errors)
	assert.True(t, f.fatal)
}
