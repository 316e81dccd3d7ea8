package queuetest_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// A handler is called with a batch that was made for the test, and the result
// says what it made of the messages.
func ExampleNewBatch() {
	charge := func(ctx context.Context, batch *inproq.MessageBatch[int]) error {
		for _, m := range batch.Messages {
			if m.Body > 100 {
				m.Retry(inproq.Delay(time.Hour), inproq.Cause(errors.New("needs approval")))
			}
		}
		return nil
	}
	batch := queuetest.NewBatch("charges", queuetest.Messages(20, 500)...)
	result := queuetest.Deliver(context.Background(), charge, batch)
	fmt.Println("failed:", result.Err)
	fmt.Println("acknowledged:", len(result.Acked()))
	for _, retry := range result.ExplicitRetries {
		fmt.Println("retried:", retry.ID, "after", retry.Delay, "because it", retry.Cause)
	}
	// Output:
	// failed: <nil>
	// acknowledged: 1
	// retried: 00000000000000000000000000000002 after 1h0m0s because it needs approval
}
