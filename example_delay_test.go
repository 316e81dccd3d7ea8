package inproq_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/inproq/inproq"
)

// A delayed message is in the queue, and is delivered when its time has come.
func ExampleDelay() {
	ctx := context.Background()
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	reminders := inproq.Must(inproq.Declare[string](ctx, broker, "reminders", inproq.QueueConfig{DeliveryDelay: time.Hour}))
	inproq.Must(reminders.Send(ctx, "in an hour, as the queue says"))
	inproq.Must(reminders.Send(ctx, "this evening", inproq.Delay(12*time.Hour)))
	inproq.Must(reminders.Send(ctx, "now", inproq.Delay(0)))
	backlog := inproq.Must(broker.Backlog(ctx, "reminders"))
	fmt.Println("ready:", backlog.Ready, "delayed:", backlog.Delayed)
	if err := broker.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// ready: 1 delayed: 2
}
