package inproq_test

import (
	"context"
	"fmt"
	"log"

	"github.com/inproq/inproq"
)

// A queue of any takes different bodies: what is sent as text comes back as a
// string, as bytes as a []byte, and as JSON as the parsed value.
func ExampleContentAs() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	mixed := inproq.Must(inproq.Declare[any](ctx, broker, "mixed", inproq.QueueConfig{}))
	inproq.Must(mixed.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[any]) error {
		fmt.Printf("%s: %T %v\n", m.ContentType, m.Body, m.Body)
		return nil
	}), inproq.ConsumerConfig{}))
	inproq.Must(mixed.Send(ctx, "hello", inproq.ContentAs(inproq.Text)))
	inproq.Must(mixed.Send(ctx, []byte("hello"), inproq.ContentAs(inproq.Bytes)))
	inproq.Must(mixed.Send(ctx, map[string]int{"answer": 42}))
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// text: string hello
	// bytes: []uint8 [104 101 108 108 111]
	// json: map[string]interface {} map[answer:42]
}

// Gob encodes what JSON cannot, for queues that only Go programs read.
func ExampleContentType() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	type segment struct{ Points map[[2]int]complex128 }
	segments := inproq.Must(inproq.Declare[segment](ctx, broker, "segments", inproq.QueueConfig{ContentType: inproq.Gob}))
	inproq.Must(segments.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[segment]) error {
		fmt.Println(m.ContentType, m.Body.Points)
		return nil
	}), inproq.ConsumerConfig{}))
	inproq.Must(segments.Send(ctx, segment{map[[2]int]complex128{{0, 1}: 1i}}))
	stop()
	if err := broker.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// gob map[[0 1]:(0+1i)]
}
