package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/inproq/inproq"
)

func main() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{})) // its store is in memory
	emails := inproq.Must(inproq.Declare[string](ctx, broker, "emails", inproq.QueueConfig{}))
	inproq.Must(emails.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		if m.Body == "alan@example.org" && m.Attempts == 1 {
			return errors.New("mailbox busy") // this message is retried
		}
		fmt.Println("welcome", m.Body, "attempt", m.Attempts)
		return nil // and this one acknowledged
	}), inproq.ConsumerConfig{}))
	inproq.Must(emails.SendBatch(ctx, inproq.Bodies("ada@example.org", "alan@example.org", "grace@example.org")))
	stop() // Run delivers what is ready before it returns
	fmt.Println("done:", broker.Run(ctx))
}
