package inproq_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

func accountPeek(t *testing.T, b *inproq.Broker, after string, limit int) (bodies []string, last string) {
	t.Helper()
	found, err := b.PeekAfter(context.Background(), "q", after, limit)
	require.NoError(t, err)
	bodies = []string{}
	for _, m := range found {
		bodies, last = append(bodies, strings.Trim(string(m.Body), `"`)), m.Ref
	}
	return bodies, last
}

func TestPeekShowsWhatWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		res, err := q.Send(t.Context(), "hello", inproq.Header("k", "v"))
		require.NoError(t, err)
		sent := time.Now()
		time.Sleep(time.Minute)
		found, err := b.Peek(t.Context(), "q", 10)
		require.NoError(t, err)
		require.Len(t, found, 1)
		m := found[0]
		assert.True(t, m.Timestamp.Equal(sent))
		assert.NotEmpty(t, m.Ref)
		m.Ref, m.Timestamp = "", time.Time{}
		assert.Equal(t, inproq.PeekedMessage{
			ID: res.ID, Body: []byte(`"hello"`), ContentType: inproq.JSON, Headers: map[string]string{"k": "v"},
		}, m)
	})
}

// A look takes nothing: it may be repeated, and counts no attempt.
func TestPeekCountsNoAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		sink := accountSink{then: accountRetryAll}
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait, RetryDelay: time.Minute})
		accountSend(t, q, "x")
		for range 3 {
			found, err := b.Peek(t.Context(), "q", 1)
			require.NoError(t, err)
			require.Len(t, found, 1)
			assert.Zero(t, found[0].Attempts)
		}
		run := accountStart(b)
		synctest.Wait()
		assert.Equal(t, 1, sink.deliveries()[0].Attempts)
		found, err := b.Peek(t.Context(), "q", 1)
		require.NoError(t, err)
		require.Len(t, found, 1)
		assert.Equal(t, 1, found[0].Attempts, "deliveries so far")
		assert.EqualValues(t, 1, b.Stats("q").Delivered)
		assert.EqualValues(t, 1, b.Stats("q").Ops.Read)
		require.NoError(t, run.stop())
	})
}

// Ready messages come first, in the order of delivery, then delayed ones;
// messages with a handler are not there.
func TestPeekOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		_, err := q.Send(t.Context(), "delayed", inproq.Delay(time.Hour))
		require.NoError(t, err)
		gate := accountGate()
		accountConsume(t, q, gate.handle, inproq.ConsumerConfig{MaxBatchSize: 1, MaxConcurrency: 1})
		run := accountStart(b)
		accountSend(t, q, "leased")
		synctest.Wait()
		for i := range 5 {
			accountSend(t, q, fmt.Sprint(i))
		}
		bodies, _ := accountPeek(t, b, "", 100)
		assert.Equal(t, []string{"0", "1", "2", "3", "4", "delayed"}, bodies)
		bodies, _ = accountPeek(t, b, "", 2)
		assert.Equal(t, []string{"0", "1"}, bodies)
		close(gate.open)
		require.NoError(t, run.stop())
	})
}

// Cursors stay valid while messages come and go.
func TestPeekAfterPages(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	q := accountDeclare(t, b, "q", inproq.QueueConfig{})
	for i := range 300 { // more than one chunk of the store
		accountSend(t, q, fmt.Sprint(i))
	}
	var all []string
	ref := ""
	for page := 0; ; page++ {
		bodies, last := accountPeek(t, b, ref, 70)
		if len(bodies) == 0 {
			break
		}
		all = append(all, bodies...)
		if page == 1 {
			accountSend(t, q, "300")
			warnings, err := b.PurgeMessages(t.Context(), "q", []string{last})
			require.NoError(t, err)
			require.Empty(t, warnings, "the cursor's own message goes")
		}
		ref = last
	}
	want := make([]string, 301)
	for i := range want {
		want[i] = fmt.Sprint(i)
	}
	assert.Equal(t, want, all)
	bodies, _ := accountPeek(t, b, ref, 10)
	assert.Empty(t, bodies)
	accountSend(t, q, "301")
	bodies, _ = accountPeek(t, b, ref, 10)
	assert.Equal(t, []string{"301"}, bodies)
}

func TestPeekErrors(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	accountDeclare(t, b, "q", inproq.QueueConfig{})
	for _, limit := range []int{0, -1} {
		_, err := b.Peek(t.Context(), "q", limit)
		assert.ErrorIs(t, err, inproq.ErrInvalidConfig)
	}
	for _, ref := range []string{"x", "p.", "p.ä", "p.!!!", "p.AA\nAA", "AAAA"} {
		_, err := b.PeekAfter(t.Context(), "q", ref, 1)
		assert.ErrorIs(t, err, inproq.ErrInvalidConfig, ref)
	}
}

func TestPurgeMessagesDeletesSingleOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		accountSend(t, q, "a", "b", "c", "d")
		_, err := q.Send(t.Context(), "delayed", inproq.Delay(time.Hour))
		require.NoError(t, err)
		found, err := b.Peek(t.Context(), "q", 5)
		require.NoError(t, err)
		require.Len(t, found, 5)

		refs := []string{found[4].Ref, found[1].Ref, found[1].Ref, "nonsense"}
		warnings, err := b.PurgeMessages(t.Context(), "q", refs)
		require.NoError(t, err)
		assert.Equal(t, map[string]string{"nonsense": "not a reference of a peeked message"}, warnings)
		bodies, _ := accountPeek(t, b, "", 10)
		assert.Equal(t, []string{"a", "c", "d"}, bodies)
		assert.Equal(t, 3, accountCount(t, b, "q"))
		warnings, err = b.PurgeMessages(t.Context(), "q", nil)
		require.NoError(t, err)
		assert.Empty(t, warnings)

		// What is gone, or with a handler, is not deleted; the others are.
		gate := accountGate()
		accountConsume(t, q, gate.handle, inproq.ConsumerConfig{MaxBatchSize: 1, MaxConcurrency: 1})
		run := accountStart(b)
		synctest.Wait()
		require.Equal(t, []string{"a"}, gate.bodies())
		warnings, err = b.PurgeMessages(t.Context(), "q", []string{found[0].Ref, found[1].Ref, found[2].Ref})
		require.NoError(t, err)
		const gone = "the message is gone or with a consumer"
		assert.Equal(t, map[string]string{found[0].Ref: gone, found[1].Ref: gone}, warnings)
		close(gate.open)
		synctest.Wait()
		assert.Equal(t, []string{"a", "d"}, gate.bodies())
		s := b.Stats("q")
		assert.EqualValues(t, 2, s.Delivered)
		assert.EqualValues(t, 2, s.Acked, "a purge is no acknowledgement")
		assert.Zero(t, s.LeasesLost)
		require.NoError(t, run.stop())
	})
}

// A store that is unavailable for a moment is asked again.
func TestPurgeMessagesWhenTheStoreIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &pullStore{Store: accountStore(t)}
		b := accountBroker(t, inproq.Config{Store: st})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		accountSend(t, q, "a", "b")
		found, err := b.Peek(t.Context(), "q", 1)
		require.NoError(t, err)
		require.Len(t, found, 1)
		st.set(nil, pullFails(2, store.ErrUnavailable))
		warnings, err := b.PurgeMessages(t.Context(), "q", []string{found[0].Ref})
		require.NoError(t, err)
		assert.Empty(t, warnings)
		bodies, _ := accountPeek(t, b, "", 10)
		assert.Equal(t, []string{"b"}, bodies)

		st.set(nil, pullFails(-1, store.ErrUnavailable))
		began := time.Now()
		_, err = b.PurgeMessages(t.Context(), "q", []string{found[0].Ref})
		require.ErrorIs(t, err, store.ErrUnavailable)
		assert.LessOrEqual(t, time.Since(began), 10*time.Second, "not forever")
		st.set(nil, nil)
	})
}
