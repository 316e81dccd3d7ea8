package inproq_test

import (
	"context"
	"fmt"
	"log"

	"github.com/inproq/inproq"
)

// Handle registers a handler by name. An operator says which queues it consumes, and
// how, while the program runs or before.
func ExampleHandle() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	err := inproq.Handle(broker, "mailer", func(ctx context.Context, batch *inproq.MessageBatch[string]) error {
		for _, m := range batch.Messages {
			fmt.Println(batch.Queue, m.Body)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	mails := inproq.Must(inproq.Declare[string](ctx, broker, "mails", inproq.QueueConfig{}))
	consumer := inproq.Must(broker.AttachConsumer(ctx, "mails", inproq.ConsumerSpec{
		Kind: inproq.Worker, Script: "mailer", Settings: inproq.ConsumerSettings{MaxBatchSize: 2},
	}))
	fmt.Println(consumer.Script, "consumes", consumer.Queue, "with", consumer.Settings.MaxRetries, "retries")
	inproq.Must(mails.SendBatch(ctx, inproq.Bodies("welcome", "reminder", "goodbye")))
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// mailer consumes mails with 3 retries
	// mails welcome
	// mails reminder
	// mails goodbye
}
