package inproq

import (
	"context"

	"github.com/inproq/inproq/internal/dispatch"
	"github.com/inproq/inproq/internal/headers"
	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/internal/testhook"
	"github.com/inproq/inproq/store"
)

// MessageBatch is what a handler gets: up to MaxBatchSize messages of one queue,
// at least one. When the handler and all functions started with Go have returned,
// each message is settled by the first of these that applies:
//
//  1. its own Ack or Retry, whichever was called first, unless AckAll or RetryAll
//     was called before; Ack holds even if the handler fails;
//  2. AckAll or RetryAll, whichever was called first; after RetryAll a message's
//     own Retry may still set its delay;
//  3. the handler's outcome: nil acknowledges, an error or a panic retries.
//
// All methods are safe for concurrent use; calls
// after the settlement do nothing.
//
// See https://developers.cloudflare.com/queues/configuration/batching-retries/.
type MessageBatch[T any] struct {
	// Queue is the name of the queue that the messages come from.
	Queue string
	// Messages are in the order in which they became ready, as far as it is known.
	Messages []*Message[T]
	// Metrics describe what remains in the queue. Their
	// OldestMessageTimestamp is zero when the oldest message is in this batch.
	Metrics Metrics

	core *dispatch.Batch
}

// AckAll acknowledges all messages without a call of their own, also if the
// handler fails later. After RetryAll it has no effect but a warning in the log.
func (b *MessageBatch[T]) AckAll() {
	if b.core == nil {
		return
	}
	if e := b.core.AckAll(); e >= settlement.Ignored {
		b.core.Remark("AckAll", -1, store.ID{}, e)
	}
}

// RetryAll retries all messages without a call of their own. Called again, it replaces
// the delay and the cause if it gives one. After AckAll it has no effect but a warning
// in the log. A retry is no failure: it never lowers the number of handlers.
func (b *MessageBatch[T]) RetryAll(opts ...RetryOption) {
	if b.core == nil {
		return
	}
	if e := b.core.RetryAll(resolveRetry(b.core, opts)); e >= settlement.Ignored {
		b.core.Remark("RetryAll", -1, store.ID{}, e)
	}
}

// Go runs fn in a goroutine as a part of the invocation, like waitUntil at
// Cloudflare: the batch is settled when fn has returned too, what it calls on
// messages counts, and its error or panic fails the invocation. Its context is
// that of the handler, which goes on after the handler has returned. After the
// settlement Go does not run fn.
func (b *MessageBatch[T]) Go(fn func(ctx context.Context) error) {
	if b.core != nil {
		b.core.Spawn(fn)
	}
}

// bind makes the calls on the batch and its messages count for core. The
// messages' order is that of core's.
func (b *MessageBatch[T]) bind(core *dispatch.Batch) {
	b.core = core
	for i, m := range b.Messages {
		m.batch, m.index = core, i
	}
}

func (b *MessageBatch[T]) bound() *dispatch.Batch { return b.core }

func init() {
	type anyBatch interface {
		bind(core *dispatch.Batch)
		bound() *dispatch.Batch
	}
	testhook.Bind = func(batch any, core *dispatch.Batch) { batch.(anyBatch).bind(core) }
	testhook.Core = func(batch any) *dispatch.Batch { return batch.(anyBatch).bound() }
}

// newBatch makes the typed view of a batch. Messages that do not decode are
// withheld from it.
func newBatch[T any](queue string, c *codec[T], core *dispatch.Batch) *MessageBatch[T] {
	b := &MessageBatch[T]{Queue: queue, Messages: messagesOf(queue, c, core), core: core}
	b.Metrics.set(&core.Backlog)
	return b
}

// messagesOf makes the typed view of a batch's messages.
func messagesOf[T any](queue string, c *codec[T], core *dispatch.Batch) []*Message[T] {
	n := len(core.Deliveries)
	block, messages := make([]Message[T], n), make([]*Message[T], 0, n)
	for i := range core.Deliveries {
		d, m := &core.Deliveries[i], &block[i]
		m.ID, m.Timestamp, m.Attempts, m.ContentType = MessageID(d.ID), d.Sent, d.Attempts, ContentType(d.ContentType)
		m.batch, m.index = core, i
		err := c.decode(d.Body, d.ContentType, &m.Body)
		if err == nil && d.Headers != nil {
			m.Headers, err = headers.Decode(d.Headers)
		}
		if err != nil {
			core.Withhold(i, &DecodeError{Queue: queue, ID: m.ID, ContentType: m.ContentType, Err: err})
			continue
		}
		messages = append(messages, m)
	}
	return messages
}
