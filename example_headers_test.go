package inproq_test

import (
	"context"
	"fmt"
	"log"

	"github.com/inproq/inproq"
)

// Headers go with a message, beside its body.
func ExampleHeader() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	tasks := inproq.Must(inproq.Declare[string](ctx, broker, "tasks", inproq.QueueConfig{}))
	inproq.Must(tasks.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		fmt.Println(m.Body, "of tenant", m.Headers["Tenant"], "in trace", m.Headers["Trace-Id"])
		return nil
	}), inproq.ConsumerConfig{}))
	inproq.Must(tasks.Send(ctx, "resize", inproq.Header("Tenant", "acme"), inproq.Header("Trace-Id", "4bf92f")))
	_, err := tasks.Send(ctx, "resize", inproq.Header("Trace ID", "4bf92f"))
	fmt.Println(err)
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// inproq: invalid header: header key "Trace ID" has ' ', allowed are letters, digits and dashes (queue "tasks")
	// resize of tenant acme in trace 4bf92f
}
