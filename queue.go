package inproq

import (
	"context"
	"fmt"

	"github.com/inproq/inproq/store"
)

// Producer is the sending side of a queue: what code that only sends should ask
// for. A [Queue] is one, and so is queuetest.Recorder. It will not get more
// methods.
type Producer[T any] interface {
	Send(ctx context.Context, body T, opts ...SendOption) (SendResult, error)
	SendBatch(ctx context.Context, msgs []MessageSendRequest[T], opts ...SendOption) (SendBatchResult, error)
}

// Queue is a typed view of a queue of a broker. Views are cheap, and all views of
// one queue have the same type of bodies, except that a Queue[[]byte] or
// Queue[json.RawMessage] may look at any queue. Its methods are safe for
// concurrent use.
type Queue[T any] struct {
	ep      *endpoint
	codec   codec[T]
	initial ContentType // where the queue has none set
}

// Declare creates a queue, or updates it. An update changes the fields of cfg that
// differ from what was declared last, and no others: an operator may set a delay
// with UpdateQueue, and a restart, which declares what it always has, leaves it
// alone. The first declaration of a queue that was made otherwise sets all of them. A
// pause stays as it is.
//
// Errors: [ErrInvalidQueueName], [ErrInvalidConfig], [ErrTypeMismatch],
// [ErrContentType] when no T fits cfg.ContentType, [ErrBrokerClosed], ctx's and the
// store's.
func Declare[T any](ctx context.Context, b *Broker, name string, cfg QueueConfig) (*Queue[T], error) {
	if err := b.mayChange(name); err != nil {
		return nil, err
	}
	cfg, err := cfg.normalize(&b.limits)
	if err != nil {
		return nil, fmt.Errorf("%w (queue %q)", err, name)
	}
	c := newCodec[T]()
	if err := c.fits(cfg.ContentType); err != nil {
		return nil, fmt.Errorf("%w (queue %q)", err, name)
	}
	if err := b.endpoint(name).agree(c.typ, c.verbatim()); err != nil {
		return nil, err
	}
	r, err := b.declare(ctx, name, cfg)
	if err != nil {
		return nil, err
	}
	return view(ctx, b, r, c)
}

// Bind returns a view of a queue that exists. For one that the broker knows it
// asks nothing of the store.
//
// Errors: [ErrInvalidQueueName], [ErrQueueNotFound], [ErrTypeMismatch],
// [ErrContentType] when no T fits the queue's content type, ctx's and the store's.
func Bind[T any](ctx context.Context, b *Broker, name string) (*Queue[T], error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	c := newCodec[T]()
	if ep := b.known(name); ep != nil && ep.currentPolicy() != nil {
		return viewOf(ep, c)
	}
	r, err := b.catalog.get(ctx, name)
	if err != nil {
		return nil, fromStore(err, name)
	}
	return view(ctx, b, r, c)
}

func view[T any](ctx context.Context, b *Broker, r *record, c codec[T]) (*Queue[T], error) {
	ep := b.endpoint(r.Name)
	ep.follow(r)
	if !ep.expiry.isKnown() {
		_, _ = b.stats(ctx, r.Name) // to count from now on what expires: best effort
	}
	return viewOf(ep, c)
}

func viewOf[T any](ep *endpoint, c codec[T]) (*Queue[T], error) {
	if p := ep.currentPolicy(); p != nil {
		if err := c.fits(p.ctype); err != nil {
			return nil, fmt.Errorf("%w (queue %q)", err, ep.name)
		}
	}
	if err := ep.bind(c.typ, c.verbatim()); err != nil {
		return nil, err
	}
	return &Queue[T]{ep: ep, codec: c, initial: c.initial()}, nil
}

// Name returns the queue's name.
func (q *Queue[T]) Name() string { return q.ep.name }

// Metrics describe the queue's backlog now.
//
// Errors: [ErrQueueNotFound] when it was deleted, and the store's.
func (q *Queue[T]) Metrics(ctx context.Context) (Metrics, error) {
	return q.ep.broker.Metrics(ctx, q.ep.name)
}

// In returns a producer whose sends become part of tx, a transaction of the
// application's own database: they are there exactly when it commits. Which types
// tx may have is the store's affair. With a store that has no transactions, as
// that in memory, every send fails with [ErrNotSupported].
func (q *Queue[T]) In(tx any) Producer[T] { return &txProducer[T]{q: q, tx: tx} }

type txProducer[T any] struct {
	q  *Queue[T]
	tx any
}

func (p *txProducer[T]) check() error {
	if _, ok := p.q.ep.broker.store.(store.TxEnqueuer); !ok {
		return fmt.Errorf("%w: sends in a transaction (queue %q)", ErrNotSupported, p.q.ep.name)
	}
	if p.tx == nil {
		return fmt.Errorf("%w: the transaction is nil (queue %q)", ErrNotSupported, p.q.ep.name)
	}
	return nil
}

func (p *txProducer[T]) Send(ctx context.Context, body T, opts ...SendOption) (SendResult, error) {
	if err := p.check(); err != nil {
		return SendResult{}, err
	}
	var res SendResult
	if err := p.q.send(ctx, p.tx, body, opts, &res); err != nil {
		return SendResult{}, err
	}
	return res, nil
}

func (p *txProducer[T]) SendBatch(ctx context.Context, msgs []MessageSendRequest[T], opts ...SendOption) (SendBatchResult, error) {
	if err := p.check(); err != nil {
		return SendBatchResult{}, err
	}
	return p.q.sendBatch(ctx, p.tx, msgs, opts)
}
