package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/inproq/inproq"
)

// Pull takes what is ready, at once, for whoever wants to decide when there is work
// to do. What is neither acknowledged nor retried stays leased, and comes again when
// the visibility is over.
func ExamplePullConsumer_Pull() {
	ctx := context.Background()
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	charges := inproq.Must(inproq.Declare[int](ctx, broker, "charges", inproq.QueueConfig{}))
	consumer := inproq.Must(charges.PullConsumer(inproq.PullConfig{VisibilityTimeout: time.Minute}))
	inproq.Must(charges.SendBatch(ctx, inproq.Bodies(10, 500, 20)))

	batch := inproq.Must(consumer.Pull(ctx))
	for _, m := range batch.Messages {
		if m.Body > 100 {
			m.Retry(inproq.Delay(time.Hour), inproq.Cause(errors.New("limit reached")))
			continue
		}
		fmt.Println("charged", m.Body)
		m.Ack()
	}
	result := inproq.Must(batch.Settle(ctx))
	fmt.Println("acknowledged:", result.Acked, "retried:", result.Retried, "lost:", len(result.Warnings))

	batch = inproq.Must(consumer.Pull(ctx))
	fmt.Println("ready now:", len(batch.Messages), "in the queue:", batch.Metrics.BacklogCount)
	if err := broker.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// charged 10
	// charged 20
	// acknowledged: 2 retried: 1 lost: 0
	// ready now: 0 in the queue: 1
}

// Batches waits for messages, and settles after each turn what was decided in it.
func ExamplePullConsumer_Batches() {
	ctx := context.Background()
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	mails := inproq.Must(inproq.Declare[string](ctx, broker, "mails", inproq.QueueConfig{}))
	consumer := inproq.Must(mails.PullConsumer(inproq.PullConfig{MaxBatchSize: 2}))
	inproq.Must(mails.SendBatch(ctx, inproq.Bodies("ada", "alan", "grace")))
	for batch, err := range consumer.Batches(ctx) {
		if err != nil {
			log.Print(err) // and go on: the store may be back soon
			continue
		}
		for _, m := range batch.Messages {
			fmt.Println("mail to", m.Body)
		}
		batch.AckAll()
		if batch.Metrics.BacklogCount == 0 {
			break // this turn is settled too
		}
		fmt.Println("more to come:", batch.Metrics.BacklogCount)
	}
	fmt.Println("left:", inproq.Must(mails.Metrics(ctx)).BacklogCount)
	if err := broker.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// mail to ada
	// mail to alan
	// more to come: 1
	// mail to grace
	// left: 0
}

// By name, a pull and its settlement may be in different requests, and in different
// processes on one store: a lease id is all that the second one needs.
func ExampleBroker_Pull() {
	ctx := context.Background()
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	inproq.Must(broker.CreateQueue(ctx, "mails", inproq.QueueConfig{ContentType: inproq.Text}))
	inproq.Must(broker.AttachConsumer(ctx, "mails", inproq.ConsumerSpec{Kind: inproq.HTTPPull}))
	mails := inproq.Must(inproq.Bind[string](ctx, broker, "mails"))
	inproq.Must(mails.SendBatch(ctx, inproq.Bodies("ada", "alan")))

	pulled := inproq.Must(broker.Pull(ctx, "mails", inproq.PullRequest{BatchSize: 10}))
	var request inproq.SettleRequest
	for _, m := range pulled.Messages {
		fmt.Printf("%s, attempt %d\n", m.Body, m.Attempts)
		request.Acks = append(request.Acks, m.LeaseID)
	}
	request.Extends = []inproq.LeaseDelay{{LeaseID: "forged"}}
	settled := inproq.Must(broker.Settle(ctx, "mails", request))
	fmt.Println("acknowledged:", settled.Acked, "warnings:", settled.Warnings)
	if err := broker.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// ada, attempt 1
	// alan, attempt 1
	// acknowledged: 2 warnings: map[forged:not a lease id of this queue]
}
