package inproq_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// accountOps are the methods that need a queue that exists.
var accountOps = map[string]func(context.Context, *inproq.Broker, string) error{
	"UpdateQueue": func(ctx context.Context, b *inproq.Broker, name string) error {
		_, err := b.UpdateQueue(ctx, name, inproq.QueueUpdate{DeliveryDelay: new(time.Hour)})
		return err
	},
	"DeleteQueue": func(ctx context.Context, b *inproq.Broker, name string) error { return b.DeleteQueue(ctx, name) },
	"Queue": func(ctx context.Context, b *inproq.Broker, name string) error {
		_, err := b.Queue(ctx, name)
		return err
	},
	"PauseDelivery":  func(ctx context.Context, b *inproq.Broker, name string) error { return b.PauseDelivery(ctx, name) },
	"ResumeDelivery": func(ctx context.Context, b *inproq.Broker, name string) error { return b.ResumeDelivery(ctx, name) },
	"Purge":          func(ctx context.Context, b *inproq.Broker, name string) error { return b.Purge(ctx, name) },
	"Peek": func(ctx context.Context, b *inproq.Broker, name string) error {
		_, err := b.Peek(ctx, name, 1)
		return err
	},
	"PurgeMessages": func(ctx context.Context, b *inproq.Broker, name string) error {
		_, err := b.PurgeMessages(ctx, name, []string{"x"})
		return err
	},
	"Metrics": func(ctx context.Context, b *inproq.Broker, name string) error {
		_, err := b.Metrics(ctx, name)
		return err
	},
	"Backlog": func(ctx context.Context, b *inproq.Broker, name string) error {
		_, err := b.Backlog(ctx, name)
		return err
	},
}

// accountCreators are those that make one.
var accountCreators = map[string]func(context.Context, *inproq.Broker, string) error{
	"CreateQueue": func(ctx context.Context, b *inproq.Broker, name string) error {
		_, err := b.CreateQueue(ctx, name, inproq.QueueConfig{})
		return err
	},
	"Declare": func(ctx context.Context, b *inproq.Broker, name string) error {
		_, err := inproq.Declare[string](ctx, b, name, inproq.QueueConfig{DeliveryDelay: time.Minute})
		return err
	},
}

func TestAccountUnknownQueue(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	for op, call := range accountOps {
		assert.ErrorIs(t, call(t.Context(), b, "nowhere"), inproq.ErrQueueNotFound, op)
	}
	_, err := inproq.Bind[string](t.Context(), b, "nowhere")
	assert.ErrorIs(t, err, inproq.ErrQueueNotFound)
	_, err = b.QueueByID(t.Context(), "0123456789abcdef0123456789abcdef")
	assert.ErrorIs(t, err, inproq.ErrQueueNotFound)
	for info := range b.Queues(t.Context()) {
		t.Errorf("a call has created %q", info.Name)
	}
}

func TestAccountInvalidName(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	for _, name := range []string{"", "-a", "a-", "a b", "a/b", "ä", string(make([]byte, 64))} {
		for op, call := range accountOps {
			assert.ErrorIs(t, call(t.Context(), b, name), inproq.ErrInvalidQueueName, "%s %q", op, name)
		}
		for op, call := range accountCreators {
			assert.ErrorIs(t, call(t.Context(), b, name), inproq.ErrInvalidQueueName, "%s %q", op, name)
		}
		_, err := inproq.Bind[string](t.Context(), b, name)
		assert.ErrorIs(t, err, inproq.ErrInvalidQueueName)
	}
}

// A call whose context has ended changes nothing.
func TestAccountCancelledContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		var sink accountSink
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: time.Minute})
		run := accountStart(b)
		accountSend(t, q, "kept")
		synctest.Wait()
		before, err := b.Queue(t.Context(), "q")
		require.NoError(t, err)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for op, call := range accountOps {
			assert.ErrorIs(t, call(ctx, b, "q"), context.Canceled, op)
		}
		for op, call := range accountCreators {
			assert.ErrorIs(t, call(ctx, b, "q"), context.Canceled, op)
			assert.ErrorIs(t, call(ctx, b, "new"), context.Canceled, op)
		}
		_, err = b.QueueByID(ctx, before.ID)
		assert.ErrorIs(t, err, context.Canceled)
		for _, err := range b.Queues(ctx) {
			assert.ErrorIs(t, err, context.Canceled)
		}

		after, err := b.Queue(t.Context(), "q")
		require.NoError(t, err)
		assert.Equal(t, before, after)
		assert.Equal(t, 1, accountCount(t, b, "q"))
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, []string{"kept"}, sink.bodies(), "a pause that failed holds nothing up")
		require.NoError(t, run.stop())
	})
}

func TestAccountCreateQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		info, err := b.CreateQueue(t.Context(), "orders", inproq.QueueConfig{DeliveryDelay: time.Minute, MessageRetentionPeriod: time.Hour, ContentType: "TEXT"})
		require.NoError(t, err)
		assert.Equal(t, "orders", info.Name)
		assert.Regexp(t, "^[0-9a-f]{32}$", info.ID)
		assert.Equal(t, inproq.QueueConfig{DeliveryDelay: time.Minute, MessageRetentionPeriod: time.Hour, ContentType: inproq.Text}, info.Settings)
		assert.True(t, info.CreatedAt.Equal(time.Now()))
		assert.Equal(t, info.CreatedAt, info.ModifiedAt)
		assert.False(t, info.DeliveryPaused)
		assert.Nil(t, info.Consumer)
		assert.NotZero(t, info.Revision)

		_, err = b.CreateQueue(t.Context(), "orders", inproq.QueueConfig{})
		require.ErrorIs(t, err, inproq.ErrQueueExists)
		again, err := b.Queue(t.Context(), "orders")
		require.NoError(t, err)
		assert.Equal(t, info, again, "the second call has changed nothing")
		byID, err := b.QueueByID(t.Context(), info.ID)
		require.NoError(t, err)
		assert.Equal(t, info, byID)
	})
}

// Returned settings make an equal queue, with what is the default spelled out.
func TestAccountSettingsRoundTrip(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	first, err := b.CreateQueue(t.Context(), "first", inproq.QueueConfig{})
	require.NoError(t, err)
	assert.Equal(t, inproq.QueueConfig{DeliveryDelay: inproq.NoDelay, MessageRetentionPeriod: 4 * 24 * time.Hour}, first.Settings)
	second, err := b.CreateQueue(t.Context(), "second", first.Settings)
	require.NoError(t, err)
	assert.Equal(t, first.Settings, second.Settings)
	assert.NotEqual(t, first.ID, second.ID)
}

func TestAccountCreateQueueListsEveryViolation(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	_, err := b.CreateQueue(t.Context(), "q", inproq.QueueConfig{DeliveryDelay: 13 * time.Hour, MessageRetentionPeriod: time.Second, ContentType: "xml"})
	require.ErrorIs(t, err, inproq.ErrInvalidConfig)
	for _, part := range []string{"DeliveryDelay is 13h0m0s", "12h0m0s", "MessageRetentionPeriod is 1s", "1m0s", "xml"} {
		assert.ErrorContains(t, err, part)
	}
	_, err = b.Queue(t.Context(), "q")
	assert.ErrorIs(t, err, inproq.ErrQueueNotFound)
}

func TestAccountQueuesAreSorted(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	for _, name := range []string{"m", "z", "a", "b2", "b10"} {
		_, err := b.CreateQueue(t.Context(), name, inproq.QueueConfig{})
		require.NoError(t, err)
	}
	var names []string
	for info, err := range b.Queues(t.Context()) {
		require.NoError(t, err)
		names = append(names, info.Name)
	}
	assert.Equal(t, []string{"a", "b10", "b2", "m", "z"}, names)

	names = nil
	for info := range b.Queues(t.Context()) {
		if names = append(names, info.Name); len(names) == 2 {
			break
		}
	}
	assert.Equal(t, []string{"a", "b10"}, names, "a loop may end early")
}
