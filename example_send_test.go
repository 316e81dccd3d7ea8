package inproq_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/inproq/inproq"
)

// Options say when a message is delivered, how its body is encoded, and what goes
// with it.
func ExampleQueue_Send() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	greetings := inproq.Must(inproq.Declare[string](ctx, broker, "greetings", inproq.QueueConfig{}))
	inproq.Must(greetings.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		fmt.Println(m.Body, m.ContentType, m.Headers)
		return nil
	}), inproq.ConsumerConfig{}))
	inproq.Must(greetings.Send(ctx, "hello"))
	inproq.Must(greetings.Send(ctx, "salut", inproq.Delay(0), inproq.ContentAs(inproq.Text), inproq.Header("Language", "fr")))
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// hello json map[]
	// salut text map[Language:fr]
}

// A batch is sent as a whole or not at all. Its options apply to each message that
// does not say otherwise.
func ExampleQueue_SendBatch() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	greetings := inproq.Must(inproq.Declare[string](ctx, broker, "greetings", inproq.QueueConfig{}))
	inproq.Must(greetings.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
		fmt.Println(m.Body, m.ContentType, m.Headers)
		return nil
	}), inproq.ConsumerConfig{}))
	sent := inproq.Must(greetings.SendBatch(ctx, []inproq.MessageSendRequest[string]{
		{Body: "hello"},
		{Body: "hi", ContentType: inproq.Text, Headers: map[string]string{"Tone": "casual"}},
		{Body: "salut", Headers: map[string]string{"Language": "fr"}},
		{Body: "good night", Delay: 12 * time.Hour},
	}, inproq.Header("Language", "en")))
	fmt.Println("sent:", len(sent.IDs))
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// sent: 4
	// hello json map[Language:en]
	// hi text map[Language:en Tone:casual]
	// salut json map[Language:fr]
}
