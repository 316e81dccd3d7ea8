package inproq

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/inproq/inproq/internal/dispatch"
	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/store"
)

// PullConfig says how a queue is pulled from. It is stored with the queue.
//
// See https://developers.cloudflare.com/queues/configuration/pull-consumers/.
type PullConfig struct {
	// MaxBatchSize is the largest number of messages in a batch. Default 5, from 1 to
	// 100.
	MaxBatchSize int
	// VisibilityTimeout is how long pulled messages are kept from others. What is not
	// settled by then is delivered again. Default 30 seconds, at most 12 hours.
	VisibilityTimeout time.Duration
	// MaxRetries is how often a message is delivered again after its first
	// delivery. Default 3, at most 100; NoRetries: never.
	MaxRetries int
	// RetryDelay is how long a retried message waits when the retry does not say.
	// Default 0, at most Limits.MaxDelay.
	RetryDelay time.Duration
	// DeadLetterQueue is where messages go whose last delivery has failed. It is
	// created if it does not exist. "": they are deleted.
	DeadLetterQueue string
}

// PullConsumer takes messages from a queue when its user wants some. Its methods are
// safe for concurrent use: concurrent pulls get different messages.
type PullConsumer[T any] struct {
	ep    *endpoint
	codec codec[T]
	life  context.Context // ends with Stop, and when the broker shuts down
	end   context.CancelFunc
	left  atomic.Bool // by Stop
}

// PullConsumer makes the queue one that is pulled from, and returns its consumer. It
// works from now on, whether the broker runs or not. A queue is consumed in one way:
// with a handler or by pulls. Other processes on the same store, and other calls here,
// pull from the queue side by side.
//
// Like Declare, it changes only those stored settings that cfg says differently from
// the last time.
//
// Errors: [ErrInvalidConfig], [ErrConsumerExists] if the queue has a handler,
// [ErrQueueNotFound], [ErrBrokerClosed] and the store's.
func (q *Queue[T]) PullConsumer(cfg PullConfig) (*PullConsumer[T], error) {
	b := q.ep.broker
	var v violations
	settings := consumerSettings{
		MaxBatchSize: cfg.MaxBatchSize, VisibilityTimeout: cfg.VisibilityTimeout, MaxRetries: cfg.MaxRetries,
		RetryDelay: cfg.RetryDelay, DeadLetterQueue: cfg.DeadLetterQueue,
	}.normalize(&v, HTTPPull, q.ep.name, &b.limits)
	if err := v.err(errInvalidConsumer); err != nil {
		return nil, fmt.Errorf("%w (queue %q)", err, q.ep.name)
	}
	if b.phase.Load() >= draining {
		return nil, ErrBrokerClosed
	}
	if q.ep.current() != nil {
		return nil, fmt.Errorf("%w: queue %q has a handler in this process", ErrConsumerExists, q.ep.name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), attachTimeout)
	defer cancel()
	if _, err := b.catalog.get(ctx, q.ep.name); err != nil {
		return nil, fromStore(err, q.ep.name) // before its dead-letter queue comes to be
	}
	if err := b.ensureDeadLetterQueue(ctx, &settings); err != nil {
		return nil, err
	}
	r, err := b.modify(ctx, q.ep.name, func(r *record) error {
		r.needLeaseKey()
		return r.declareConsumer(HTTPPull, "", settings)
	})
	if err != nil {
		return nil, err
	}
	q.ep.follow(r)
	p := &PullConsumer[T]{ep: q.ep, codec: q.codec}
	p.life, p.end = context.WithCancel(b.pulling)
	return p, nil
}

// Pull returns up to MaxBatchSize messages that are ready now, and an empty batch if
// there are none. What it returns is leased for VisibilityTimeout: decide with the
// messages' Ack and Retry, and then call Settle.
//
// Errors: [ErrDeliveryPaused], [ErrNotPullConsumer] when the queue is not pulled from any
// more, [ErrQueueNotFound], [ErrBrokerClosed], ctx's and the store's.
func (p *PullConsumer[T]) Pull(ctx context.Context) (*PulledBatch[T], error) {
	batch, err := p.lease(ctx, 0)
	if err == nil {
		batch.begin(ctx, &p.codec)
	}
	return batch, err
}

// lease waits up to wait for messages; negative: until ctx ends. The batch is to be
// begun, or released.
func (p *PullConsumer[T]) lease(ctx context.Context, wait time.Duration) (*PulledBatch[T], error) {
	b := p.ep.broker
	r, err := b.pullRecord(ctx, p.ep.name)
	if err != nil {
		return nil, err
	}
	s := &r.Consumer.Settings
	policy := s.policy(&b.limits)
	core, err := p.ep.settler().Pull(ctx, &policy, store.Claim{
		Max: min(s.MaxBatchSize, b.limits.MaxPullBatch), Visibility: min(s.VisibilityTimeout, b.limits.MaxVisibility), Wait: wait,
	})
	if err != nil {
		return nil, fromStore(err, p.ep.name)
	}
	return &PulledBatch[T]{Queue: p.ep.name, core: core, ep: p.ep}, nil
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

// batchesSettle is how long Batches tries to settle, whatever has been cancelled.
const batchesSettle = 5 * time.Second

// Batches waits for messages, through a pause too, and yields batches with at least
// one until ctx ends, Stop is called or the broker shuts down. After each turn, and
// when the loop is left, it settles what was decided; what was not stays leased. When the loop
// is left by a panic it settles nothing.
//
//	for batch, err := range consumer.Batches(ctx) {
//		if err != nil {
//			return err
//		}
//		for _, m := range batch.Messages {
//			m.Ack()
//		}
//	}
//
// An error comes without a batch. After one that may pass, such as the store's being
// out of reach or a settlement that failed, the loop may go on, with a pause that grows; after
// [ErrQueueNotFound], [ErrNotPullConsumer] and [ErrBrokerClosed] it ends. A shutdown of
// the broker waits for the turns that are under way.
func (p *PullConsumer[T]) Batches(ctx context.Context) iter.Seq2[*PulledBatch[T], error] {
	return func(yield func(*PulledBatch[T], error) bool) {
		wait := firstPullWait
		for ctx.Err() == nil && p.life.Err() == nil {
			batch, err := p.next(ctx)
			if batch != nil {
				var more bool
				if more, err = p.turn(ctx, batch, yield); !more {
					return
				}
			}
			switch {
			case err == nil && batch != nil:
				wait = firstPullWait
				continue
			case err == nil:
				continue // settings have changed: pull by the new ones; or ctx or life has ended
			}
			if !yield(nil, err) || final(err) {
				return
			}
			if !sleep(ctx, p.life, wait) {
				return
			}
			wait = min(2*wait, lastPullWait)
		}
	}
}

const (
	firstPullWait = 50 * time.Millisecond
	lastPullWait  = 5 * time.Second
)

// final reports whether there will be no messages any more.
func final(err error) bool {
	return errors.Is(err, ErrQueueNotFound) || errors.Is(err, ErrNotPullConsumer) || errors.Is(err, ErrBrokerClosed)
}

// sleep waits, and reports false when one of the contexts ended.
func sleep(ctx, life context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-life.Done():
	}
	return false
}

// next waits for a batch. It returns nil when it was interrupted. With a batch, a turn has
// begun.
func (p *PullConsumer[T]) next(ctx context.Context) (*PulledBatch[T], error) {
	stays := p.ep.consumerStays()
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	defer context.AfterFunc(stays, cancel)()
	batch, err := p.lease(wctx, -1)
	switch {
	case err != nil && wctx.Err() != nil:
		return nil, nil // interrupted; the caller looks why
	case err != nil:
		return nil, err
	case p.life.Err() != nil || ctx.Err() != nil || !p.ep.broker.beginTurn():
		batch.core.Release(context.WithoutCancel(ctx))
		return nil, nil
	}
	if batch.begin(ctx, &p.codec); len(batch.Messages) == 0 {
		p.ep.broker.endTurn()
		return nil, nil // they did not decode
	}
	return batch, nil
}

// turn yields a batch and settles it. It reports whether the loop goes on, and then
// whether the settlement failed: one that ends can only log that.
func (p *PullConsumer[T]) turn(ctx context.Context, batch *PulledBatch[T], yield func(*PulledBatch[T], error) bool) (more bool, err error) {
	defer p.ep.broker.endTurn()
	more = yield(batch, nil)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchesSettle)
	defer cancel()
	res, err := batch.Settle(ctx)
	if len(res.Warnings) > 0 {
		p.ep.broker.log.Warn("leases lost: the messages are delivered again", "queue", p.ep.name, "messages", len(res.Warnings))
	}
	if err != nil && !more {
		p.ep.broker.log.Error("batch not settled: its messages will be delivered again", "queue", p.ep.name, "err", err)
	}
	return more, err
}

// Stop ends the loops of Batches and removes the consumer from the queue, also for other
// processes. Batches that were pulled can still be settled, within their visibility; a loop's turn that is under way ends as it
// would. After a shutdown of the broker Stop does nothing, nor when it has been called
// before and did not fail.
func (p *PullConsumer[T]) Stop(ctx context.Context) error {
	p.end()
	if !p.left.CompareAndSwap(false, true) {
		return nil // the record may be that of a successor
	}
	_, err := p.ep.broker.modify(ctx, p.ep.name, func(r *record) error {
		if r.is(HTTPPull, "") {
			r.Consumer = nil
		}
		return nil
	})
	if err == nil || errors.Is(err, ErrQueueNotFound) || errors.Is(err, ErrBrokerClosed) {
		return nil
	}
	p.left.Store(false)
	return err
}

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
// has, or it is gone, that is no error: the result has a warning under the message's ID, and
// nothing happens to the message.
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
