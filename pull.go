package inproq

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

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
	life  context.Context // ends with Stop
	end   context.CancelFunc
	left  atomic.Bool // by Stop
}

// PullConsumer makes the queue one that is pulled from, and returns its consumer. It
// works from now on, whether the broker runs or not. A queue is consumed in one way:
// with a handler or by pulls. Other processes on the same store, and other calls here,
// pull from the queue side by side.
//
// Like Declare, it changes only those stored settings that cfg says differently from
// the last time; the first time it sets all, also over what AttachConsumer has set.
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
	r, err := b.lookUp(ctx, q.ep.name)
	if err == nil {
		err = r.clone().declareConsumer(HTTPPull, "", settings) // a try, before its dead-letter queue comes to be
	}
	if err == nil {
		err = b.ensureDeadLetterQueue(ctx, &settings)
	}
	if err != nil {
		return nil, err
	}
	r, err = b.modify(ctx, q.ep.name, func(r *record) error {
		r.needLeaseKey()
		return r.declareConsumer(HTTPPull, "", settings)
	})
	if err != nil {
		return nil, err
	}
	q.ep.follow(r)
	p := &PullConsumer[T]{ep: q.ep, codec: q.codec}
	p.life, p.end = context.WithCancel(context.Background())
	return p, nil
}

// Pull returns up to MaxBatchSize messages that are ready now, and an empty batch if
// there are none. What it returns is leased for VisibilityTimeout: decide with the
// messages' Ack and Retry, and then call Settle.
//
// Errors: [ErrDeliveryPaused], [ErrNotPullConsumer] when the queue is not pulled from
// any more or this consumer was stopped, [ErrQueueNotFound], [ErrBrokerClosed], ctx's
// and the store's.
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
	if p.left.Load() {
		return nil, fmt.Errorf("%w: this consumer of queue %q was stopped", ErrNotPullConsumer, p.ep.name)
	}
	s, _, err := b.pullSettings(ctx, p.ep.name)
	if err != nil {
		return nil, err
	}
	policy := s.policy(&b.limits)
	core, err := p.ep.settler().Pull(ctx, &policy, store.Claim{
		Max: min(s.MaxBatchSize, b.limits.MaxPullBatch), Visibility: min(s.VisibilityTimeout, b.limits.MaxVisibility), Wait: wait,
	})
	if err != nil {
		return nil, fromStore(err, p.ep.name)
	}
	return &PulledBatch[T]{Queue: p.ep.name, core: core, ep: p.ep}, nil
}

// Stop ends the loops of Batches and removes the consumer from the queue, also for other
// processes. Batches that were pulled can still be settled, within their visibility; a
// loop's turn that is under way ends as it would. After a shutdown of the broker Stop
// does nothing, nor when it has been called before and did not fail.
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
