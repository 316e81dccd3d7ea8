package inproq

import (
	"context"
	"errors"
	"fmt"

	"github.com/inproq/inproq/store"
)

// The errors of this package, to be tested with [errors.Is]. What is returned
// wraps one of them and names the field, the value and the bound. [ErrorCode]
// gives Cloudflare's number.
var (
	// ErrQueueNotFound: no queue has that name, or it was deleted.
	ErrQueueNotFound = newError(10104, "queue not found")
	// ErrQueueExists: CreateQueue with a name that is taken.
	ErrQueueExists = newError(11009, "queue exists")
	// ErrInvalidQueueName: not 1 to 63 letters, digits and dashes with a letter or
	// digit at both ends.
	ErrInvalidQueueName = newError(11003, "invalid queue name")
	// ErrInvalidConfig: settings out of their bounds. The text lists every
	// violation.
	ErrInvalidConfig = newError(100128, "invalid configuration")
	// ErrConsumerExists: the queue has another consumer, or this process has one
	// for it already.
	ErrConsumerExists = newError(11004, "consumer exists")
	// ErrConsumerNotFound: the queue has no consumer.
	ErrConsumerNotFound = newError(11006, "consumer not found")
	// ErrNotPullConsumer: the queue's consumer is pushed to.
	ErrNotPullConsumer = newError(0, "messages cannot be pulled unless http_pull mode is enabled")
	// ErrMessageTooLarge: a body or its headers exceed the limit. A
	// [*MessageTooLargeError] has the numbers.
	ErrMessageTooLarge = newError(10204, "message too large")
	// ErrBatchTooLarge: a batch has too many messages or too many bytes.
	ErrBatchTooLarge = newError(10205, "batch too large")
	// ErrEmptyBatch: a batch without messages.
	ErrEmptyBatch = newError(10206, "empty batch")
	// ErrDelayOutOfRange: a delay is negative or above Limits.MaxDelay.
	ErrDelayOutOfRange = newError(10203, "delay out of range")
	// ErrContentType: the content type is unknown, or the body does not fit it.
	ErrContentType = newError(10203, "content type")
	// ErrInvalidHeader: a header's key or value is not allowed.
	ErrInvalidHeader = newError(10203, "invalid header")
	// ErrTypeMismatch: one queue declared or bound with two types of bodies.
	ErrTypeMismatch = newError(15000, "type mismatch")
	// ErrTooManyRequests: more than Limits.MessagesPerSecond.
	ErrTooManyRequests = newError(10250, "too many requests")
	// ErrStorageLimitExceeded: the backlog has reached Limits.MaxBacklogBytes, or
	// the store has no room.
	ErrStorageLimitExceeded = newError(10251, "storage limit exceeded")
	// ErrDeliveryPaused: pull from a paused queue.
	ErrDeliveryPaused = newError(0, "queue_delivery_paused")
	// ErrBrokerClosed: the broker is shut down, or has run once.
	ErrBrokerClosed = newError(15000, "broker closed")
	// ErrShutdownTimeout: handlers had to be cancelled. It is also the cause with
	// which their contexts end.
	ErrShutdownTimeout = newError(15000, "shutdown timeout")
	// ErrNotSupported: the store cannot do that.
	ErrNotSupported = newError(15000, "not supported by the store")
	// ErrConflict: the queue has changed since the revision given.
	ErrConflict = newError(15000, "conflicting revision")
)

// unknownCode is what Cloudflare answers when it knows no better.
const unknownCode = 15000

// codedError carries Cloudflare's number.
type codedError struct {
	code int
	text string
	err  error // wrapped; nil for a sentinel
}

func newError(code int, text string) error { return &codedError{code: code, text: "inproq: " + text} }

func (e *codedError) Error() string {
	if e.err != nil {
		return e.err.Error()
	}
	return e.text
}

func (e *codedError) Unwrap() error { return e.err }
func (e *codedError) number() int   { return e.code }

// withCode gives err a number other than that of its sentinel.
func withCode(code int, err error) error { return &codedError{code: code, err: err} }

// ErrorCode returns the number that Cloudflare Queues has for err, as in
// https://developers.cloudflare.com/queues/reference/error-codes/: 15000 when it
// is none of this package's, and 0 for those that Cloudflare reports without a
// number, [ErrDeliveryPaused] and [ErrNotPullConsumer]. For nil it is 0.
func ErrorCode(err error) int {
	if err == nil {
		return 0
	}
	if coded, ok := errors.AsType[*codedError](err); ok {
		return coded.number()
	}
	return unknownCode
}

// MessageTooLargeError tells which message is too large, and by how much. It is
// an [ErrMessageTooLarge].
type MessageTooLargeError struct {
	Index int    // in the batch; 0 for Send
	Part  string // "body" or "headers"
	Size  int    // bytes it has
	Limit int    // bytes allowed
}

func (e *MessageTooLargeError) Error() string {
	return fmt.Sprintf("%v: %s of %d bytes, the limit is %d", ErrMessageTooLarge, e.Part, e.Size, e.Limit)
}

// Unwrap returns ErrMessageTooLarge.
func (e *MessageTooLargeError) Unwrap() error { return ErrMessageTooLarge }

// DecodeError tells that a stored body does not decode into the consumer's type.
// The message takes the way of a failed one; the error is in the log, and with a
// dead letter.
type DecodeError struct {
	Queue       string
	ID          MessageID
	ContentType ContentType
	Err         error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("inproq: message %s in %q: %s body does not decode: %v", e.ID, e.Queue, e.ContentType, e.Err)
}

// Unwrap returns what the decoder said.
func (e *DecodeError) Unwrap() error { return e.Err }

// fromStore translates an error of the store's about a queue.
func fromStore(err error, queue string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, store.ErrQueueNotFound):
		return fmt.Errorf("%w: %q", ErrQueueNotFound, queue)
	case errors.Is(err, store.ErrConflict):
		return fmt.Errorf("%w: queue %q", ErrConflict, queue)
	case errors.Is(err, store.ErrPaused):
		return fmt.Errorf("%w: queue %q", ErrDeliveryPaused, queue)
	case errors.Is(err, store.ErrFull):
		return fmt.Errorf("%w: queue %q: %w", ErrStorageLimitExceeded, queue, err)
	case errors.Is(err, store.ErrClosed):
		return fmt.Errorf("%w: %w", ErrBrokerClosed, err)
	}
	return fmt.Errorf("inproq: queue %q: %w", queue, err)
}
