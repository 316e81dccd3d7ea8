package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/inproq/inproq"
)

// Each message is acknowledged when the function returns nil, and retried when it
// returns an error.
func ExampleEach() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	mails := inproq.Must(inproq.Declare[string](ctx, broker, "mails", inproq.QueueConfig{}))
	inproq.Must(mails.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		if m.Body == "alan" && m.Attempts < 3 {
			return errors.New("mailbox busy")
		}
		fmt.Println("sent to", m.Body, "in attempt", m.Attempts)
		return nil
	}), inproq.ConsumerConfig{MaxRetries: 5}))
	inproq.Must(mails.SendBatch(ctx, inproq.Bodies("ada", "alan", "grace")))
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// sent to ada in attempt 1
	// sent to grace in attempt 1
	// sent to alan in attempt 3
}
