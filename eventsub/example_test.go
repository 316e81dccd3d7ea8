package eventsub_test

import (
	"context"
	"fmt"
	"log"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/eventsub"
)

// An application publishes an event of its own, and the queue that is subscribed to it
// gets a message.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	events := inproq.Must(eventsub.New(broker, eventsub.Config{Sources: []eventsub.SourceType{
		{Name: "shop", Args: []eventsub.Arg{{Name: "shop_name"}}, Events: []string{"order.placed", "order.paid"}},
	}}))
	queue := inproq.Must(inproq.Declare[eventsub.Message](ctx, broker, "orders", inproq.QueueConfig{}))
	inproq.Must(queue.Consume(inproq.Each(func(_ context.Context, m *inproq.Message[eventsub.Message]) error {
		fmt.Println(m.Body.Type, "in", m.Body.Source["shopName"], string(m.Body.Payload))
		return nil
	}), inproq.ConsumerConfig{}))

	north := eventsub.Source{Type: "shop", Args: map[string]string{"shop_name": "north"}}
	inproq.Must(events.Create(ctx, eventsub.Spec{Source: north, Queue: "orders", Events: []string{"order.paid"}}))
	for _, name := range []string{"order.placed", "order.paid"} {
		if err := events.Publish(ctx, eventsub.Event{Source: north, Name: name, Payload: map[string]int{"id": 7}}); err != nil {
			log.Fatal(err)
		}
	}
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// cf.shop.order.paid in north {"id":7}
}
