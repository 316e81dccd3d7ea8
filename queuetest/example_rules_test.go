package queuetest_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// A handler of this queue has to decide every message, and an hour of its traffic has
// to be cheap enough.
func ExampleCheckAcks() {
	synctest.Test(t, func(t *testing.T) {
		broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
		queuetest.CheckAcks(t, broker, queuetest.NoImplicitAcks)
		orders := inproq.Must(inproq.Declare[int](t.Context(), broker, "orders", inproq.QueueConfig{}))
		inproq.Must(orders.Consume(func(ctx context.Context, batch *inproq.MessageBatch[int]) error {
			for _, m := range batch.Messages {
				m.Ack()
			}
			return nil
		}, inproq.ConsumerConfig{}))
		queuetest.Start(t, broker)
		for range 60 {
			inproq.Must(orders.Send(t.Context(), 1))
			time.Sleep(time.Minute)
		}
		queuetest.AssertBudget(t, broker, inproq.CloudflarePrice(), 5.00, "orders")
	})
}

func TestExampleCheckAcks(test *testing.T) {
	t = test
	ExampleCheckAcks()
}

// The handler of a dead-letter queue is told why a message is there.
func ExampleDeadLetter() {
	report := inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		letter, _ := m.DeadLetter()
		fmt.Printf("%s: not sent in %d attempts: %s\n", m.Body, letter.Attempts, letter.Error)
		return nil
	})
	letter := queuetest.DeadLetter(
		inproq.Message[string]{Body: "ada@example.org"},
		inproq.DeadLetter{Queue: "emails", Attempts: 3, Error: "mailbox full"},
	)
	queuetest.Deliver(context.Background(), report, queuetest.NewBatch("undelivered", letter))
	// Output:
	// ada@example.org: not sent in 3 attempts: mailbox full
}
