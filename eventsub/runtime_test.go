package eventsub

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

func TestRunTellsOfQueuesAndConsumers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, nil, "events", "mine")
		s := newService(t, b)
		create := func(queue string, source Source, events []string) {
			_, err := s.Create(t.Context(), Spec{Source: source, Queue: queue, Events: events})
			require.NoError(t, err)
		}
		sources := map[string][]string{}
		for _, typ := range Sources() {
			sources[typ.Name] = typ.Events
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		synctest.Wait()
		create("events", Source{Type: "queues"}, sources["queues"])
		create("mine", Source{Type: "queues.queue", Args: map[string]string{"queue_name": "b"}}, sources["queues.queue"])
		inproq.Must(b.CreateQueue(t.Context(), "a", inproq.QueueConfig{}))
		inproq.Must(b.UpdateQueue(t.Context(), "a", inproq.QueueUpdate{DeliveryDelay: new(1500 * time.Millisecond)}))
		note := map[string]*string{"note": new("x")}
		inproq.Must(b.UpdateQueue(t.Context(), "a", inproq.QueueUpdate{Annotations: note}))
		inproq.Must(b.CreateQueue(t.Context(), "b", inproq.QueueConfig{}))
		inproq.Must(b.AttachConsumer(t.Context(), "b", inproq.ConsumerSpec{Kind: inproq.HTTPPull}))
		inproq.Must(b.UpdateConsumer(t.Context(), "b", inproq.ConsumerUpdate{MaxRetries: new(0)}))
		require.NoError(t, b.RemoveConsumer(t.Context(), "b"))
		require.NoError(t, b.DeleteQueue(t.Context(), "b"))
		synctest.Wait()
		ofB := []string{
			"cf.queues.queue.created", "cf.queues.queue.consumer.attached", "cf.queues.queue.consumer.updated",
			"cf.queues.queue.consumer.removed", "cf.queues.queue.deleted",
		}
		assert.Equal(t, ofB, types(t, b, "mine"))
		assert.Equal(t, append([]string{"cf.queues.queue.created", "cf.queues.queue.updated"}, ofB...), types(t, b, "events"),
			"and nothing of annotations, such as the subscriptions themselves")
		all := messages(t, b, "events")
		var p QueuePayload
		require.NoError(t, json.Unmarshal(all[1].Payload, &p))
		assert.EqualValues(t, 2, p.Settings.DeliveryDelay)
		assert.EqualValues(t, 0, p.Previous.DeliveryDelay)
		assert.Equal(t, map[string]string{"type": "queues.queue", "queueName": "a"}, all[1].Source)
		p = QueuePayload{}
		require.NoError(t, json.Unmarshal(all[4].Payload, &p))
		assert.Equal(t, 0, p.Consumer.MaxRetries)
		cancel()
		assert.NoError(t, <-done)
	})
}

// Dead letters are told of, once: those of the queue that is told are not, or else they
// would never end.
func TestRunTellsOfDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, nil)
		s := newService(t, b)
		orders := inproq.Must(inproq.Declare[string](t.Context(), b, "orders", inproq.QueueConfig{}))
		alarms := inproq.Must(inproq.Declare[Message](t.Context(), b, "alarms", inproq.QueueConfig{}))
		cfg := inproq.ConsumerConfig{MaxRetries: inproq.NoRetries, DeadLetterQueue: "dead", MaxBatchTimeout: inproq.NoWait}
		inproq.Must(orders.Consume(func(context.Context, *inproq.MessageBatch[string]) error { return errors.New("no") }, cfg))
		var told []Message
		inproq.Must(alarms.Consume(func(_ context.Context, batch *inproq.MessageBatch[Message]) error {
			for _, m := range batch.Messages {
				told = append(told, m.Body)
			}
			return errors.New("neither")
		}, cfg))
		_, err := s.Create(t.Context(), Spec{Source: Source{Type: "queues"}, Queue: "alarms", Events: []string{"queue.message.deadLettered"}})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		synctest.Wait()
		queuetest.Start(t, b)
		sent := inproq.Must(orders.Send(t.Context(), "x"))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, told, 1)
		var p DeadLetterPayload
		require.NoError(t, json.Unmarshal(told[0].Payload, &p))
		assert.Equal(t, DeadLetterPayload{QueueName: "orders", MessageID: sent.ID.String(), Attempts: 1, DeadLetterQueue: "dead", Error: p.Error}, p)
		assert.Contains(t, p.Error, "no")
		assert.EqualValues(t, 2, inproq.Must(b.Metrics(t.Context(), "dead")).BacklogCount)
		cancel()
		assert.NoError(t, <-done)
	})
}
