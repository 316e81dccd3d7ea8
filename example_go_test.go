package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/inproq/inproq"
)

// Functions started with Go are a part of the invocation: here one for each
// message of the batch. One that fails retries only what nobody has acknowledged.
func ExampleMessageBatch_Go() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	images := inproq.Must(inproq.Declare[string](ctx, broker, "images", inproq.QueueConfig{}))
	inproq.Must(images.Consume(func(ctx context.Context, batch *inproq.MessageBatch[string]) error {
		for _, m := range batch.Messages {
			batch.Go(func(ctx context.Context) error {
				if m.Body == "b.png" && m.Attempts == 1 {
					return errors.New("out of memory")
				}
				fmt.Println(m.Body, "resized in attempt", m.Attempts)
				m.Ack()
				return nil
			})
		}
		return nil
	}, inproq.ConsumerConfig{}))
	inproq.Must(images.SendBatch(ctx, inproq.Bodies("a.png", "b.png", "c.png")))
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Unordered output:
	// a.png resized in attempt 1
	// c.png resized in attempt 1
	// b.png resized in attempt 2
}
