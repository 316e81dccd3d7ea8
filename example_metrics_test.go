package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/inproq/inproq"
)

// Metrics describe the backlog: all that is not acknowledged yet. A send returns
// those from before it.
func ExampleQueue_Metrics() {
	ctx := context.Background()
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	mails := inproq.Must(inproq.Declare[[]byte](ctx, broker, "mails", inproq.QueueConfig{}))
	for _, body := range []string{"hello", "world"} {
		sent := inproq.Must(mails.Send(ctx, []byte(body)))
		fmt.Println("before:", sent.Metrics.BacklogCount, sent.Metrics.BacklogBytes)
	}
	metrics := inproq.Must(mails.Metrics(ctx))
	fmt.Println("now:", metrics.BacklogCount, metrics.BacklogBytes)
	if err := broker.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// before: 0 0
	// before: 1 5
	// now: 2 10
}

// Stats count what happened to a queue's messages in this process.
func ExampleBroker_Stats() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	mails := inproq.Must(inproq.Declare[string](ctx, broker, "mails", inproq.QueueConfig{}))
	inproq.Must(mails.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		if m.Body == "alan" {
			return errors.New("mailbox busy")
		}
		return nil
	}), inproq.ConsumerConfig{MaxRetries: 2}))
	inproq.Must(mails.SendBatch(ctx, inproq.Bodies("ada", "alan", "grace")))
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	stats := broker.Stats("mails")
	fmt.Println("sent:", stats.Sent, "delivered:", stats.Delivered, "in batches:", stats.Batches)
	fmt.Println("acknowledged:", stats.Acked, "retried:", stats.Retried, "dropped:", stats.Dropped)
	// Output:
	// sent: 3 delivered: 5 in batches: 3
	// acknowledged: 2 retried: 2 dropped: 1
}
