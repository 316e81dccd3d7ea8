package inproq_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

func TestDeclareAndBindAgreeOnOneType(t *testing.T) {
	b, ctx := sendBroker(t, inproq.Config{}), t.Context()
	sendQueue[string](t, b, "q", inproq.QueueConfig{})
	before, err := b.Queue(ctx, "q")
	require.NoError(t, err)

	_, err = inproq.Declare[int](ctx, b, "q", inproq.QueueConfig{DeliveryDelay: time.Hour})
	sendReject(t, err, inproq.ErrTypeMismatch, 15000, `"q"`, "string", "int")
	_, err = inproq.Bind[any](ctx, b, "q")
	sendReject(t, err, inproq.ErrTypeMismatch, 15000, `"q"`, "string", "interface")
	_, err = inproq.Bind[sendNamed](ctx, b, "q")
	require.ErrorIs(t, err, inproq.ErrTypeMismatch)
	after, err := b.Queue(ctx, "q")
	require.NoError(t, err)
	assert.Equal(t, before, after, "a declaration that fails changes nothing")

	_, err = inproq.Bind[string](ctx, b, "q")
	require.NoError(t, err)
	_, err = inproq.Bind[[]byte](ctx, b, "q")
	require.NoError(t, err)
	_, err = inproq.Declare[json.RawMessage](ctx, b, "q", inproq.QueueConfig{})
	require.NoError(t, err)
}

type sendNamed string

// A verbatim view may come first: it says nothing about the type.
func TestBindOfAVerbatimViewLeavesTheTypeOpen(t *testing.T) {
	b, ctx := sendBroker(t, inproq.Config{}), t.Context()
	sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
	_, err := inproq.Bind[json.RawMessage](ctx, b, "q")
	require.NoError(t, err)
	_, err = inproq.Bind[int](ctx, b, "q")
	require.NoError(t, err)
	_, err = inproq.Bind[string](ctx, b, "q")
	require.ErrorIs(t, err, inproq.ErrTypeMismatch, "a bound view settles it")
}

func TestBindNeedsAQueueThatExists(t *testing.T) {
	b, ctx := sendBroker(t, inproq.Config{}), t.Context()
	_, err := inproq.Bind[string](ctx, b, "q")
	sendReject(t, err, inproq.ErrQueueNotFound, 10104, `"q"`)
	_, err = b.CreateQueue(ctx, "q", inproq.QueueConfig{})
	require.NoError(t, err)
	q, err := inproq.Bind[string](ctx, b, "q")
	require.NoError(t, err)
	assert.Equal(t, "q", q.Name())
	require.NoError(t, b.DeleteQueue(ctx, "q"))
	_, err = inproq.Bind[string](ctx, b, "q")
	require.ErrorIs(t, err, inproq.ErrQueueNotFound)
}

func TestBindOfAKnownQueueAsksNothingOfTheStore(t *testing.T) {
	st, ctx := newSendStore(), t.Context()
	declaring, binding := sendBroker(t, inproq.Config{Store: st}), sendBroker(t, inproq.Config{Store: st})
	sendQueue[string](t, declaring, "q", inproq.QueueConfig{})
	for _, b := range []*inproq.Broker{declaring, binding} {
		_, err := inproq.Bind[string](ctx, b, "q") // for one of them the first time
		require.NoError(t, err)
		before := st.total()
		for range 3 {
			_, err := inproq.Bind[string](ctx, b, "q")
			require.NoError(t, err)
		}
		assert.Equal(t, before, st.total())
	}
}

func TestDeclareAppliesOnlyWhatCodeHasChanged(t *testing.T) {
	b, ctx := sendBroker(t, inproq.Config{}), t.Context()
	declare := func(cfg inproq.QueueConfig) inproq.QueueInfo {
		t.Helper()
		sendQueue[string](t, b, "q", cfg)
		info, err := b.Queue(ctx, "q")
		require.NoError(t, err)
		return info
	}
	cfg := inproq.QueueConfig{DeliveryDelay: time.Second, MessageRetentionPeriod: time.Hour, ContentType: inproq.Text}
	first := declare(cfg)
	assert.Equal(t, cfg, first.Settings)
	assert.Equal(t, first, declare(cfg), "the same again writes nothing")

	_, err := b.UpdateQueue(ctx, "q", inproq.QueueUpdate{
		DeliveryDelay: new(2 * time.Second), MessageRetentionPeriod: new(2 * time.Hour), DeliveryPaused: new(true),
		Annotations: map[string]*string{"team": new("a")},
	})
	require.NoError(t, err)
	again := declare(cfg)
	assert.Equal(t, inproq.QueueConfig{DeliveryDelay: 2 * time.Second, MessageRetentionPeriod: 2 * time.Hour, ContentType: inproq.Text}, again.Settings,
		"a restart does not undo what an operator did")

	cfg.DeliveryDelay = 3 * time.Second
	third := declare(cfg)
	assert.Equal(t, inproq.QueueConfig{DeliveryDelay: 3 * time.Second, MessageRetentionPeriod: 2 * time.Hour, ContentType: inproq.Text}, third.Settings,
		"the newest change wins, field by field")
	_, err = b.UpdateQueue(ctx, "q", inproq.QueueUpdate{DeliveryDelay: new(4 * time.Second)})
	require.NoError(t, err)
	assert.Equal(t, 4*time.Second, declare(cfg).Settings.DeliveryDelay, "it is the last declaration that counts")
	cfg.ContentType = inproq.JSON
	assert.Equal(t, inproq.JSON, declare(cfg).Settings.ContentType)
	cfg = inproq.QueueConfig{MessageRetentionPeriod: 3 * time.Hour}
	last := declare(cfg)
	assert.Equal(t, inproq.QueueConfig{DeliveryDelay: inproq.NoDelay, MessageRetentionPeriod: 3 * time.Hour}, last.Settings)
	assert.True(t, last.DeliveryPaused)
	assert.Equal(t, map[string]string{"team": "a"}, last.Annotations)
	assert.Equal(t, first.ID, last.ID)
	assert.Equal(t, first.CreatedAt, last.CreatedAt)
}

// The first declaration of a queue that an operator has created says all.
func TestDeclareOfACreatedQueueAppliesEverything(t *testing.T) {
	b, ctx := sendBroker(t, inproq.Config{}), t.Context()
	created, err := b.CreateQueue(ctx, "q", inproq.QueueConfig{DeliveryDelay: time.Minute, MessageRetentionPeriod: time.Hour, ContentType: inproq.Gob})
	require.NoError(t, err)
	sendQueue[string](t, b, "q", inproq.QueueConfig{})
	info, err := b.Queue(ctx, "q")
	require.NoError(t, err)
	assert.Equal(t, inproq.QueueConfig{DeliveryDelay: inproq.NoDelay, MessageRetentionPeriod: 4 * configDay}, info.Settings)
	assert.Equal(t, created.ID, info.ID)
}

// What is declared or updated is in force for the next send, also of views that
// were there before.
func TestDeclareChangesViewsThatExist(t *testing.T) {
	b, ctx := sendBroker(t, inproq.Config{}), t.Context()
	q := sendQueue[string](t, b, "q", inproq.QueueConfig{ContentType: inproq.Text})
	sendQueue[string](t, b, "q", inproq.QueueConfig{ContentType: inproq.Gob})
	_, err := q.Send(ctx, "a")
	require.NoError(t, err)
	assert.Equal(t, inproq.Gob, sendPeekOne(t, b, "q").ContentType)
	_, err = b.UpdateQueue(ctx, "q", inproq.QueueUpdate{DeliveryDelay: new(time.Hour)})
	require.NoError(t, err)
	_, err = q.Send(ctx, "b")
	require.NoError(t, err)
	backlog, err := b.Backlog(ctx, "q")
	require.NoError(t, err)
	assert.EqualValues(t, 1, backlog.Delayed)
}

// A store that was passed in is open still.
func TestDeclareOnAClosedBroker(t *testing.T) {
	for name, cfg := range map[string]inproq.Config{"own store": {}, "passed in": {Store: newSendStore()}} {
		t.Run(name, func(t *testing.T) {
			b := sendBroker(t, cfg)
			require.NoError(t, b.Shutdown(t.Context()))
			_, err := inproq.Declare[string](t.Context(), b, "q", inproq.QueueConfig{})
			sendReject(t, err, inproq.ErrBrokerClosed, 15000)
		})
	}
}

// The deletion may be the first thing that a broker hears of the store: what it
// has put there itself it must forget all the same.
func TestDeclareCreatesADeletedQueueAnew(t *testing.T) {
	for _, by := range []string{"this broker", "another"} {
		t.Run(by, func(t *testing.T) {
			st, ctx := newSendStore(), t.Context()
			b, other := sendBroker(t, inproq.Config{Store: st}), sendBroker(t, inproq.Config{Store: st})
			sendQueue[string](t, b, "q", inproq.QueueConfig{})
			kept, err := b.CreateQueue(ctx, "kept", inproq.QueueConfig{})
			require.NoError(t, err)
			if by == "another" {
				b, other = other, b
			}
			require.NoError(t, b.DeleteQueue(ctx, "q"))
			for _, b := range []*inproq.Broker{b, other} {
				_, err = b.Queue(ctx, "q")
				require.ErrorIs(t, err, inproq.ErrQueueNotFound)
				_, err = inproq.Bind[string](ctx, b, "q")
				require.ErrorIs(t, err, inproq.ErrQueueNotFound)
				info, err := b.Queue(ctx, "kept")
				require.NoError(t, err)
				assert.Equal(t, kept, info)
			}
			_, err = sendQueue[string](t, b, "q", inproq.QueueConfig{}).Send(ctx, "a")
			require.NoError(t, err)
		})
	}
}

// A queue that is made while the first list is on its way is not in that list,
// and there all the same.
func TestDeclareIsNotUndoneByAnOlderList(t *testing.T) {
	st, ctx := newSendStore(), t.Context()
	_, err := sendBroker(t, inproq.Config{Store: st}).CreateQueue(ctx, "other", inproq.QueueConfig{})
	require.NoError(t, err)
	b := sendBroker(t, inproq.Config{Store: st})
	st.listed = func() {
		st.listed = nil
		_, err := b.CreateQueue(ctx, "q", inproq.QueueConfig{})
		require.NoError(t, err)
	}
	_, err = b.Queue(ctx, "q")
	require.NoError(t, err)
}
