// Backoff charges orders through a payment service that is down for a while. Each
// retry of an order may wait twice as long as the one before, so a service in
// trouble is not hammered; an order that has used up its retries goes to a
// dead-letter queue.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inproq/inproq"
)

func main() {
	base := flag.Duration("base", 20*time.Millisecond, "bound of the first delay; each one doubles it")
	limit := flag.Duration("limit", 200*time.Millisecond, "bound of every delay")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout, inproq.ExponentialBackoff(*base, *limit)); err != nil {
		log.Fatal(err)
	}
}

// Order is what the queue holds.
type Order struct {
	Number string `json:"number"`
}

// run charges two orders, and returns when each is charged or given up.
func run(ctx context.Context, out io.Writer, backoff inproq.Backoff) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	broker, err := inproq.NewBroker(inproq.Config{})
	if err != nil {
		return err
	}
	orders, err := inproq.Declare[Order](ctx, broker, "orders", inproq.QueueConfig{})
	if err != nil {
		return err
	}
	unpaid, err := inproq.Declare[Order](ctx, broker, "orders-unpaid", inproq.QueueConfig{})
	if err != nil {
		return err
	}

	bodies := inproq.Bodies(Order{"A7"}, Order{"B2"})
	c := &cashier{
		gateway: &gateway{refusals: map[string]int{"A7": 3, "B2": 1000}},
		log:     log.New(out, "", 0), // which writes for one handler at a time
		stop:    stop,                // a service would stop on a signal
	}
	c.open.Store(int32(len(bodies)))
	if _, err := orders.Consume(inproq.Each(c.charge), inproq.ConsumerConfig{
		MaxBatchTimeout: inproq.NoWait, // or it would come on top of the delay
		MaxRetries:      5,
		Backoff:         backoff,
		DeadLetterQueue: unpaid.Name(),
	}); err != nil {
		return err
	}
	if _, err := unpaid.Consume(inproq.Each(c.giveUp), inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}); err != nil {
		return err
	}

	if _, err := orders.SendBatch(ctx, bodies); err != nil {
		return err
	}
	if err := broker.Run(ctx); err != nil {
		return err
	}
	if n := c.open.Load(); n > 0 {
		return fmt.Errorf("stopped early; orders neither charged nor given up: %d", n)
	}
	return nil
}

// cashier has the handlers.
type cashier struct {
	gateway *gateway
	log     *log.Logger
	open    atomic.Int32 // orders neither charged nor given up
	stop    context.CancelFunc
}

// charge handles one delivery of an order. What it returns is the whole retry
// logic: the consumer's Backoff turns m.Attempts into a delay.
func (c *cashier) charge(ctx context.Context, m *inproq.Message[Order]) error {
	err := c.gateway.charge(ctx, m.Body)
	result := "charged"
	if err != nil {
		result = err.Error()
	}
	since := time.Since(m.Timestamp).Round(time.Microsecond) // it was sent
	c.log.Printf("order %s, attempt %d, after %v: %s", m.Body.Number, m.Attempts, since, result)
	if err == nil {
		c.done()
	}
	return err
}

// giveUp handles an order in the dead-letter queue, where attempts count anew.
func (c *cashier) giveUp(_ context.Context, m *inproq.Message[Order]) error {
	letter, ok := m.DeadLetter()
	if !ok {
		return errors.New("somebody has sent to the dead-letter queue")
	}
	c.log.Printf("order %s given up after %d attempts (%s): %s", m.Body.Number, letter.Attempts, letter.Reason, letter.Error)
	c.done()
	return nil
}

func (c *cashier) done() {
	if c.open.Add(-1) == 0 {
		c.stop()
	}
}

// gateway stands for the payment service.
type gateway struct {
	mu       sync.Mutex
	refusals map[string]int // calls that will fail, by order number
}

var errUnavailable = errors.New("payment service unavailable")

func (g *gateway) charge(_ context.Context, o Order) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refusals[o.Number] > 0 {
		g.refusals[o.Number]--
		return errUnavailable
	}
	return nil
}
