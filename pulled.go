package inproq

import (
	"context"
	"time"

	"github.com/inproq/inproq/internal/dispatch"
	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/store"
)

// PulledBatch is what was pulled: up to MaxBatchSize messages of one queue. Nothing
// happens to them before Settle; what is not settled when its visibility ends is
// delivered again.
//
// Precedence is as in a [MessageBatch]: the first call decides, a message's own before
// AckAll and RetryAll, but there is no outcome to decide the rest. All methods
// are safe for concurrent use.
type PulledBatch[T any] struct {
	// Queue is the name of the queue that the messages come from.
	Queue string
	// Messages may be empty.
	Messages []*Message[T]
	// Metrics describe what remains in the queue.
	Metrics Metrics

	core *dispatch.Pulled
	ep   *endpoint
}

// AckAll acknowledges all messages without a call of their own, with the next Settle.
func (b *PulledBatch[T]) AckAll() {
	if b.core == nil {
		return // not from a pull
	}
	if e := b.core.AckAll(); e >= settlement.Ignored {
		b.core.Remark("AckAll", -1, store.ID{}, e)
	}
}

// RetryAll retries all messages without a call of their own, with the next Settle.
func (b *PulledBatch[T]) RetryAll(opts ...RetryOption) {
	if b.core == nil {
		return
	}
	if e := b.core.RetryAll(resolveRetry(&b.core.Batch, opts)); e >= settlement.Ignored {
		b.core.Remark("RetryAll", -1, store.ID{}, e)
	}
}

// Settle settles the messages that are decided and that no earlier Settle has settled;
// undecided ones stay leased. It may be called again, also after an error. A message
// whose lease has run out is settled all the same while nobody else has it. If somebody
// has, or it is gone, that is no error: the result has a warning under the message's ID,
// and nothing happens to the message.
//
// Errors: [ErrQueueNotFound], [ErrBrokerClosed], ctx's and the store's. With an error a
// part may have been settled.
func (b *PulledBatch[T]) Settle(ctx context.Context) (SettleResult, error) {
	if b.core == nil {
		return SettleResult{}, nil
	}
	t, lost, err := b.core.Settle(ctx)
	if err != nil {
		return SettleResult{}, fromStore(err, b.Queue)
	}
	res := settleResult(t)
	for _, i := range lost {
		res.warn(MessageID(b.core.Deliveries[i].ID).String(), staleLease)
	}
	return res, nil
}

// Extend keeps the messages that are not settled from others for visibility from now, up
// to Limits.MaxVisibility (12 hours). Those whose leases are lost are logged.
//
// Errors: [ErrInvalidConfig] for a visibility out of range, and as Settle.
func (b *PulledBatch[T]) Extend(ctx context.Context, visibility time.Duration) error {
	if b.core == nil {
		return nil
	}
	var v violations
	within(&v, "visibility", visibility, 1, b.ep.broker.limits.MaxVisibility)
	if err := v.err(ErrInvalidConfig); err != nil {
		return err
	}
	lost, err := b.core.Extend(ctx, visibility)
	if len(lost) > 0 {
		b.ep.broker.log.Warn("leases lost: the messages are delivered again", "queue", b.Queue, "messages", len(lost))
	}
	return fromStore(err, b.Queue)
}

// begin makes the view of a batch that goes to the user.
func (b *PulledBatch[T]) begin(ctx context.Context, c *codec[T]) {
	b.core.Begin(ctx)
	b.Metrics.set(&b.core.Backlog)
	b.Messages = messagesOf(b.Queue, c, &b.core.Batch)
	if len(b.Messages) == len(b.core.Deliveries) {
		return
	}
	// What does not decode has been decided: it is retried, or dead.
	if _, err := b.Settle(context.WithoutCancel(ctx)); err != nil {
		b.ep.broker.log.Error("messages that do not decode not settled: they come again", "queue", b.Queue, "err", err)
	}
}
