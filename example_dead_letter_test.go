package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/inproq/inproq"
)

// A message whose last delivery has failed is moved to the dead-letter queue. A
// consumer there learns where it comes from.
func ExampleMessage_DeadLetter() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	orders := inproq.Must(inproq.Declare[string](ctx, broker, "orders", inproq.QueueConfig{}))
	inproq.Must(orders.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		return errors.New("no such customer")
	}), inproq.ConsumerConfig{MaxRetries: 2, DeadLetterQueue: "failed-orders"}))
	failed := inproq.Must(inproq.Declare[string](ctx, broker, "failed-orders", inproq.QueueConfig{}))
	inproq.Must(failed.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		if letter, ok := m.DeadLetter(); ok {
			fmt.Println(m.Body, "from", letter.Queue, "after", letter.Attempts, "attempts")
			fmt.Println(letter.Reason, "-", letter.Error)
		}
		return nil
	}), inproq.ConsumerConfig{}))
	inproq.Must(orders.Send(ctx, "order 7"))
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// order 7 from orders after 3 attempts
	// retries_exhausted - no such customer
}
