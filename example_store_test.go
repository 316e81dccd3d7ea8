package inproq_test

import (
	"context"
	"fmt"
	"log"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store/memory"
)

// A store that is passed in is not closed by the broker: what one broker has not
// delivered, the next one does.
func ExampleConfig_store() {
	ctx, stop := context.WithCancel(context.Background())
	store := memory.New()
	first := inproq.Must(inproq.NewBroker(inproq.Config{Store: store}))
	inproq.Must(inproq.Must(inproq.Declare[string](ctx, first, "mails", inproq.QueueConfig{})).Send(ctx, "hello"))
	if err := first.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	second := inproq.Must(inproq.NewBroker(inproq.Config{Store: store}))
	mails := inproq.Must(inproq.Bind[string](ctx, second, "mails"))
	inproq.Must(mails.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		fmt.Println("delivered by the second broker:", m.Body)
		stop()
		return nil
	}), inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}))
	if err := second.Run(ctx); err != nil {
		log.Fatal(err)
	}
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// delivered by the second broker: hello
}
