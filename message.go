package inproq

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/inproq/inproq/internal/dispatch"
	"github.com/inproq/inproq/internal/headers"
	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/store"
)

// Message is one message as a handler gets it. It belongs to its batch: Ack and
// Retry may be called from any goroutine until the batch is settled, and do
// nothing after that.
//
// The messages of a batch share their memory: one that is kept keeps all.
type Message[T any] struct {
	// ID is minted at the send and stays the same over retries and in a
	// dead-letter queue.
	ID MessageID
	// Timestamp is when the message was sent, on the store's clock.
	Timestamp time.Time
	// Attempts numbers this delivery: 1 for the first.
	Attempts int
	// Body is what was sent. A []byte, which Send has copied, is shared with the
	// store: do not write to it.
	Body T
	// ContentType says how the body was encoded.
	ContentType ContentType
	// Headers are those given with the send, and in a dead-letter queue the
	// reserved ones that DeadLetter reads, which begin with "Inproq-" and are refused
	// in a send. Nil: none.
	Headers map[string]string

	batch *dispatch.Batch
	index int
}

// Ack acknowledges the message: it is not delivered again, also when the handler
// fails later. After a Retry of the same message, or after RetryAll, it has no
// effect but a warning in the log.
//
// See https://developers.cloudflare.com/queues/configuration/batching-retries/#explicit-acknowledgement-and-retries.
func (m *Message[T]) Ack() {
	if m.batch == nil {
		return // not from a batch
	}
	if e := m.batch.Ack(m.index); e != settlement.Recorded {
		m.batch.Remark("Ack", m.index, store.ID(m.ID), e)
	}
}

// Retry marks the message for another delivery, after the delay given with
// [Delay], or else that of RetryAll, of the consumer's Backoff, or its RetryDelay.
// Of several calls only the last one's options count: one without a delay takes an
// earlier delay back. After an Ack of the same message,
// or after AckAll, it has no effect but a warning in the log.
//
// A retry does not fail the invocation: it never lowers the number of handlers.
func (m *Message[T]) Retry(opts ...RetryOption) {
	if m.batch == nil {
		return
	}
	if e := m.batch.Retry(m.index, resolveRetry(m.batch, opts)); e >= settlement.Ignored {
		m.batch.Remark("Retry", m.index, store.ID(m.ID), e)
	}
}

// conclude settles the message by how its processing ended, unless that was done
// with a call of its own.
func (m *Message[T]) conclude(err error) {
	switch {
	case m.batch != nil && m.batch.Called(m.index):
		m.batch.Explain(m.index, err)
	case err != nil:
		m.Retry(Cause(err))
	default:
		m.Ack()
	}
}

// A RetryOption says more about a retry: [Delay], [Cause].
type RetryOption interface{ retryOption() }

// Cause records why a message is retried: it is logged, and goes with the message
// to the dead-letter queue, if this was its last delivery. Nil has no effect.
func Cause(err error) RetryOption { return causeOption{err} }

type causeOption struct{ err error }

func (causeOption) retryOption() {}

func resolveRetry(b *dispatch.Batch, opts []RetryOption) (r settlement.Retry) {
	for _, o := range opts {
		switch o := o.(type) {
		case DelayOption:
			r.Delay, r.HasDelay = b.ClampDelay(o.d), true
		case causeOption:
			r.Cause = o.err
		}
	}
	return r
}

// DeadLetterReason says why a message was moved to a dead-letter queue.
type DeadLetterReason string

// The reasons for a dead letter.
const (
	// RetriesExhausted: the last delivery that MaxRetries allows has failed.
	RetriesExhausted DeadLetterReason = dispatch.RetriesExhausted
	// Undecodable: the same, because the body does not decode.
	Undecodable DeadLetterReason = dispatch.Undecodable
	// Crashed: the last delivery ended without a settlement; its process died, or
	// its lease ran out.
	Crashed DeadLetterReason = dispatch.Crashed
)

// DeadLetter says where a message in a dead-letter queue comes from.
type DeadLetter struct {
	Queue    string // it was consumed from
	Attempts int    // deliveries there
	Reason   DeadLetterReason
	Error    string    // of the last delivery, in one line of about 1,000 bytes at most; "" when none is known
	Time     time.Time // of the move
}

// DeadLetter returns where the message comes from, if it was moved here as a
// dead letter.
func (m *Message[T]) DeadLetter() (DeadLetter, bool) { return deadLetterOf(m.Headers) }

func deadLetterOf(h map[string]string) (DeadLetter, bool) {
	d, ok := headers.ParseDeadLetter(h)
	return DeadLetter{d.Queue, d.Attempts, DeadLetterReason(d.Reason), d.Error, d.Time}, ok
}

// MessageID names a message: the bytes of a UUIDv7. Its text form is 32 lower-case
// hex digits, as at Cloudflare.
type MessageID [16]byte

// String returns the 32 hex digits.
func (id MessageID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText returns the 32 hex digits.
func (id MessageID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText accepts what ParseMessageID does.
func (id *MessageID) UnmarshalText(text []byte) error {
	parsed, err := ParseMessageID(string(text))
	if err == nil {
		*id = parsed
	}
	return err
}

// ParseMessageID reads 32 hex digits, or a UUID with dashes.
func ParseMessageID(s string) (MessageID, error) {
	if len(s) > 36 { // the package uuid would take braces and a URN too
		return MessageID{}, fmt.Errorf("inproq: message id %q has %d bytes, allowed: 32 hex digits, or a UUID with dashes", s, len(s))
	}
	id, err := uuid.Parse(s)
	if err != nil {
		return MessageID{}, fmt.Errorf("inproq: message id %q: %w", s, err)
	}
	return MessageID(id), nil
}

// newMessageID mints a UUIDv7 for a time in nanoseconds since 1970: 48 bits of
// milliseconds, 12 of their fraction, and 62 random ones. Those come from the
// runtime's ChaCha8, which is per thread: ids are no secrets, and a source with a
// lock costs more than the rest of a send.
func newMessageID(unixNano int64) (id store.ID) {
	milli := uint64(unixNano) / 1e6
	fraction := (uint64(unixNano) - milli*1e6) << 12 / 1e6
	binary.BigEndian.PutUint64(id[:8], milli<<16|7<<12|fraction)
	binary.BigEndian.PutUint64(id[8:], rand.Uint64()&(1<<62-1)|1<<63)
	return id
}
