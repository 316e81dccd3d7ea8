// Ratelimit calls an external API that allows two requests a second. The queue
// takes reports at any rate; its consumer sends two, and two more a second later. When
// the API answers 429 all the same, because others use it too, the report comes
// again 5 seconds later.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"time"

	"github.com/inproq/inproq"
)

func main() {
	// For the real figures: -window 1s -delay 5s
	window := flag.Duration("window", 100*time.Millisecond, "time in which the API allows two requests")
	delay := flag.Duration("delay", 500*time.Millisecond, "time until a request that was refused is made again")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	api := httptest.NewServer(&quota{limit: 2, window: *window})
	c := &caller{client: api.Client(), url: api.URL, window: *window, delay: *delay}
	err := errors.Join(another(ctx, c), run(ctx, os.Stdout, c))
	api.Close()
	if err != nil {
		log.Fatal(err)
	}
}

// another stands for a program that uses the API too.
func another(ctx context.Context, c *caller) error {
	_, err := c.post(ctx, Report{})
	return err
}

// run sends six reports to the queue, and returns when the API has got them all.
func run(ctx context.Context, out io.Writer, c *caller) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	broker, err := inproq.NewBroker(inproq.Config{})
	if err != nil {
		return err
	}
	reports, err := inproq.Declare[Report](ctx, broker, "reports", inproq.QueueConfig{})
	if err != nil {
		return err
	}
	var msgs []inproq.MessageSendRequest[Report]
	for number := range 6 {
		msgs = append(msgs, inproq.MessageSendRequest[Report]{Body: Report{number + 1}})
	}
	c.log = log.New(out, "", 0)
	c.start = time.Now()
	c.open.Store(int32(len(msgs)))
	c.stop = stop // a service would stop on a signal
	if _, err := reports.Consume(c.handle, inproq.ConsumerConfig{
		MaxBatchSize:    2,              // what the API allows in a second,
		MaxConcurrency:  1,              // for one handler at a time
		MaxBatchTimeout: inproq.NoWait,  // one report need not wait for a second one
		MaxRetries:      20,             // each 429 takes one
		RetryDelay:      c.delay,        // after other errors
		DeadLetterQueue: "reports-dead", // for somebody to look at
	}); err != nil {
		return err
	}
	if _, err := reports.SendBatch(ctx, msgs); err != nil {
		return err
	}
	if err := broker.Run(ctx); err != nil {
		return err
	}
	if n := c.open.Load(); n > 0 {
		return fmt.Errorf("stopped early; reports that the API has not got: %d", n)
	}
	return nil
}
