package inproq

import (
	"context"
	"errors"
	"fmt"

	"github.com/inproq/inproq/internal/dispatch"
)

// Handler processes a batch. What it returns and what it calls on the batch decide
// what becomes of the messages; see [MessageBatch]. A panic counts as an error.
// Batches of one queue may be handled at the same time.
//
// ctx ends after ConsumerConfig.MaxDuration, and, with the cause
// [ErrShutdownTimeout], when a shutdown has waited long enough. A handler that returns
// nil after that has failed all the same: what it has not acknowledged is retried.
// ctx has the values of the context that Run got.
type Handler[T any] func(ctx context.Context, batch *MessageBatch[T]) error

// Each makes a handler of a function for one message. Messages are processed one
// after another: nil acknowledges the message, an error retries it with the error
// as its cause, and the next one follows. If fn has called Ack or Retry itself,
// that stays as it is. When ctx ends, the messages that fn has not seen are
// retried, and the invocation fails. Otherwise it fails only if every message did:
// so an outage lowers the number of handlers, and a bad message does not.
//
// A panic retries its message like an error and does not keep the next ones from
// being processed; the invocation has failed then.
func Each[T any](fn func(ctx context.Context, msg *Message[T]) error) Handler[T] {
	if fn == nil {
		return nil // refused by Consume
	}
	return func(ctx context.Context, batch *MessageBatch[T]) error {
		failed, last := 0, error(nil)
		var panicked error
		for _, m := range batch.Messages {
			if ctx.Err() != nil { // cheaper than Done, which arms a timer
				return errors.Join(context.Cause(ctx), panicked)
			}
			err := dispatch.Protect(func() error { return fn(ctx, m) })
			if err != nil {
				failed, last = failed+1, err
			}
			if _, ok := err.(*dispatch.PanicError); ok && panicked == nil { //nolint:errorlint // as Protect made it, not one that fn returned
				panicked = err
			}
			m.conclude(err)
		}
		if panicked == nil && failed > 0 && failed == len(batch.Messages) {
			return fmt.Errorf("all %d messages failed, the last: %w", failed, last)
		}
		return panicked
	}
}
