package main

import (
	"context"
	"sync"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
)

var watermillContestant = Contestant{
	Name:    "watermill GoChannel",
	Modules: []string{"github.com/ThreeDotsLabs/watermill"},
	How: "gochannel with an output buffer of 64; one subscription (each gets every message), whose channel all handlers read; Publish of 1 or 100 messages. " +
		"Without a subscriber it drops messages, so the backlog is a persistent one, which keeps them for ever.",
	Promises: Promises{
		IDs: "UUID", Acks: "per message", Retries: "Nack, at once and without end", Delays: "–",
		DeadLetters: "– (the router's middleware)", Order: "none", Survives: "a handler that nacks",
	},
	Open:     openWatermill,
	OpenJSON: withJSON(openWatermill),
}

const topic = "bench"

type watermillQueue struct {
	*gochannel.GoChannel
	setup   Setup
	readers sync.WaitGroup
}

func openWatermill(s Setup) (Queue[[]byte], error) {
	cfg := gochannel.Config{OutputChannelBuffer: 64, Persistent: s.Backlog > 0}
	return &watermillQueue{GoChannel: gochannel.NewGoChannel(cfg, watermill.NopLogger{}), setup: s}, nil
}

func (q *watermillQueue) Send(_ context.Context, body []byte) error {
	return q.Publish(topic, message.NewMessage(watermill.NewUUID(), body))
}

func (q *watermillQueue) SendBatch(_ context.Context, bodies [][]byte) error {
	msgs := make([]*message.Message, len(bodies))
	for i, body := range bodies {
		msgs[i] = message.NewMessage(watermill.NewUUID(), body)
	}
	return q.Publish(topic, msgs...)
}

func (q *watermillQueue) Consume(sink Sink[[]byte]) error {
	messages, err := q.Subscribe(context.Background(), topic)
	if err != nil {
		return err
	}
	for handler := range q.setup.Handlers {
		q.readers.Go(func() {
			for m := range messages {
				sink(handler, m.Payload)
				m.Ack()
			}
		})
	}
	return nil
}

// Settle has nothing to wait for: Ack closes a channel.
func (q *watermillQueue) Settle(context.Context) error { return nil }

func (q *watermillQueue) Close() error {
	err := q.GoChannel.Close()
	q.readers.Wait()
	return err
}
