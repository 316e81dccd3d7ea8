package inproq_test

import (
	"context"
	"fmt"
	"log"

	"github.com/inproq/inproq"
)

// Peek looks at messages without taking them. What it returns names them, so that
// a single one can be deleted.
func ExampleBroker_Peek() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	mails := inproq.Must(inproq.Declare[string](ctx, broker, "mails", inproq.QueueConfig{}))
	inproq.Must(mails.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		fmt.Println("delivered:", m.Body, "attempt", m.Attempts)
		return nil
	}), inproq.ConsumerConfig{}))
	inproq.Must(mails.SendBatch(ctx, inproq.Bodies("good", "bad", "fine")))
	for _, m := range inproq.Must(broker.Peek(ctx, "mails", 10)) {
		fmt.Println(string(m.Body), "attempts", m.Attempts)
		if string(m.Body) == `"bad"` {
			inproq.Must(broker.PurgeMessages(ctx, "mails", []string{m.Ref}))
		}
	}
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// "good" attempts 0
	// "bad" attempts 0
	// "fine" attempts 0
	// delivered: good attempt 1
	// delivered: fine attempt 1
}
