package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/inproq/inproq"
)

// A configuration is checked as a whole: the error lists everything that is wrong
// with it.
func ExampleQueue_Consume_invalid() {
	ctx := context.Background()
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	tasks := inproq.Must(inproq.Declare[string](ctx, broker, "tasks", inproq.QueueConfig{}))
	_, err := tasks.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		return nil
	}), inproq.ConsumerConfig{
		MaxBatchSize:    1000,
		MaxBatchTimeout: time.Hour,
		MaxRetries:      101,
		DeadLetterQueue: "tasks",
	})
	fmt.Println(errors.Is(err, inproq.ErrInvalidConfig))
	fmt.Println(strings.ReplaceAll(err.Error(), "; ", "\n"))
	if err := broker.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// true
	// inproq: invalid configuration: MaxBatchSize is 1000, allowed: 1 to 100
	// MaxBatchTimeout is 1h0m0s, allowed: 0s to 1m0s
	// MaxRetries is 101, allowed: 0 to 100
	// DeadLetterQueue is "tasks", allowed: any other queue than the consumed one (queue "tasks")
}
