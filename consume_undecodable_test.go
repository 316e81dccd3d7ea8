package inproq_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// sendRaw sends bodies verbatim as JSON: a number does not decode into a string.
func (r *consumeRig) sendRaw(bodies ...string) []inproq.MessageID {
	r.t.Helper()
	raw, err := inproq.Bind[[]byte](r.t.Context(), r.broker, "jobs")
	require.NoError(r.t, err)
	var msgs []inproq.MessageSendRequest[[]byte]
	for _, body := range bodies {
		msgs = append(msgs, inproq.MessageSendRequest[[]byte]{Body: []byte(body), ContentType: inproq.JSON})
	}
	res, err := raw.SendBatch(r.t.Context(), msgs)
	require.NoError(r.t, err)
	return res.IDs
}

// A body that does not decode takes the way of a failed message: it is retried,
// and at last a dead letter with the reason. The handler gets the others only.
func TestConsumeUndecodable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newConsumeRig(t, inproq.ConsumerConfig{
			MaxBatchSize: 3, MaxBatchTimeout: inproq.NoWait, MaxRetries: 1, RetryDelay: time.Minute, DeadLetterQueue: "dead",
		}, func(_ context.Context, b *inproq.MessageBatch[string]) error {
			b.AckAll() // not of what it did not get
			return nil
		})
		ids := r.sendRaw(`"a"`, `17`, `"c"`)
		queuetest.Start(t, r.broker)
		consumePass(time.Hour)
		assert.Equal(t, []consumeBatch{{0, "a c"}}, r.groups())
		assert.Equal(t, ids[0], r.of("a")[0].ID)
		assert.Equal(t, ids[2], r.of("c")[0].ID)

		s := r.stats()
		assert.EqualValues(t, 2, s.Undecodable)
		assert.EqualValues(t, 1, s.Retried)
		assert.EqualValues(t, 1, s.DeadLettered)
		assert.EqualValues(t, 2, s.Acked)
		assert.Zero(t, s.FailedBatches, "the handler has not failed")

		lines := r.log.find("message does not decode")
		require.Len(t, lines, 2)
		assert.Equal(t, slog.LevelWarn, lines[0].Level)
		assert.Equal(t, ids[1].String(), lines[0].Attrs["message_id"])
		err, _ := lines[0].Attrs["err"].(error)
		decode, ok := errors.AsType[*inproq.DecodeError](err)
		require.True(t, ok)
		assert.Equal(t, "jobs", decode.Queue)
		assert.Equal(t, ids[1], decode.ID)
		assert.Equal(t, inproq.JSON, decode.ContentType)

		letters, err := r.broker.Peek(t.Context(), "dead", 10)
		require.NoError(t, err)
		require.Len(t, letters, 1)
		assert.Equal(t, ids[1], letters[0].ID)
		assert.Equal(t, "17", string(letters[0].Body))
	})
}

func TestDeadLetterUndecodable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newConsumeRig(t, consumeDoomed, nil)
		raw, err := inproq.Declare[[]byte](t.Context(), r.broker, "dead", inproq.QueueConfig{})
		require.NoError(t, err)
		letters := make(chan inproq.DeadLetter, 10)
		_, err = raw.Consume(inproq.Each(func(_ context.Context, m *inproq.Message[[]byte]) error {
			letter, _ := m.DeadLetter()
			letters <- letter
			return nil
		}), inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		require.NoError(t, err)
		r.sendRaw(`17`)
		queuetest.Start(t, r.broker)
		letter := <-letters
		assert.Equal(t, inproq.Undecodable, letter.Reason)
		assert.Equal(t, "jobs", letter.Queue)
		assert.Equal(t, 1, letter.Attempts)
		assert.Contains(t, letter.Error, "does not decode")
	})
}

// The calls of a handler reach the right messages, also behind one that it did
// not get.
func TestSettleBehindUndecodable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newConsumeRig(t, inproq.ConsumerConfig{
			MaxBatchSize: 3, MaxBatchTimeout: inproq.NoWait, RetryDelay: 2 * time.Hour,
		}, consumeScript(func(_ context.Context, b *inproq.MessageBatch[string]) error {
			b.Messages[0].Ack()
			b.Messages[1].Retry(inproq.Delay(time.Minute))
			return errConsume
		}))
		r.sendRaw(`17`, `"a"`, `"b"`)
		queuetest.Start(t, r.broker)
		consumePass(time.Hour)
		assert.Equal(t, []time.Duration{0}, r.times("a"))
		assert.Equal(t, []time.Duration{0, time.Minute}, r.times("b"))
		assert.EqualValues(t, 1, r.backlog("jobs"))
	})
}

// A batch of nothing else calls no handler.
func TestConsumeOnlyUndecodable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newConsumeRig(t, inproq.ConsumerConfig{MaxBatchSize: 2, MaxRetries: 1, MaxBatchTimeout: inproq.NoWait}, nil)
		r.sendRaw(`17`, `{}`)
		queuetest.Start(t, r.broker)
		synctest.Wait()
		assert.Empty(t, r.groups())
		assert.EqualValues(t, 4, r.stats().Undecodable)
		assert.EqualValues(t, 2, r.stats().Dropped)
		assert.Zero(t, r.stats().FailedBatches)
		assert.Zero(t, r.backlog("jobs"))
	})
}

// Only messages that a function got count for "every message failed".
func TestEachWithUndecodable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newConsumeRig(t, inproq.ConsumerConfig{MaxBatchSize: 2, MaxBatchTimeout: inproq.NoWait}, inproq.Each(consumeEach))
		r.sendRaw(`17`, `"bad"`)
		queuetest.Start(t, r.broker)
		synctest.Wait()
		assert.EqualValues(t, 1, r.stats().FailedBatches)
		assert.Equal(t, []int{1, 2}, consumeAttempts(r.of("bad")))
	})
}
