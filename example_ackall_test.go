package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/inproq/inproq"
)

// AckAll acknowledges what has no call of its own, even if the handler fails
// later.
func ExampleMessageBatch_AckAll() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	rows := inproq.Must(inproq.Declare[string](ctx, broker, "rows", inproq.QueueConfig{}))
	inproq.Must(rows.Consume(func(ctx context.Context, batch *inproq.MessageBatch[string]) error {
		fmt.Println("inserted:", len(batch.Messages))
		batch.AckAll()
		return errors.New("the cache was not refreshed")
	}, inproq.ConsumerConfig{}))
	inproq.Must(rows.SendBatch(ctx, inproq.Bodies("a", "b", "c")))
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	stats := broker.Stats("rows")
	fmt.Println("acknowledged:", stats.Acked, "retried:", stats.Retried)
	// Output:
	// inserted: 3
	// acknowledged: 3 retried: 0
}

// RetryAll retries what has no call of its own: here all but the first message.
func ExampleMessageBatch_RetryAll() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	rows := inproq.Must(inproq.Declare[string](ctx, broker, "rows", inproq.QueueConfig{}))
	inproq.Must(rows.Consume(func(ctx context.Context, batch *inproq.MessageBatch[string]) error {
		fmt.Println("inserted:", batch.Messages[0].Body)
		batch.Messages[0].Ack()
		batch.RetryAll(inproq.Delay(0))
		return nil
	}, inproq.ConsumerConfig{}))
	inproq.Must(rows.SendBatch(ctx, inproq.Bodies("a", "b", "c")))
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// inserted: a
	// inserted: b
	// inserted: c
}
