package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/inproq/inproq"
)

// Events tell what happens, to who wants to know: here, which messages have died and
// what was changed. The reader subscribes with the call of Events, and ends when the
// broker is shut down.
func ExampleBroker_Events() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	events := broker.Events(context.Background(), inproq.EventDeadLettered, inproq.EventCreateQueue)
	orders := inproq.Must(inproq.Declare[string](ctx, broker, "orders", inproq.QueueConfig{}))
	inproq.Must(orders.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		if m.Body == "order 2" {
			return errors.New("no such customer")
		}
		return nil
	}), inproq.ConsumerConfig{MaxRetries: inproq.NoRetries, DeadLetterQueue: "failed-orders"}))
	inproq.Must(orders.SendBatch(ctx, inproq.Bodies("order 1", "order 2", "order 3")))
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	for e := range events {
		switch e.Kind {
		case inproq.EventCreateQueue:
			fmt.Println("created:", e.Queue)
		case inproq.EventDeadLettered:
			fmt.Println("moved from", e.Queue, "to", e.To, "after attempt", e.Attempts, "because of:", e.Err)
		}
	}
	// Output:
	// created: orders
	// created: failed-orders
	// moved from orders to failed-orders after attempt 1 because of: no such customer
}
