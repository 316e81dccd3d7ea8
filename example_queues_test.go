package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/inproq/inproq"
)

// CreateQueue refuses a name that is taken, unlike Declare.
func ExampleBroker_CreateQueue() {
	ctx := context.Background()
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	info := inproq.Must(broker.CreateQueue(ctx, "mails", inproq.QueueConfig{DeliveryDelay: time.Minute}))
	fmt.Println(info.Name, info.Settings.DeliveryDelay, info.Settings.MessageRetentionPeriod)
	_, err := broker.CreateQueue(ctx, "mails", inproq.QueueConfig{})
	fmt.Println(errors.Is(err, inproq.ErrQueueExists))
	if err := broker.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// mails 1m0s 96h0m0s
	// true
}

// UpdateQueue changes what is given and keeps the rest. With a revision it fails
// when somebody else was faster.
func ExampleBroker_UpdateQueue() {
	ctx := context.Background()
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	created := inproq.Must(broker.CreateQueue(ctx, "mails", inproq.QueueConfig{DeliveryDelay: time.Minute}))
	updated := inproq.Must(broker.UpdateQueue(ctx, "mails", inproq.QueueUpdate{
		MessageRetentionPeriod: new(24 * time.Hour),
		Annotations:            map[string]*string{"owner": new("newsletter")},
		IfRevision:             created.Revision,
	}))
	fmt.Println(updated.Settings.DeliveryDelay, updated.Settings.MessageRetentionPeriod, updated.Annotations)
	_, err := broker.UpdateQueue(ctx, "mails", inproq.QueueUpdate{DeliveryPaused: new(true), IfRevision: created.Revision})
	fmt.Println(errors.Is(err, inproq.ErrConflict))
	if err := broker.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 1m0s 24h0m0s map[owner:newsletter]
	// true
}

// Queues describes all queues, in the order of their names.
func ExampleBroker_Queues() {
	ctx := context.Background()
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	for _, name := range []string{"orders", "mails", "images"} {
		inproq.Must(inproq.Declare[string](ctx, broker, name, inproq.QueueConfig{}))
	}
	for info, err := range broker.Queues(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(info.Name, "paused:", info.DeliveryPaused, "consumed:", info.Consumer != nil)
	}
	if err := broker.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// images paused: false consumed: false
	// mails paused: false consumed: false
	// orders paused: false consumed: false
}
