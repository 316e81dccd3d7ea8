package inproq_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

// What an update does not name stays as it is.
func TestAccountUpdateQueueMerges(t *testing.T) {
	initial := inproq.QueueConfig{DeliveryDelay: time.Minute, MessageRetentionPeriod: time.Hour, ContentType: inproq.Text}
	for name, tc := range map[string]struct {
		update inproq.QueueUpdate
		change func(*inproq.QueueInfo)
	}{
		"delay":     {inproq.QueueUpdate{DeliveryDelay: new(time.Second)}, func(i *inproq.QueueInfo) { i.Settings.DeliveryDelay = time.Second }},
		"no delay":  {inproq.QueueUpdate{DeliveryDelay: new(inproq.NoDelay)}, func(i *inproq.QueueInfo) { i.Settings.DeliveryDelay = inproq.NoDelay }},
		"0 delay":   {inproq.QueueUpdate{DeliveryDelay: new(time.Duration)}, func(i *inproq.QueueInfo) { i.Settings.DeliveryDelay = inproq.NoDelay }},
		"retention": {inproq.QueueUpdate{MessageRetentionPeriod: new(2 * time.Hour)}, func(i *inproq.QueueInfo) { i.Settings.MessageRetentionPeriod = 2 * time.Hour }},
		"pause":     {inproq.QueueUpdate{DeliveryPaused: new(true)}, func(i *inproq.QueueInfo) { i.DeliveryPaused = true }},
		"annotate":  {inproq.QueueUpdate{Annotations: map[string]*string{"b": new("2")}}, func(i *inproq.QueueInfo) { i.Annotations = map[string]string{"a": "1", "b": "2"} }},
		"replace":   {inproq.QueueUpdate{Annotations: map[string]*string{"a": new("3")}}, func(i *inproq.QueueInfo) { i.Annotations = map[string]string{"a": "3"} }},
		"delete":    {inproq.QueueUpdate{Annotations: map[string]*string{"a": nil, "b": nil}}, func(i *inproq.QueueInfo) { i.Annotations = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := accountBroker(t, inproq.Config{})
				_, err := b.CreateQueue(t.Context(), "q", initial)
				require.NoError(t, err)
				want, err := b.UpdateQueue(t.Context(), "q", inproq.QueueUpdate{Annotations: map[string]*string{"a": new("1")}})
				require.NoError(t, err)
				time.Sleep(time.Hour)

				got, err := b.UpdateQueue(t.Context(), "q", tc.update)
				require.NoError(t, err)
				assert.Greater(t, got.Revision, want.Revision)
				assert.Equal(t, want.ModifiedAt.Add(time.Hour), got.ModifiedAt)
				tc.change(&want)
				want.Revision, want.ModifiedAt = got.Revision, got.ModifiedAt
				assert.Equal(t, want, got)
				read, err := b.Queue(t.Context(), "q")
				require.NoError(t, err)
				assert.Equal(t, got, read)
			})
		})
	}
}

// An update that changes nothing writes nothing.
func TestAccountUpdateQueueWithoutChange(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	before, err := b.CreateQueue(t.Context(), "q", inproq.QueueConfig{})
	require.NoError(t, err)
	after, err := b.UpdateQueue(t.Context(), "q", inproq.QueueUpdate{DeliveryPaused: new(false), Annotations: map[string]*string{"a": nil}})
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

func TestAccountUpdateQueueIfRevision(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	first, err := b.CreateQueue(t.Context(), "q", inproq.QueueConfig{})
	require.NoError(t, err)
	second, err := b.UpdateQueue(t.Context(), "q", inproq.QueueUpdate{DeliveryDelay: new(time.Minute), IfRevision: first.Revision})
	require.NoError(t, err)

	_, err = b.UpdateQueue(t.Context(), "q", inproq.QueueUpdate{DeliveryDelay: new(time.Hour), DeliveryPaused: new(true), IfRevision: first.Revision})
	require.ErrorIs(t, err, inproq.ErrConflict)
	now, err := b.Queue(t.Context(), "q")
	require.NoError(t, err)
	assert.Equal(t, second, now)
}

func TestAccountUpdateQueueListsEveryViolation(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	before, err := b.CreateQueue(t.Context(), "q", inproq.QueueConfig{})
	require.NoError(t, err)
	_, err = b.UpdateQueue(t.Context(), "q", inproq.QueueUpdate{
		DeliveryDelay: new(-time.Second), MessageRetentionPeriod: new(15 * 24 * time.Hour), Annotations: map[string]*string{"a": new("1")},
	})
	require.ErrorIs(t, err, inproq.ErrInvalidConfig)
	assert.ErrorContains(t, err, "DeliveryDelay is -1s")
	assert.ErrorContains(t, err, "MessageRetentionPeriod is 360h0m0s")
	after, err := b.Queue(t.Context(), "q")
	require.NoError(t, err)
	assert.Equal(t, before, after, "nothing of it is applied")
}

// Of concurrent updates none is lost: one that was overtaken is made anew.
func TestAccountConcurrentUpdates(t *testing.T) {
	st := accountStore(t)
	other := accountBroker(t, inproq.Config{Store: st})
	annotate := func(b *inproq.Broker, key string) {
		_, err := b.UpdateQueue(t.Context(), "q", inproq.QueueUpdate{Annotations: map[string]*string{key: new(key)}})
		require.NoError(t, err)
	}
	overtakers := []string{"x", "y"}
	b := accountBroker(t, inproq.Config{Store: accountHook{Store: st, before: func(q store.Queue) {
		if q.Revision > 0 && len(overtakers) > 0 {
			key := overtakers[0]
			overtakers = overtakers[1:]
			annotate(other, key)
		}
	}}})
	_, err := b.CreateQueue(t.Context(), "q", inproq.QueueConfig{})
	require.NoError(t, err)
	annotate(b, "a")
	info, err := b.Queue(t.Context(), "q")
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"a": "a", "x": "x", "y": "y"}, info.Annotations)
}

// A changed delay and retention count at once for who sends and consumes.
func TestAccountUpdateQueueIsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		var sink accountSink
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		run := accountStart(b)
		accountSend(t, q, "at once")
		synctest.Wait()
		require.Equal(t, []string{"at once"}, sink.bodies())

		_, err := b.UpdateQueue(t.Context(), "q", inproq.QueueUpdate{DeliveryDelay: new(10 * time.Second)})
		require.NoError(t, err)
		accountSend(t, q, "later")
		time.Sleep(10*time.Second - 1)
		synctest.Wait()
		require.Len(t, sink.bodies(), 1)
		time.Sleep(1)
		synctest.Wait()
		assert.Equal(t, []string{"at once", "later"}, sink.bodies())

		_, err = b.UpdateQueue(t.Context(), "q", inproq.QueueUpdate{DeliveryDelay: new(2 * time.Minute), MessageRetentionPeriod: new(time.Minute)})
		require.NoError(t, err)
		accountSend(t, q, "never")
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Len(t, sink.bodies(), 2)
		assert.EqualValues(t, 1, b.Stats("q").Expired)
		require.NoError(t, run.stop())
	})
}

// What does not concern the consumer leaves a batch that fills alone.
func TestAccountUpdateQueueDoesNotDisturb(t *testing.T) {
	for name, wrap := range accountStores {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := accountBroker(t, inproq.Config{Store: wrap(accountStore(t))})
				q := accountDeclare(t, b, "q", inproq.QueueConfig{})
				var sink accountSink
				accountConsume(t, q, sink.handle, inproq.ConsumerConfig{})
				run := accountStart(b)
				accountSend(t, q, "x")
				time.Sleep(4 * time.Second)
				_, err := b.UpdateQueue(t.Context(), "q", inproq.QueueUpdate{Annotations: map[string]*string{"a": new("1")}, DeliveryDelay: new(time.Hour)})
				require.NoError(t, err)
				time.Sleep(time.Second)
				synctest.Wait()
				assert.Equal(t, []string{"x"}, sink.bodies())
				require.NoError(t, run.stop())
			})
		})
	}
}
