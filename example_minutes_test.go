package inproq_test

import (
	"context"
	"fmt"
	"log"

	"github.com/inproq/inproq"
)

// Minutes tell what happened to a queue minute by minute.
func ExampleBroker_Minutes() {
	ctx := context.Background()
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	mails := inproq.Must(inproq.Declare[string](ctx, broker, "mails", inproq.QueueConfig{}))
	consumer := inproq.Must(mails.PullConsumer(inproq.PullConfig{}))
	inproq.Must(mails.Send(ctx, "hello"))
	batch := inproq.Must(consumer.Pull(ctx))
	batch.AckAll()
	inproq.Must(batch.Settle(ctx))

	counts := map[inproq.Action]uint64{}
	for _, minute := range inproq.Must(broker.Minutes(ctx, "mails")) {
		for _, o := range minute.Operations {
			counts[o.Action] += o.Count
		}
	}
	fmt.Println(counts)
	if err := broker.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// map[DeleteMessage:1 ReadMessage:1 WriteMessage:1]
}
