package queuetest_test

import (
	"context"
	"encoding/json"
	"errors"
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

var errFull = errors.New("mailbox full")

// refuse is a handler that fails for one body.
func refuse(body string) inproq.Handler[string] {
	return inproq.Each(func(_ context.Context, m *inproq.Message[string]) error {
		if m.Body == body {
			return errFull
		}
		return nil
	})
}

// observed is a broker with a queue that is observed, in a bubble.
func observed(t *testing.T, f func(t *testing.T, b *inproq.Broker, q *inproq.Queue[string], o *queuetest.Observer[string])) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, q := newQueue(t, inproq.Config{})
		f(t, b, q, queuetest.Observe(t, q))
	})
}

func send(t *testing.T, p inproq.Producer[string], bodies ...string) {
	t.Helper()
	_, err := p.SendBatch(t.Context(), inproq.Bodies(bodies...))
	require.NoError(t, err)
}

func TestObserverKeepsWhatHappens(t *testing.T) {
	observed(t, func(t *testing.T, b *inproq.Broker, q *inproq.Queue[string], o *queuetest.Observer[string]) {
		_, err := q.Consume(refuse("bad"), inproq.ConsumerConfig{MaxRetries: 2, DeadLetterQueue: "dead"})
		require.NoError(t, err)
		dead, err := inproq.Declare[string](t.Context(), b, "dead", inproq.QueueConfig{})
		require.NoError(t, err)
		letters := queuetest.Observe(t, dead)
		assert.Nil(t, o.Sent())
		send(t, q, "bad")
		assert.Equal(t, []string{"bad"}, o.Sent(), "it is there when Send has returned")
		send(t, q, "good")
		assert.Nil(t, o.Delivered())
		queuetest.Start(t, b)
		queuetest.Drain(t, b)

		assert.Equal(t, []string{"bad", "good"}, o.Sent())
		assert.Equal(t, []string{"bad", "good", "bad", "bad"}, o.Delivered())
		assert.Equal(t, []string{"good"}, o.Acked())
		assert.Equal(t, []string{"bad", "bad"}, o.Retried())
		assert.Equal(t, []string{"bad"}, o.DeadLettered())
		assert.Nil(t, o.Dropped())
		assert.Nil(t, o.Arrived())
		assert.Equal(t, "\"bad\": retried twice, then dead-lettered to \"dead\": mailbox full\n\"good\": acknowledged\n", o.String())

		assert.Nil(t, letters.Sent(), "another queue's messages are not its")
		assert.Equal(t, []string{"bad"}, letters.Arrived())
		assert.Equal(t, "\"bad\": moved here from \"q\", not delivered\n", letters.String())

		n, err := b.Redrive(t.Context(), "dead", "", inproq.RedriveConfig{})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		assert.Equal(t, []string{"bad"}, o.Arrived())
		assert.Contains(t, letters.String(), `moved to "q" by Redrive`)
	})
}

// A message that was there before is known from its delivery, or from the Redrive that
// brought it.
func TestObserverMeetsOlderMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, q := newQueue(t, inproq.Config{})
		send(t, q, "old")
		o := queuetest.Observe(t, q)
		assert.Nil(t, o.Sent())
		c, err := q.Consume(refuse("old"), inproq.ConsumerConfig{MaxRetries: inproq.NoRetries, DeadLetterQueue: "dead"})
		require.NoError(t, err)
		queuetest.Start(t, b)
		queuetest.Drain(t, b)
		assert.Equal(t, []string{"old"}, o.Delivered())
		assert.Equal(t, []string{"old"}, o.DeadLettered())
		require.NoError(t, c.Stop(t.Context()))

		late := queuetest.Observe(t, q)
		_, err = b.Redrive(t.Context(), "dead", "q", inproq.RedriveConfig{})
		require.NoError(t, err)
		assert.Equal(t, []string{"old"}, late.Arrived())
	})
}

func TestObserverSeesDropped(t *testing.T) {
	observed(t, func(t *testing.T, b *inproq.Broker, q *inproq.Queue[string], o *queuetest.Observer[string]) {
		_, err := q.Consume(refuse("bad"), inproq.ConsumerConfig{MaxRetries: inproq.NoRetries})
		require.NoError(t, err)
		queuetest.Start(t, b)
		send(t, q, "bad")
		queuetest.Drain(t, b)
		assert.Equal(t, []string{"bad"}, o.Dropped())
		assert.Equal(t, "\"bad\": deleted, with no attempt left: mailbox full\n", o.String())
	})
}

// What JSON does not carry is lost, as it is for handlers.
func TestObserverDecodesBodies(t *testing.T) {
	type body struct{ Name, secret string }
	b, _ := newQueue(t, inproq.Config{})
	q, err := inproq.Declare[body](t.Context(), b, "bodies", inproq.QueueConfig{})
	require.NoError(t, err)
	o := queuetest.Observe(t, q)
	_, err = q.Send(t.Context(), body{"ada", "x"})
	require.NoError(t, err)
	assert.Equal(t, []body{{Name: "ada"}}, o.Sent())
}

// A []byte that handlers get shares memory with the store; the observer's does not.
func TestObserverOwnsItsBytes(t *testing.T) {
	b, _ := newQueue(t, inproq.Config{})
	q, err := inproq.Declare[[]byte](t.Context(), b, "bytes", inproq.QueueConfig{})
	require.NoError(t, err)
	_, err = q.Send(t.Context(), []byte("abc"))
	require.NoError(t, err)
	o := queuetest.Observe(t, q)
	p, err := q.PullConsumer(inproq.PullConfig{})
	require.NoError(t, err)
	batch, err := p.Pull(t.Context())
	require.NoError(t, err)
	o.Delivered()[0][0] = 'x'
	assert.Equal(t, "abc", string(batch.Messages[0].Body))
}

func TestObserverShowsWhatDoesNotDecode(t *testing.T) {
	observed(t, func(t *testing.T, b *inproq.Broker, q *inproq.Queue[string], o *queuetest.Observer[string]) {
		raw, err := inproq.Bind[json.RawMessage](t.Context(), b, "q")
		require.NoError(t, err)
		_, err = raw.Send(t.Context(), json.RawMessage(`{"a":1}`))
		require.NoError(t, err)
		assert.Nil(t, o.Sent())
		assert.Contains(t, o.String(), `{"a":1} that does not decode (json: cannot unmarshal object`)
		assert.Contains(t, o.String(), "): sent, not delivered\n")
		f := &fakeT{TB: t}
		assert.False(t, queuetest.AssertSent(f, o))
		assert.Contains(t, f.errors[0], `unexpected: {"a":1} that does not decode`)
	})
}

// Who settles by a lease alone does not tell the body: the delivery did, if that was
// seen.
func TestObserverKnowsBodiesOfLeases(t *testing.T) {
	b, q := newQueue(t, inproq.Config{})
	_, err := q.PullConsumer(inproq.PullConfig{})
	require.NoError(t, err)
	o := queuetest.Observe(t, q)
	send(t, q, "a")
	res, err := b.Pull(t.Context(), "q", inproq.PullRequest{})
	require.NoError(t, err)
	late := queuetest.Observe(t, q)
	_, err = b.Settle(t.Context(), "q", inproq.SettleRequest{Retries: []inproq.LeaseDelay{{LeaseID: res.Messages[0].LeaseID}}})
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, o.Retried())
	assert.Nil(t, late.Retried())
	assert.Regexp(t, "^message [0-9a-f]{32}: retried\n$", late.String())

	_, err = b.Pull(t.Context(), "q", inproq.PullRequest{})
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, late.Retried(), "the next delivery tells it")
}

func TestObserverStopsAtTheEndOfTheTest(t *testing.T) {
	_, q := newQueue(t, inproq.Config{})
	var o *queuetest.Observer[string]
	f := &fakeT{TB: t}
	f.run(func() {
		o = queuetest.Observe(f, q)
		send(t, q, "a")
	})
	send(t, q, "b")
	assert.Equal(t, []string{"a"}, o.Sent())
}

func TestObserverLosesNothingOfManyAtOnce(t *testing.T) {
	const senders, each = 8, 1000 // more than a reader of Events may be behind
	b, q := newQueue(t, inproq.Config{Logger: quiet()})
	o := queuetest.Observe(t, q)
	_, err := q.Consume(inproq.Each(new(journal).note), inproq.ConsumerConfig{MaxBatchSize: 100, MaxBatchTimeout: inproq.NoWait})
	require.NoError(t, err)
	queuetest.Start(t, b)
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for i := range each {
				_, err := q.Send(t.Context(), "x")
				assert.NoError(t, err)
				if i%100 == 0 {
					assert.NotEmpty(t, o.Sent())
				}
			}
		})
	}
	wg.Wait()
	assert.Len(t, o.Sent(), senders*each)
	queuetest.Drain(t, b)
	assert.Len(t, o.Acked(), senders*each)
	assert.Len(t, o.Delivered(), senders*each)
	assert.Equal(t, senders*each, strings.Count(o.String(), "\n"))
}

func TestStoryOfAMessageThatWaits(t *testing.T) {
	observed(t, func(t *testing.T, b *inproq.Broker, q *inproq.Queue[string], o *queuetest.Observer[string]) {
		_, err := q.Consume(func(ctx context.Context, batch *inproq.MessageBatch[string]) error {
			batch.RetryAll(inproq.Delay(time.Hour), inproq.Cause(errFull))
			time.Sleep(time.Minute)
			return nil
		}, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		require.NoError(t, err)
		queuetest.Start(t, b)
		_, err = q.Send(t.Context(), "a", inproq.Delay(time.Second))
		require.NoError(t, err)
		assert.Equal(t, "\"a\": sent with a delay of 1s, not delivered\n", o.String())
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, "\"a\": delivered, not settled\n", o.String())
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, "\"a\": retried, delayed by 1h0m0s: mailbox full\n", o.String())
	})
}
