package inproq_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/inproq/inproq"
)

// Purge deletes what is ready and what is delayed.
func ExampleBroker_Purge() {
	ctx := context.Background()
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	mails := inproq.Must(inproq.Declare[string](ctx, broker, "mails", inproq.QueueConfig{}))
	inproq.Must(mails.SendBatch(ctx, inproq.Bodies("a", "b")))
	inproq.Must(mails.Send(ctx, "c", inproq.Delay(time.Hour)))
	fmt.Println("before:", inproq.Must(mails.Metrics(ctx)).BacklogCount)
	if err := broker.Purge(ctx, "mails"); err != nil {
		log.Fatal(err)
	}
	fmt.Println("after:", inproq.Must(mails.Metrics(ctx)).BacklogCount)
	if err := broker.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// before: 3
	// after: 0
}
