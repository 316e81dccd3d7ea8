package eventsub

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// subscribe subscribes a queue to the dead letters of another, "": of all.
func subscribe(t testing.TB, s *Service, of, queue string) Subscription {
	t.Helper()
	spec := Spec{Source: Source{Type: "queues"}, Queue: queue, Events: []string{"queue.message.deadLettered"}}
	if of != "" {
		spec.Source = Source{Type: "queues.queue", Args: map[string]string{"queue_name": of}}
		spec.Events = []string{"message.deadLettered"}
	}
	sub, err := s.Create(t.Context(), spec)
	require.NoError(t, err)
	return sub
}

// failing makes each queue's consumer fail and the next queue its dead-letter queue. Time
// passes between the deaths, so that a loop ends with the test.
func failing(t testing.TB, b *inproq.Broker, chain ...string) {
	t.Helper()
	for i, dlq := range chain[1:] {
		q := inproq.Must(inproq.Declare[Message](t.Context(), b, chain[i], inproq.QueueConfig{}))
		inproq.Must(q.Consume(func(context.Context, *inproq.MessageBatch[Message]) error { return errors.New("no") },
			inproq.ConsumerConfig{MaxRetries: inproq.NoRetries, DeadLetterQueue: dlq, MaxBatchTimeout: time.Second}))
	}
}

// run runs the service and the broker for a while, after one message was sent to orders.
func run(t testing.TB, b *inproq.Broker, s *Service) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	synctest.Wait()
	queuetest.Start(t, b)
	orders := inproq.Must(inproq.Bind[Message](t.Context(), b, "orders"))
	inproq.Must(orders.Send(t.Context(), Message{}))
	time.Sleep(time.Minute)
	synctest.Wait()
	cancel()
	assert.NoError(t, <-done)
}

// A message that tells of a dead letter may die as often as it likes: nobody is told.
func TestDeadLettersOfEventsEnd(t *testing.T) {
	for name, chain := range map[string][]string{
		"one level":    {"alarms", "end"},
		"two levels":   {"alarms", "alarms-dead", "end"},
		"three levels": {"alarms", "alarms-dead", "graveyard", "end"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBroker(t, nil)
				s := newService(t, b)
				failing(t, b, "orders", "dead")
				failing(t, b, chain...)
				subscribe(t, s, "", "alarms")
				run(t, b, s)
				assert.Len(t, types(t, b, "end"), 1)
				for _, q := range chain[:len(chain)-1] {
					assert.Empty(t, types(t, b, q))
				}
			})
		})
	}
}

// Two subscriptions that tell each other's queues would keep each other busy.
func TestDeadLettersOfEventsEndBetweenTwoQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, nil)
		s := newService(t, b)
		failing(t, b, "orders", "dead")
		failing(t, b, "east", "end")
		failing(t, b, "west", "end")
		subscribe(t, s, "orders", "east")
		subscribe(t, s, "east", "west")
		subscribe(t, s, "west", "east")
		run(t, b, s)
		assert.Len(t, types(t, b, "end"), 1)
	})
}

// That a queue gets events is no reason not to tell another of its dead letters: whether
// those are of a disabled subscription, of another queue, or of what is about to be told.
func TestOnlyLoopsAreSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, nil, "alarms", "audit")
		s := newService(t, b)
		failing(t, b, "orders", "dead")
		spec := inproq.ConsumerSpec{Kind: inproq.HTTPPull}
		spec.Settings.DeadLetterQueue = "alarms-dead"
		inproq.Must(b.AttachConsumer(t.Context(), "alarms", spec))
		subscribe(t, s, "", "alarms")
		subscribe(t, s, "elsewhere", "orders")
		off := subscribe(t, s, "orders", "audit")
		_, err := s.Update(t.Context(), off.ID, Update{Enabled: new(false)})
		require.NoError(t, err)
		own := subscribe(t, s, "alarms", "orders")
		_, err = s.Update(t.Context(), own.ID, Update{Enabled: new(false)})
		require.NoError(t, err)
		run(t, b, s)
		assert.Len(t, types(t, b, "alarms"), 1)
		assert.Empty(t, types(t, b, "audit"))
	})
}

// One who gets the dead letters of all queues also gets those of events that others had.
func TestOthersAreToldOfEventsThatDie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, nil, "audit")
		s := newService(t, b)
		failing(t, b, "orders", "dead")
		failing(t, b, "alarms", "alarms-dead")
		subscribe(t, s, "orders", "alarms")
		subscribe(t, s, "", "audit")
		run(t, b, s)
		var queues []string
		for _, m := range messages(t, b, "audit") {
			queues = append(queues, m.Source["queueName"])
		}
		slices.Sort(queues)
		assert.Equal(t, []string{"alarms", "orders"}, queues)
	})
}

// What the index knows of dead-letter queues follows the consumers.
func TestLeads(t *testing.T) {
	b := newBroker(t, nil, "a", "b", "c")
	s := newService(t, b)
	leads := func(from, to string) bool {
		t.Helper()
		require.NoError(t, s.refresh(t.Context()))
		return s.index.leads(from, to)
	}
	pull := func(q, dlq string) {
		spec := inproq.ConsumerSpec{Kind: inproq.HTTPPull}
		spec.Settings.DeadLetterQueue = dlq
		inproq.Must(b.AttachConsumer(t.Context(), q, spec))
	}
	assert.True(t, leads("a", "a"))
	assert.False(t, leads("a", "b"))
	pull("a", "b")
	pull("b", "a") // no loop of events, but it has to be walked
	assert.True(t, leads("a", "b"))
	assert.False(t, leads("a", "c"))
	subscribe(t, s, "b", "c")
	assert.True(t, leads("a", "c"))
	require.NoError(t, b.RemoveConsumer(t.Context(), "b"))
	assert.False(t, leads("a", "c"), "messages of b die no more")
	require.NoError(t, b.DeleteQueue(t.Context(), "a"))
	assert.False(t, leads("a", "b"))
}
