package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/inproq/inproq"
)

// A message that is acknowledged is done, even if the handler fails later: only
// the others come again.
func ExampleMessage_Ack() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	charges := inproq.Must(inproq.Declare[int](ctx, broker, "charges", inproq.QueueConfig{}))
	inproq.Must(charges.Consume(func(ctx context.Context, batch *inproq.MessageBatch[int]) error {
		for _, m := range batch.Messages {
			if m.Body > 100 && m.Attempts == 1 {
				return errors.New("limit reached")
			}
			fmt.Println("charged", m.Body)
			m.Ack()
		}
		return nil
	}, inproq.ConsumerConfig{}))
	inproq.Must(charges.SendBatch(ctx, inproq.Bodies(10, 500, 20)))
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// charged 10
	// charged 500
	// charged 20
}

// A retry may say when the message comes again, and why. A retry fails neither the
// batch nor the other messages.
func ExampleMessage_Retry() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	charges := inproq.Must(inproq.Declare[int](ctx, broker, "charges", inproq.QueueConfig{}))
	inproq.Must(charges.Consume(func(ctx context.Context, batch *inproq.MessageBatch[int]) error {
		for _, m := range batch.Messages {
			if m.Body > 100 && m.Attempts == 1 {
				m.Retry(inproq.Delay(0), inproq.Cause(errors.New("limit reached")))
				continue
			}
			fmt.Println("charged", m.Body, "in attempt", m.Attempts)
		}
		return nil
	}, inproq.ConsumerConfig{RetryDelay: time.Hour}))
	inproq.Must(charges.SendBatch(ctx, inproq.Bodies(10, 500, 20)))
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// charged 10 in attempt 1
	// charged 20 in attempt 1
	// charged 500 in attempt 2
}
