package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/inproq/inproq"
)

// The error says which message of a batch was too large, and by how much.
func ExampleMessageTooLargeError() {
	ctx := context.Background()
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	files := inproq.Must(inproq.Declare[[]byte](ctx, broker, "files", inproq.QueueConfig{}))
	_, err := files.SendBatch(ctx, inproq.Bodies(make([]byte, 128_000), make([]byte, 128_001)))
	if tooLarge, ok := errors.AsType[*inproq.MessageTooLargeError](err); ok {
		fmt.Println("message", tooLarge.Index, "has a", tooLarge.Part, "of", tooLarge.Size, "bytes, the limit is", tooLarge.Limit)
	}
	fmt.Println(errors.Is(err, inproq.ErrMessageTooLarge))
	if err := broker.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// message 1 has a body of 128001 bytes, the limit is 128000
	// true
}

// ErrorCode gives the number that Cloudflare Queues has for an error.
func ExampleErrorCode() {
	ctx := context.Background()
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	files := inproq.Must(inproq.Declare[[]byte](ctx, broker, "files", inproq.QueueConfig{}))
	_, tooLarge := files.Send(ctx, make([]byte, 128_001))
	_, empty := files.SendBatch(ctx, nil)
	_, notFound := broker.Queue(ctx, "no-such-queue")
	fmt.Println(inproq.ErrorCode(tooLarge), inproq.ErrorCode(empty), inproq.ErrorCode(notFound))
	if err := broker.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 10204 10206 10104
}

// Limits can be raised, lowered, or lifted with NoLimit. A zero field is the
// default.
func ExampleLimits() {
	ctx := context.Background()
	broker := inproq.Must(inproq.NewBroker(inproq.Config{Limits: inproq.Limits{
		MaxMessageBytes:  10,
		MaxDelay:         7 * 24 * time.Hour,
		MaxBatchMessages: inproq.NoLimit,
	}}))
	notes := inproq.Must(inproq.Declare[string](ctx, broker, "notes", inproq.QueueConfig{}))
	_, err := notes.Send(ctx, "far too long")
	fmt.Println(err)
	_, err = notes.Send(ctx, "short", inproq.Delay(8*24*time.Hour))
	fmt.Println(err)
	sent := inproq.Must(notes.SendBatch(ctx, inproq.Bodies(strings.Split(strings.Repeat("x", 1000), "")...)))
	fmt.Println("sent:", len(sent.IDs))
	if err := broker.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// inproq: message too large: body of 14 bytes, the limit is 10 (queue "notes")
	// inproq: delay out of range: 192h0m0s, allowed: 0s to 168h0m0s (queue "notes")
	// sent: 1000
}
