package queuetest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

func TestRecorderKeepsASend(t *testing.T) {
	rec := queuetest.NewRecorder[string](t)
	first, err := rec.Send(t.Context(), "plain")
	require.NoError(t, err)
	second, err := rec.Send(t.Context(), "with options",
		inproq.Delay(time.Minute), inproq.ContentAs("TEXT"), inproq.Header("Trace", "1"), inproq.Header("Tenant", "x"))
	require.NoError(t, err)

	assert.Equal(t, []queuetest.Sent[string]{
		{ID: first.ID, Body: "plain", Encoded: []byte(`"plain"`), ContentType: inproq.JSON},
		{
			ID: second.ID, Body: "with options", Encoded: []byte("with options"), ContentType: inproq.Text,
			Delay: time.Minute, Headers: map[string]string{"Trace": "1", "Tenant": "x"},
		},
	}, rec.Sent())
	assert.Equal(t, []string{"plain", "with options"}, rec.Bodies())
	assert.NotEqual(t, first.ID, second.ID)
}

// Options of the batch apply to each message that does not say otherwise.
func TestRecorderKeepsABatch(t *testing.T) {
	rec := queuetest.NewRecorder[string](t)
	res, err := rec.SendBatch(t.Context(), []inproq.MessageSendRequest[string]{
		{Body: "common"},
		{Body: "own", ContentType: inproq.Text, Delay: time.Second, Headers: map[string]string{"Batch": "2", "Own": "3"}},
		{Body: "at once", Delay: inproq.NoDelay},
	}, inproq.Delay(time.Minute), inproq.Header("Batch", "1"))
	require.NoError(t, err)
	require.Len(t, res.IDs, 3)

	batch := map[string]string{"Batch": "1"}
	assert.Equal(t, []queuetest.Sent[string]{
		{ID: res.IDs[0], Body: "common", Encoded: []byte(`"common"`), ContentType: inproq.JSON, Delay: time.Minute, Headers: batch},
		{
			ID: res.IDs[1], Body: "own", Encoded: []byte("own"), ContentType: inproq.Text, Delay: time.Second,
			Headers: map[string]string{"Batch": "2", "Own": "3"},
		},
		{ID: res.IDs[2], Body: "at once", Encoded: []byte(`"at once"`), ContentType: inproq.JSON, Headers: batch},
	}, rec.Sent())
	assert.Equal(t, []string{"common", "own", "at once"}, rec.Bodies())
}

func TestRecorderSendsAsItsQueueWould(t *testing.T) {
	rec := queuetest.NewRecorder[string](t, inproq.QueueConfig{DeliveryDelay: time.Hour, ContentType: inproq.Text})
	_, err := rec.Send(t.Context(), "as the queue says")
	require.NoError(t, err)
	_, err = rec.Send(t.Context(), "otherwise", inproq.Delay(0), inproq.ContentAs(inproq.JSON))
	require.NoError(t, err)
	sent := rec.Sent()
	assert.Equal(t, time.Hour, sent[0].Delay)
	assert.Equal(t, inproq.Text, sent[0].ContentType)
	assert.Zero(t, sent[1].Delay)
	assert.Equal(t, inproq.JSON, sent[1].ContentType)
}

func TestRecorderResultHasTheBacklog(t *testing.T) {
	rec := queuetest.NewRecorder[string](t)
	for want := range 3 {
		res, err := rec.Send(t.Context(), "x")
		require.NoError(t, err)
		assert.EqualValues(t, want, res.Metrics.BacklogCount)
	}
}

// The body is encoded when Send returns, and may be changed then.
func TestRecorderCopiesWhatIsEncoded(t *testing.T) {
	rec := queuetest.NewRecorder[[]byte](t)
	body := []byte("before")
	_, err := rec.Send(t.Context(), body)
	require.NoError(t, err)
	copy(body, "after!")
	assert.Equal(t, "before", string(rec.Sent()[0].Encoded))
}

// Sent and Bodies return lists of the caller's own.
func TestRecorderReturnsCopies(t *testing.T) {
	rec := queuetest.NewRecorder[string](t)
	_, err := rec.Send(t.Context(), "x")
	require.NoError(t, err)
	rec.Sent()[0].Body = "changed"
	rec.Bodies()[0] = "changed"
	assert.Equal(t, "x", rec.Sent()[0].Body)
	assert.Equal(t, []string{"x"}, rec.Bodies())
}

// A recorder refuses what a queue refuses, with the same error, and keeps nothing
// of it.
func TestRecorderRefusesWhatAQueueRefuses(t *testing.T) {
	send := func(body string, opts ...inproq.SendOption) func(inproq.Producer[string]) error {
		return func(p inproq.Producer[string]) error {
			_, err := p.Send(context.Background(), body, opts...)
			return err
		}
	}
	batch := func(msgs ...inproq.MessageSendRequest[string]) func(inproq.Producer[string]) error {
		return func(p inproq.Producer[string]) error {
			_, err := p.SendBatch(context.Background(), msgs)
			return err
		}
	}
	large := strings.Repeat("x", 128_000)
	tests := map[string]struct {
		send func(inproq.Producer[string]) error
		want error
	}{
		"body too large":       {send(large), inproq.ErrMessageTooLarge},
		"headers too large":    {send("x", inproq.Header("Key", large)), inproq.ErrMessageTooLarge},
		"reserved header":      {send("x", inproq.Header("Inproq-Key", "value")), inproq.ErrInvalidHeader},
		"negative delay":       {send("x", inproq.Delay(-time.Second)), inproq.ErrDelayOutOfRange},
		"delay too long":       {send("x", inproq.Delay(12*time.Hour+1)), inproq.ErrDelayOutOfRange},
		"unknown content type": {send("x", inproq.ContentAs("v8")), inproq.ErrContentType},
		"unfit content type":   {send("x", inproq.ContentAs(inproq.Bytes)), inproq.ErrContentType},
		"empty batch":          {batch(), inproq.ErrEmptyBatch},
		"too many messages":    {batch(make([]inproq.MessageSendRequest[string], 101)...), inproq.ErrBatchTooLarge},
		"too many bytes":       {batch(inproq.Bodies(large[:100_000], large[:100_000], large[:100_000])...), inproq.ErrBatchTooLarge},
		"one of a batch":       {batch(inproq.Bodies("x", large)...), inproq.ErrMessageTooLarge},
	}
	broker, err := inproq.NewBroker(inproq.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, broker.Shutdown(context.Background())) })
	queue, err := inproq.Declare[string](t.Context(), broker, "recorder", inproq.QueueConfig{})
	require.NoError(t, err)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rec := queuetest.NewRecorder[string](t)
			got := test.send(rec)
			assert.ErrorIs(t, got, test.want)
			assert.Equal(t, test.send(queue), got)
			assert.Empty(t, rec.Sent())
		})
	}
}

func TestRecorderFails(t *testing.T) {
	rec := queuetest.NewRecorder[string](t)
	rec.Fail(errBoom)
	_, err := rec.Send(t.Context(), "x")
	assert.Equal(t, errBoom, err)
	_, err = rec.SendBatch(t.Context(), inproq.Bodies("x"))
	assert.Equal(t, errBoom, err)
	assert.Empty(t, rec.Sent(), "what failed was not sent")
	rec.Fail(nil)
	_, err = rec.Send(t.Context(), "y")
	require.NoError(t, err)
	assert.Equal(t, []string{"y"}, rec.Bodies())
}

func TestRecorderForgets(t *testing.T) {
	rec := queuetest.NewRecorder[string](t)
	_, err := rec.Send(t.Context(), "before")
	require.NoError(t, err)
	rec.Reset()
	assert.Empty(t, rec.Sent())
	assert.Empty(t, rec.Bodies())
	_, err = rec.Send(t.Context(), "after")
	require.NoError(t, err)
	assert.Equal(t, []string{"after"}, rec.Bodies())
}

// Senders at the same time get their own records: no body is kept with what
// another's was encoded to.
func TestRecorderIsSafeForConcurrentUse(t *testing.T) {
	rec := queuetest.NewRecorder[string](t)
	const senders, rounds = 8, 20
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range rounds {
				if _, err := rec.Send(t.Context(), fmt.Sprint(s, i)); err != nil {
					t.Error(err)
				}
				if _, err := rec.SendBatch(t.Context(), inproq.Bodies(fmt.Sprint(s, i, "a"), fmt.Sprint(s, i, "b"))); err != nil {
					t.Error(err)
				}
				rec.Bodies()
			}
		})
	}
	wg.Wait()
	sent := rec.Sent()
	assert.Len(t, sent, 3*senders*rounds)
	seen := make(map[string]bool)
	for _, m := range sent {
		want, err := json.Marshal(m.Body)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(m.Encoded))
		seen[m.Body] = true
	}
	assert.Len(t, seen, len(sent))
}

func TestRecorderInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := queuetest.NewRecorder[int](t)
		_, err := rec.Send(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, []int{1}, rec.Bodies())
	})
}

func TestRecorderEndsWithItsTest(t *testing.T) {
	f := &fakeT{TB: t}
	var rec *queuetest.Recorder[string]
	f.run(func() { rec = queuetest.NewRecorder[string](f) })
	assert.Empty(t, f.errors)
	_, err := rec.Send(t.Context(), "too late")
	assert.ErrorIs(t, err, inproq.ErrBrokerClosed)
}

func TestRecorderOfAnInvalidQueueIsFatal(t *testing.T) {
	f := &fakeT{TB: t}
	f.run(func() { queuetest.NewRecorder[string](f, inproq.QueueConfig{DeliveryDelay: 13 * time.Hour}) })
	assert.True(t, f.fatal)
	require.Len(t, f.errors, 1)
	assert.Contains(t, f.errors[0], "DeliveryDelay is 13h0m0s")
}
