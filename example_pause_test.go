package inproq_test

import (
	"context"
	"fmt"
	"log"

	"github.com/inproq/inproq"
)

// A queue that is paused takes messages and delivers none, until it is resumed.
func ExampleBroker_PauseDelivery() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	mails := inproq.Must(inproq.Declare[string](ctx, broker, "mails", inproq.QueueConfig{}))
	inproq.Must(mails.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		fmt.Println("delivered:", m.Body)
		return nil
	}), inproq.ConsumerConfig{}))
	if err := broker.PauseDelivery(ctx, "mails"); err != nil {
		log.Fatal(err)
	}
	inproq.Must(mails.Send(ctx, "hello"))
	info, metrics := inproq.Must(broker.Queue(ctx, "mails")), inproq.Must(mails.Metrics(ctx))
	fmt.Println("paused:", info.DeliveryPaused, "waiting:", metrics.BacklogCount)
	if err := broker.ResumeDelivery(ctx, "mails"); err != nil {
		log.Fatal(err)
	}
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// paused: true waiting: 1
	// delivered: hello
}
