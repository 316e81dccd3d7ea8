package inproq_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

// The most recent change wins: a declaration is one where it differs from the
// last declaration by code, not where an operator has changed what it set.
func TestAccountDeclareKeepsWhatOperatorsChanged(t *testing.T) {
	st := accountStore(t)
	settings := func(delay, retention time.Duration) inproq.QueueConfig {
		return inproq.QueueConfig{DeliveryDelay: delay, MessageRetentionPeriod: retention}
	}
	declare := func(cfg inproq.QueueConfig) inproq.QueueInfo {
		b := accountBroker(t, inproq.Config{Store: st}) // as after a restart
		accountDeclare(t, b, "q", cfg)
		info, err := b.Queue(t.Context(), "q")
		require.NoError(t, err)
		require.NoError(t, b.Shutdown(t.Context()))
		return info
	}
	operator := accountBroker(t, inproq.Config{Store: st})
	update := func(u inproq.QueueUpdate) inproq.QueueInfo {
		info, err := operator.UpdateQueue(t.Context(), "q", u)
		require.NoError(t, err)
		return info
	}

	assert.Equal(t, settings(time.Minute, time.Hour), declare(settings(time.Minute, time.Hour)).Settings)
	changed := update(inproq.QueueUpdate{DeliveryDelay: new(5 * time.Minute), DeliveryPaused: new(true), Annotations: map[string]*string{"a": new("1")}})
	assert.Equal(t, changed, declare(settings(time.Minute, time.Hour)), "an unchanged declaration changes nothing")

	info := declare(settings(time.Minute, 2*time.Hour))
	assert.Equal(t, settings(5*time.Minute, 2*time.Hour), info.Settings, "only the field that code has changed")
	assert.True(t, info.DeliveryPaused)
	assert.Equal(t, map[string]string{"a": "1"}, info.Annotations)
	assert.Equal(t, changed.ID, info.ID)

	info = declare(settings(2*time.Minute, 2*time.Hour))
	assert.Equal(t, settings(2*time.Minute, 2*time.Hour), info.Settings, "code wins when it was last")
	update(inproq.QueueUpdate{DeliveryDelay: new(7 * time.Minute)})
	info = declare(settings(2*time.Minute, 2*time.Hour))
	assert.Equal(t, settings(7*time.Minute, 2*time.Hour), info.Settings)

	info = declare(inproq.QueueConfig{})
	assert.Equal(t, settings(inproq.NoDelay, 4*24*time.Hour), info.Settings, "defaults are declared too")
	assert.True(t, info.DeliveryPaused, "a declaration never resumes")
}

// The first declaration of a queue that CreateQueue has made is a change.
func TestAccountDeclareAfterCreateQueue(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	_, err := b.CreateQueue(t.Context(), "q", inproq.QueueConfig{DeliveryDelay: time.Minute, MessageRetentionPeriod: time.Hour, ContentType: inproq.Text})
	require.NoError(t, err)
	accountDeclare(t, b, "q", inproq.QueueConfig{MessageRetentionPeriod: 2 * time.Hour, ContentType: inproq.Gob})
	info, err := b.Queue(t.Context(), "q")
	require.NoError(t, err)
	assert.Equal(t, inproq.QueueConfig{DeliveryDelay: inproq.NoDelay, MessageRetentionPeriod: 2 * time.Hour, ContentType: inproq.Gob}, info.Settings)
}

// A declaration with another content type counts for the sends that follow.
func TestAccountDeclareContentType(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	for _, ct := range []inproq.ContentType{inproq.Text, inproq.JSON, inproq.Gob} {
		q := accountDeclare(t, b, "q", inproq.QueueConfig{ContentType: ct})
		require.NoError(t, b.Purge(t.Context(), "q"))
		accountSend(t, q, "x")
		found, err := b.Peek(t.Context(), "q", 1)
		require.NoError(t, err)
		require.Len(t, found, 1)
		assert.Equal(t, ct, found[0].ContentType)
	}
}

// accountEditConsumer changes a stored setting of a consumer, as an operator
// does.
func accountEditConsumer(t *testing.T, st store.Store, key string, value any) {
	t.Helper()
	all, _, err := st.Queues(context.Background(), 0, 0)
	require.NoError(t, err)
	require.Len(t, all, 1)
	var settings map[string]any
	require.NoError(t, json.Unmarshal(all[0].Settings, &settings))
	settings["consumer"].(map[string]any)["settings"].(map[string]any)[key] = value
	all[0].Settings, err = json.Marshal(settings)
	require.NoError(t, err)
	_, err = st.PutQueue(context.Background(), all[0])
	require.NoError(t, err)
}

// The same holds for a consumer.
func TestConsumerRecordKeepsWhatOperatorsChanged(t *testing.T) {
	st := accountStore(t)
	consume := func(cfg inproq.ConsumerConfig) inproq.ConsumerInfo {
		b := accountBroker(t, inproq.Config{Store: st})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		accountConsume(t, q, new(accountSink).handle, cfg)
		require.NoError(t, accountStart(b).stop())
		info, err := b.Queue(t.Context(), "q")
		require.NoError(t, err)
		return *info.Consumer
	}
	first := consume(inproq.ConsumerConfig{MaxRetries: 5, MaxBatchSize: 20})
	assert.Equal(t, inproq.ConsumerSettings{
		MaxBatchSize: 20, MaxBatchTimeout: 5 * time.Second, MaxRetries: 5, RetryDelay: inproq.NoDelay,
	}, first.Settings)
	assert.Equal(t, inproq.Worker, first.Kind)
	assert.Equal(t, "q", first.Script)
	assert.Equal(t, "q", first.Queue)

	accountEditConsumer(t, st, "max_retries", 7)
	second := consume(inproq.ConsumerConfig{MaxRetries: 5, MaxBatchSize: 20})
	assert.Equal(t, first.ID, second.ID)
	assert.Equal(t, 7, second.Settings.MaxRetries)

	third := consume(inproq.ConsumerConfig{MaxRetries: 5, MaxBatchSize: 30})
	assert.Equal(t, 7, third.Settings.MaxRetries)
	assert.Equal(t, 30, third.Settings.MaxBatchSize)
	assert.Equal(t, 6, consume(inproq.ConsumerConfig{MaxRetries: 6}).Settings.MaxRetries, "code wins when it was last")
	accountEditConsumer(t, st, "max_retries", 8)
	assert.Equal(t, 8, consume(inproq.ConsumerConfig{MaxRetries: 6}).Settings.MaxRetries)
	fourth := consume(inproq.ConsumerConfig{MaxRetries: inproq.NoRetries, MaxBatchTimeout: inproq.NoWait})
	assert.Equal(t, inproq.ConsumerSettings{
		MaxBatchSize: 10, MaxBatchTimeout: inproq.NoWait, MaxRetries: inproq.NoRetries, RetryDelay: inproq.NoDelay,
	}, fourth.Settings)
}
