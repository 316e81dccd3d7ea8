// Multiqueue consumes three queues with one handler function, which looks at the
// batch's Queue, as a Worker at Cloudflare does. Each queue is fed in its own way.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/inproq/inproq"
)

// An Order is a message of the queue "orders".
type Order struct {
	Number int    `json:"number"`
	Item   string `json:"item"`
}

// A Refund is one of "refunds".
type Refund struct {
	Order int `json:"order"`
	Cents int `json:"cents"`
}

// An Audit is one of "audits".
type Audit struct {
	Who  string `json:"who"`
	What string `json:"what"`
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// consumers say how each queue is fed.
var consumers = map[string]inproq.ConsumerConfig{
	// Two parcels at a time go into the van.
	"orders": {MaxBatchSize: 2, MaxConcurrency: 1},
	// Money is moved at once, one refund after another, and tried again and again.
	"refunds": {MaxBatchSize: 1, MaxBatchTimeout: inproq.NoWait, MaxConcurrency: 1, MaxRetries: 10, RetryDelay: inproq.NoDelay},
	// The journal is written seldom and in large pieces, and at most once.
	"audits": {MaxBatchSize: 100, MaxBatchTimeout: time.Minute, MaxRetries: inproq.NoRetries},
}

func run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	broker, err := inproq.NewBroker(inproq.Config{})
	if err != nil {
		return err
	}
	s := newShop()
	if err := s.consume(ctx, broker); err != nil {
		return err
	}
	if err := send(ctx, broker); err != nil {
		return err
	}
	stop() // there is nothing to wait for: Run delivers what is ready before it returns
	if err := broker.Run(ctx); err != nil {
		return err
	}
	s.report()
	for _, queue := range queues {
		st := broker.Stats(queue)
		fmt.Printf("%-8s %d messages, %d batches, %d retries\n", queue, st.Sent, st.Batches, st.Retried)
	}
	return nil
}

// send fills the queues. Who sends has a typed view of the queue; that of the
// handler is raw.
func send(ctx context.Context, broker *inproq.Broker) error {
	orders, err := inproq.Bind[Order](ctx, broker, "orders")
	if err != nil {
		return err
	}
	refunds, err := inproq.Bind[Refund](ctx, broker, "refunds")
	if err != nil {
		return err
	}
	audits, err := inproq.Bind[Audit](ctx, broker, "audits")
	if err != nil {
		return err
	}
	if _, err := orders.SendBatch(ctx, inproq.Bodies(Order{1, "lamp"}, Order{2, "rug"}, Order{3, "desk"})); err != nil {
		return err
	}
	if _, err := refunds.SendBatch(ctx, inproq.Bodies(Refund{1, 4900}, Refund{2, 250})); err != nil {
		return err
	}
	_, err = audits.SendBatch(ctx, inproq.Bodies(
		Audit{"ada", "login"}, Audit{"ada", "order 3"}, Audit{"alan", "login"}, Audit{"ada", "logout"},
	))
	return err
}
