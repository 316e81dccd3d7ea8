package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/inproq/inproq"
)

// With Config.Journey the broker remembers what happened to each of the latest messages.
// Printed, a journey has the times too.
func ExampleBroker_Journey() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{Journey: true}))
	orders := inproq.Must(inproq.Declare[string](ctx, broker, "orders", inproq.QueueConfig{}))
	inproq.Must(orders.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		return errors.New("no such customer")
	}), inproq.ConsumerConfig{MaxRetries: 1, DeadLetterQueue: "failed-orders"}))
	sent := inproq.Must(orders.Send(ctx, "order 7"))
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	for _, e := range broker.Journey(sent.ID) {
		fmt.Println(e.Kind, e.Attempts, e.To, e.Err)
	}
	// Output:
	// sent 0  <nil>
	// delivered 1  <nil>
	// retried 1  no such customer
	// delivered 2  <nil>
	// dead_lettered 2 failed-orders no such customer
}
