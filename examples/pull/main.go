// Pull lets two workers take images from a queue when they have time for some. The
// first one crashes with a batch in its hands. Nobody has to notice: its leases run
// out, and the images come again, to the second one.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/inproq/inproq"
)

func main() {
	visibility := flag.Duration("visibility", 300*time.Millisecond, "how long a worker may take for a batch")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout, *visibility); err != nil {
		log.Fatal(err)
	}
}

// run makes thumbnails of all images, and returns when none is left.
func run(ctx context.Context, out io.Writer, visibility time.Duration) error {
	broker, err := inproq.NewBroker(inproq.Config{}) // pulling needs no Run
	if err != nil {
		return err
	}
	images, err := inproq.Declare[string](ctx, broker, "images", inproq.QueueConfig{})
	if err != nil {
		return err
	}
	consumer, err := images.PullConsumer(inproq.PullConfig{MaxBatchSize: 2, VisibilityTimeout: visibility})
	if err != nil {
		return err
	}
	if err := produce(ctx, images, "ants.png", "bees.png", "cats.png", "dogs.png", "eels.png", "foxes.png"); err != nil {
		return err
	}
	if err := first(ctx, out, consumer); err != nil {
		return err
	}
	if err := second(ctx, out, consumer); err != nil {
		return err
	}
	left, err := images.Metrics(ctx)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, "images left:", left.BacklogCount); err != nil {
		return err
	}
	return broker.Shutdown(ctx)
}

func produce(ctx context.Context, images inproq.Producer[string], names ...string) error {
	_, err := images.SendBatch(ctx, inproq.Bodies(names...))
	return err
}

// first is a worker that dies at its work: it never gets to Settle.
func first(ctx context.Context, out io.Writer, c *inproq.PullConsumer[string]) error {
	batch, err := c.Pull(ctx)
	if err != nil {
		return err
	}
	for _, m := range batch.Messages {
		if _, err := fmt.Fprintf(out, "first:  %s, attempt %d\n", m.Body, m.Attempts); err != nil {
			return err
		}
		m.Ack() // nothing happens before Settle
	}
	_, err = fmt.Fprintln(out, "first:  crashed")
	return err
}

// second works until every image has its thumbnail. While the only ones left are
// leased, the loop waits.
func second(ctx context.Context, out io.Writer, c *inproq.PullConsumer[string]) error {
	for batch, err := range c.Batches(ctx) {
		if err != nil {
			return err
		}
		for _, m := range batch.Messages {
			if _, err := fmt.Fprintf(out, "second: %s, attempt %d\n", m.Body, m.Attempts); err != nil {
				return err
			}
			m.Ack() // by the end of the turn
		}
		if batch.Metrics.BacklogCount == 0 {
			return nil // which settles this turn too
		}
	}
	return ctx.Err()
}
