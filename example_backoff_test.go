package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/inproq/inproq"
)

// Each retry may wait twice as long as the one before, up to a limit: a random
// time below that bound, so that messages which failed together do not come back
// together.
func ExampleExponentialBackoff() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	calls := inproq.Must(inproq.Declare[string](ctx, broker, "calls", inproq.QueueConfig{}))
	backoff := inproq.ExponentialBackoff(time.Second, time.Minute)
	inproq.Must(calls.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		return nil
	}), inproq.ConsumerConfig{MaxRetries: 10, Backoff: backoff}))
	for attempts, bound := range []time.Duration{1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 10: time.Minute} {
		if bound > 0 {
			fmt.Println("after attempt", attempts, "up to", bound, backoff(attempts) <= bound)
		}
	}
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// after attempt 1 up to 1s true
	// after attempt 2 up to 2s true
	// after attempt 3 up to 4s true
	// after attempt 10 up to 1m0s true
}

// A Backoff is a function of the number of deliveries so far: here a schedule whose
// first retry follows at once.
func ExampleBackoff() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	schedule := []time.Duration{0, time.Minute, time.Hour}
	calls := inproq.Must(inproq.Declare[string](ctx, broker, "calls", inproq.QueueConfig{}))
	inproq.Must(calls.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		fmt.Println("attempt", m.Attempts)
		if m.Attempts == 1 {
			return errors.New("engaged")
		}
		return nil
	}), inproq.ConsumerConfig{Backoff: func(attempts int) time.Duration {
		return schedule[min(attempts, len(schedule))-1]
	}}))
	inproq.Must(calls.Send(ctx, "ada"))
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// attempt 1
	// attempt 2
}
