package inproq_test

import (
	"context"
	"fmt"
	"log"
	"sync"

	"github.com/inproq/inproq"
)

// Shutdown waits for the handlers that run, and for what is ready to be delivered.
func ExampleBroker_Shutdown() {
	ctx := context.Background()
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	reports := inproq.Must(inproq.Declare[string](ctx, broker, "reports", inproq.QueueConfig{}))
	begun := make(chan struct{})
	inproq.Must(reports.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		if m.Body == "first" {
			close(begun)
		}
		fmt.Println("wrote", m.Body)
		return nil
	}), inproq.ConsumerConfig{MaxBatchSize: 1, MaxConcurrency: 1}))
	var run sync.WaitGroup
	run.Go(func() {
		if err := broker.Run(ctx); err != nil {
			log.Fatal(err)
		}
	})
	inproq.Must(reports.SendBatch(ctx, inproq.Bodies("first", "second", "third")))
	<-begun
	fmt.Println("shut down:", broker.Shutdown(ctx))
	run.Wait()
	_, err := reports.Send(ctx, "fourth")
	fmt.Println(err)
	// Output:
	// wrote first
	// wrote second
	// wrote third
	// shut down: <nil>
	// inproq: broker closed
}
