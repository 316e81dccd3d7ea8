package inproq

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

// A send that the last look of a shutdown may have missed is not reported as
// accepted.
func TestSendThatComesTooLate(t *testing.T) {
	for _, owned := range []bool{true, false} {
		ep := &endpoint{broker: &Broker{owned: owned}}
		for _, phase := range []int32{open, running, draining} {
			ep.broker.phase.Store(phase)
			require.NoError(t, ep.inTime())
		}
		ep.broker.phase.Store(closed)
		if owned {
			require.ErrorIs(t, ep.inTime(), store.ErrClosed)
		} else {
			require.NoError(t, ep.inTime(), "a store that was passed in keeps it")
		}
	}
}

// An operator's retry delay replaces the backoff of the code, until the code
// declares another one.
func TestOperatorsRetryDelayBeatsBackoff(t *testing.T) {
	b, err := NewBroker(Config{})
	require.NoError(t, err)
	defer func() { assert.NoError(t, b.Shutdown(t.Context())) }()
	c := &Consumer{ep: b.endpoint("q")}
	c.cfg, err = ConsumerConfig{RetryDelay: time.Second, Backoff: ExponentialBackoff(1, 1)}.normalize("q", &b.limits)
	require.NoError(t, err)
	r := newRecord("q", QueueConfig{})
	require.NoError(t, r.declareConsumer(Worker, c.cfg.Name, c.cfg.stored()))
	assert.NotNil(t, c.settings(r).Backoff)
	r.Consumer.Settings.RetryDelay = time.Minute
	got := c.settings(r)
	assert.Nil(t, got.Backoff)
	assert.Equal(t, time.Minute, got.RetryDelay)
	require.NoError(t, r.declareConsumer(Worker, c.cfg.Name, c.cfg.stored()))
	assert.Nil(t, c.settings(r).Backoff, "a restart declares what it always has")
	c.cfg.RetryDelay = 2 * time.Second
	require.NoError(t, r.declareConsumer(Worker, c.cfg.Name, c.cfg.stored()))
	got = c.settings(r)
	assert.NotNil(t, got.Backoff)
	assert.Equal(t, 2*time.Second, got.RetryDelay)
}

// A consumer that was retired is forgotten when its handlers have returned.
func TestRetiredConsumersAreReaped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := NewBroker(Config{})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		synctest.Wait()
		consume := func(name string) {
			q, err := Declare[string](ctx, b, name, QueueConfig{})
			require.NoError(t, err)
			_, err = q.Consume(func(context.Context, *MessageBatch[string]) error { return nil }, ConsumerConfig{})
			require.NoError(t, err)
		}
		consume("a")
		require.NoError(t, b.DeleteQueue(ctx, "a"))
		synctest.Wait()
		assert.Len(t, b.consumers(), 1, "it may have a handler that runs")
		consume("b")
		require.Len(t, b.consumers(), 1)
		assert.Equal(t, "b", b.consumers()[0].ep.name)
		cancel()
		require.NoError(t, <-done)
	})
}

// A tombstone is remembered: what is older does not bring the queue back.
func TestEndpointRemembersADeletion(t *testing.T) {
	b, err := NewBroker(Config{})
	require.NoError(t, err)
	defer func() { assert.NoError(t, b.Shutdown(t.Context())) }()
	ep := b.endpoint("q")
	r := newRecord("q", QueueConfig{})
	r.Revision = 1
	ep.follow(r)
	require.NotNil(t, ep.currentPolicy())
	ep.follow(&record{Queue: store.Queue{Name: "q", Deleted: true, Revision: 3}})
	require.Nil(t, ep.currentPolicy())
	r.Revision = 2
	ep.follow(r)
	assert.Nil(t, ep.currentPolicy())
}
