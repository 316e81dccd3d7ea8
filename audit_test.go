package inproq_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

var auditKinds = []inproq.EventKind{
	inproq.EventCreateQueue, inproq.EventUpdateQueue, inproq.EventDeleteQueue,
	inproq.EventAttachConsumer, inproq.EventUpdateConsumer, inproq.EventRemoveConsumer,
}

// auditJSON is how a QueueInfo without its consumer, or a ConsumerInfo, is told; nil:
// not at all.
func auditJSON(t *testing.T, v any) string {
	t.Helper()
	switch x := v.(type) {
	case nil:
		return ""
	case inproq.QueueInfo:
		x.Consumer = nil
		v = x
	}
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

// expect checks that exactly one event has come.
func (r *eventsReader) expect(t *testing.T, kind inproq.EventKind, queue string, before, after any) {
	t.Helper()
	got := r.take()
	require.Len(t, got, 1)
	assert.Equal(t, kind, got[0].Kind)
	assert.Equal(t, queue, got[0].Queue)
	assert.True(t, got[0].Time.Equal(time.Now()))
	assert.Equal(t, auditJSON(t, before), string(got[0].Before))
	assert.Equal(t, auditJSON(t, after), string(got[0].After))
	got[0].Time, got[0].Before, got[0].After = time.Time{}, nil, nil
	assert.Equal(t, inproq.Event{Kind: kind, Queue: queue}, got[0])
}

func TestAuditOfTheAccountPlane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		r := eventsOf(t, b, auditKinds...)
		created, err := b.CreateQueue(t.Context(), "q", inproq.QueueConfig{DeliveryDelay: time.Minute})
		require.NoError(t, err)
		r.expect(t, "CreateQueue", "q", nil, created)
		_, err = b.CreateQueue(t.Context(), "q", inproq.QueueConfig{})
		require.Error(t, err)
		time.Sleep(time.Hour)
		updated, err := b.UpdateQueue(t.Context(), "q", inproq.QueueUpdate{DeliveryDelay: new(time.Second)})
		require.NoError(t, err)
		r.expect(t, "UpdateQueue", "q", created, updated)
		annotated, err := b.UpdateQueue(t.Context(), "q", inproq.QueueUpdate{Annotations: map[string]*string{"a": new("b")}})
		require.NoError(t, err)
		r.expect(t, "UpdateQueue", "q", updated, annotated)
		_, err = b.UpdateQueue(t.Context(), "q", inproq.QueueUpdate{DeliveryDelay: new(time.Second)})
		require.NoError(t, err, "which changes nothing")
		require.NoError(t, b.PauseDelivery(t.Context(), "q"))
		paused := consumersInfo(t, b, "q")
		r.expect(t, "UpdateQueue", "q", annotated, paused)
		require.NoError(t, b.PauseDelivery(t.Context(), "q"))
		require.NoError(t, b.ResumeDelivery(t.Context(), "q"))
		resumed := consumersInfo(t, b, "q")
		r.expect(t, "UpdateQueue", "q", paused, resumed)

		time.Sleep(time.Hour)
		attached := consumersAttach(t, b, "q", consumersWorker())
		r.expect(t, "AttachConsumer", "q", nil, attached)
		changed := consumersUpdate(t, b, inproq.ConsumerUpdate{MaxRetries: new(7)})
		r.expect(t, "UpdateConsumerSettings", "q", attached, changed)
		consumersUpdate(t, b, inproq.ConsumerUpdate{MaxRetries: new(7)})
		require.NoError(t, b.RemoveConsumer(t.Context(), "q"))
		r.expect(t, "RemoveConsumer", "q", changed, nil)
		pulled := consumersAttach(t, b, "q", inproq.ConsumerSpec{Kind: inproq.HTTPPull})
		r.expect(t, "AttachConsumer", "q", nil, pulled)
		dead := consumersUpdate(t, b, inproq.ConsumerUpdate{DeadLetterQueue: new("dead")})
		got := r.take()
		require.Len(t, got, 2)
		assert.Equal(t, inproq.EventCreateQueue, got[0].Kind)
		assert.Equal(t, "dead", got[0].Queue)
		assert.Equal(t, inproq.EventUpdateConsumer, got[1].Kind)
		assert.Equal(t, auditJSON(t, dead), string(got[1].After))

		last := consumersInfo(t, b, "q")
		require.NoError(t, b.DeleteQueue(t.Context(), "q"))
		r.expect(t, "DeleteQueue", "q", last, nil)
	})
}

// What code declares is told as what an operator does.
func TestAuditOfTheBindingPlane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		queuetest.Start(t, b)
		synctest.Wait()
		r := eventsOf(t, b, auditKinds...)
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		created := consumersInfo(t, b, "q")
		r.expect(t, "CreateQueue", "q", nil, created)
		accountDeclare(t, b, "q", inproq.QueueConfig{})
		accountDeclare(t, b, "q", inproq.QueueConfig{DeliveryDelay: time.Hour})
		r.expect(t, "UpdateQueue", "q", created, consumersInfo(t, b, "q"))
		c := accountConsume(t, q, new(accountSink).handle, inproq.ConsumerConfig{MaxRetries: 5})
		attached := *consumersInfo(t, b, "q").Consumer
		r.expect(t, "AttachConsumer", "q", nil, attached)
		changed := consumersUpdate(t, b, inproq.ConsumerUpdate{RetryDelay: new(time.Minute)})
		r.expect(t, "UpdateConsumerSettings", "q", attached, changed)
		require.NoError(t, c.Stop(t.Context()))
		r.expect(t, "RemoveConsumer", "q", changed, nil)

		p, err := q.PullConsumer(inproq.PullConfig{})
		require.NoError(t, err)
		pulled := *consumersInfo(t, b, "q").Consumer
		r.expect(t, "AttachConsumer", "q", nil, pulled)
		require.NoError(t, p.Stop(t.Context()))
		r.expect(t, "RemoveConsumer", "q", pulled, nil)
	})
}

// A restart that declares what is known tells nothing, and what was there before the
// broker is no event; one that declares anew over an operator's consumer is.
func TestAuditOfARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		var sink accountSink
		_, stop := consumersProcess(t, st, inproq.ConsumerConfig{}, &sink)
		stop()
		start := func(cfg inproq.ConsumerConfig) []inproq.EventKind {
			b := accountBroker(t, inproq.Config{Store: st})
			r := eventsOf(t, b, auditKinds...)
			accountConsume(t, accountDeclare(t, b, "q", inproq.QueueConfig{}), sink.handle, cfg)
			run := accountStart(b)
			synctest.Wait()
			require.NoError(t, run.stop())
			return r.kinds()
		}
		assert.Empty(t, start(inproq.ConsumerConfig{}))
		assert.Equal(t, []inproq.EventKind{inproq.EventUpdateConsumer}, start(inproq.ConsumerConfig{MaxRetries: 9}))
	})
}

// Changes of another broker are told when this one learns of them: while it runs, at
// once, beginning with the first queue of an empty store.
func TestAuditOfAnotherBroker(t *testing.T) {
	for _, before := range []int{0, 1} {
		t.Run(fmt.Sprint(before, " queues before"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := accountStore(t)
				here, there := accountBroker(t, inproq.Config{Store: st}), accountBroker(t, inproq.Config{Store: st})
				eventsCreate(t, there, "old", before)
				r := eventsOf(t, here, auditKinds...)
				run := accountStart(here)
				assert.Empty(t, r.take(), "what was there before is no news")
				created, err := there.CreateQueue(t.Context(), "q", inproq.QueueConfig{})
				require.NoError(t, err)
				r.expect(t, "CreateQueue", "q", nil, created)
				attached := consumersAttach(t, there, "q", consumersWorker())
				r.expect(t, "AttachConsumer", "q", nil, attached)
				changed := consumersUpdate(t, there, inproq.ConsumerUpdate{MaxRetries: new(0)})
				r.expect(t, "UpdateConsumerSettings", "q", attached, changed)
				require.NoError(t, there.RemoveConsumer(t.Context(), "q"))
				r.expect(t, "RemoveConsumer", "q", changed, nil)
				was := consumersInfo(t, there, "q")
				require.NoError(t, there.PauseDelivery(t.Context(), "q"))
				is := consumersInfo(t, there, "q")
				r.expect(t, "UpdateQueue", "q", was, is)
				require.NoError(t, there.DeleteQueue(t.Context(), "q"))
				r.expect(t, "DeleteQueue", "q", is, nil)
				require.NoError(t, run.stop())
			})
		})
	}
}

// A broker that does not look for a while tells what it finds different then: a queue
// and a consumer that were made anew are others.
func TestAuditOfWhatWasMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		here, there := consumersBroker(t, inproq.Config{Store: st}), accountBroker(t, inproq.Config{Store: st})
		old := consumersAttach(t, here, "q", consumersWorker())
		r := eventsOf(t, here, auditKinds...)
		require.NoError(t, there.RemoveConsumer(t.Context(), "q"))
		anew := consumersAttach(t, there, "q", consumersWorker())
		assert.Empty(t, r.take())
		was := consumersInfo(t, here, "q")
		got := r.take()
		require.Len(t, got, 2)
		assert.Equal(t, inproq.EventRemoveConsumer, got[0].Kind)
		assert.Equal(t, auditJSON(t, old), string(got[0].Before))
		assert.Equal(t, inproq.EventAttachConsumer, got[1].Kind)
		assert.Equal(t, auditJSON(t, anew), string(got[1].After))

		require.NoError(t, there.DeleteQueue(t.Context(), "q"))
		consumersCreate(t, there, "q")
		is := consumersInfo(t, here, "q")
		got = r.take()
		require.Len(t, got, 2)
		assert.Equal(t, inproq.EventDeleteQueue, got[0].Kind)
		assert.Equal(t, auditJSON(t, was), string(got[0].Before))
		assert.Equal(t, inproq.EventCreateQueue, got[1].Kind)
		assert.Equal(t, auditJSON(t, is), string(got[1].After))
	})
}

// Each change is told once, however many make them and look at them at the same time.
func TestAuditConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := consumersBroker(t, inproq.Config{Store: accountStore(t)})
		queuetest.Start(t, b)
		synctest.Wait()
		consumersAttach(t, b, "q", consumersWorker())
		r := eventsOf(t, b, auditKinds...)
		const each = 50
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for n := range each {
					_, err := b.UpdateQueue(context.Background(), "q", inproq.QueueUpdate{Annotations: map[string]*string{fmt.Sprint(i): new(fmt.Sprint(n))}})
					assert.NoError(t, err)
				}
			})
			wg.Go(func() {
				for n := range each {
					name := fmt.Sprintf("%d-%d", i, n)
					_, err := b.CreateQueue(context.Background(), name, inproq.QueueConfig{})
					assert.NoError(t, err)
					assert.NoError(t, b.DeleteQueue(context.Background(), name))
				}
			})
		}
		wg.Wait()
		count := make(map[string]int)
		var revisions []uint64
		for _, e := range r.take() {
			if e.Kind != inproq.EventUpdateQueue {
				count[string(e.Kind)+" "+e.Queue]++
				continue
			}
			var info inproq.QueueInfo
			require.NoError(t, json.Unmarshal(e.After, &info))
			revisions = append(revisions, info.Revision)
		}
		assert.Len(t, count, 2*4*each)
		for what, n := range count {
			assert.Equal(t, 1, n, what)
		}
		slices.Sort(revisions)
		assert.Len(t, slices.Compact(revisions), 4*each)
	})
}
