package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/mempubsub"
)

var mempubsubContestant = Contestant{
	Name:    "gocloud mempubsub",
	Modules: []string{"gocloud.dev"},
	How: "mempubsub with its defaults and an ack deadline of a minute. It batches by itself what goroutines send and acknowledge at once; a batch is " +
		"100 times Send, since 100 goroutines are slower. It looks for messages every 250 ms when it had none.",
	Promises: Promises{
		IDs: "–", Acks: "per message", Retries: "Nack or deadline, without end", Delays: "–",
		DeadLetters: "–", Order: "none", Survives: "a handler that nacks or hangs",
	},
	Polls: 250 * time.Millisecond,
	Open: func(s Setup) (Queue[[]byte], error) {
		t := mempubsub.NewTopic()
		return &memQueue{setup: s, topic: t, sub: mempubsub.NewSubscription(t, time.Minute)}, nil
	},
}

type memQueue struct {
	setup   Setup
	topic   *pubsub.Topic
	sub     *pubsub.Subscription
	ended   bool
	readers sync.WaitGroup
}

func (q *memQueue) Send(ctx context.Context, body []byte) error {
	return q.topic.Send(ctx, &pubsub.Message{Body: body})
}

func (q *memQueue) SendBatch(ctx context.Context, bodies [][]byte) error {
	for _, body := range bodies {
		if err := q.Send(ctx, body); err != nil {
			return err
		}
	}
	return nil
}

func (q *memQueue) Consume(sink Sink[[]byte]) error {
	for handler := range q.setup.Handlers {
		q.readers.Go(func() {
			for {
				m, err := q.sub.Receive(context.Background())
				if err != nil {
					return // shut down
				}
				sink(handler, m.Body)
				m.Ack()
			}
		})
	}
	return nil
}

// Settle ends the subscription: that is the only way to wait for acknowledgements.
func (q *memQueue) Settle(ctx context.Context) error {
	q.ended = true
	return q.sub.Shutdown(ctx)
}

func (q *memQueue) Close() error {
	var err error
	if !q.ended {
		err = q.sub.Shutdown(context.Background())
	}
	q.readers.Wait()
	return errors.Join(err, q.topic.Shutdown(context.Background()))
}
