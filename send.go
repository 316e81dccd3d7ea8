package inproq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/inproq/inproq/internal/headers"
	"github.com/inproq/inproq/store"
)

// SendResult is what became of a send.
type SendResult struct {
	ID MessageID
	// Metrics describe the backlog before the message was added.
	Metrics Metrics
}

// A SendOption says more about a send: [Delay], [ContentAs], [Header].
type SendOption interface{ sendOption() }

// ContentAs sends a body with another content type than the queue's. One that is
// unknown, or that the body does not fit, fails the send with [ErrContentType].
func ContentAs(ct ContentType) SendOption { return contentOption{ct} }

// Header adds a header; of several with one key the last counts. Keys have 1 to 64
// letters, digits and dashes and do not begin with "Inproq-"; values are UTF-8
// without CR, LF and NUL: otherwise the send fails with [ErrInvalidHeader]. All keys
// and values of a message together have at most Limits.MaxHeaderBytes (8,000):
// otherwise it fails with [ErrMessageTooLarge].
func Header(key, value string) SendOption { return headerOption{key, value} }

type contentOption struct{ ct ContentType }

type headerOption struct{ key, value string }

func (contentOption) sendOption() {}
func (headerOption) sendOption()  {}

// manner is how a message is sent: with which encoding, delay and headers. Until
// it is completed, an empty content type and hasDelay tell what is left to the
// queue.
type manner struct {
	ct       ContentType
	delay    time.Duration
	hasDelay bool
	headers  map[string]string
}

func mannerOf(opts []SendOption) (w manner) {
	for _, o := range opts {
		switch o := o.(type) {
		case DelayOption:
			w.delay, w.hasDelay = o.d, true
		case contentOption:
			w.ct = o.ct
		case headerOption:
			if w.headers == nil {
				w.headers = make(map[string]string)
			}
			w.headers[o.key] = o.value
		}
	}
	return w
}

// complete checks what was said, and fills in what was not.
func (w *manner) complete(p *policy, initial ContentType, l *Limits) (err error) {
	if w.ct == "" {
		w.ct = cmp.Or(p.ctype, initial)
	} else if w.ct, err = parseContentType(w.ct); err != nil {
		return err
	}
	if !w.hasDelay {
		w.delay = p.delay
		return nil
	}
	return l.checkDelay(w.delay)
}

// Send sends one message. When it returns nil the store has accepted it: the
// message is delivered at least once, or ends in the dead-letter queue, or is past
// its retention, under the failures that the store's Guarantee names. The body is
// encoded before Send returns and may be changed then.
//
// It may be called from any goroutine, before the broker runs and until the last
// handler has returned. In memory it costs about 0.1 µs, and for a []byte, without
// options and a delay, no allocation.
//
// See https://developers.cloudflare.com/queues/configuration/javascript-apis/#queue.
//
// Errors: [ErrMessageTooLarge], [ErrContentType], [ErrDelayOutOfRange],
// [ErrInvalidHeader], [ErrTooManyRequests], [ErrStorageLimitExceeded],
// [ErrQueueNotFound], [ErrBrokerClosed], ctx's, and the store's.
func (q *Queue[T]) Send(ctx context.Context, body T, opts ...SendOption) (res SendResult, err error) {
	if err = q.send(ctx, nil, body, opts, &res); err != nil {
		res = SendResult{}
	}
	return res, err
}

// send is Send. Its result is written in place: copying it up would cost as much
// as storing the message.
func (q *Queue[T]) send(ctx context.Context, tx any, body T, opts []SendOption, res *SendResult) error {
	p := q.ep.currentPolicy()
	if len(opts) > 0 || tx != nil || p == nil || p.inlet == nil || p.delay > 0 {
		return q.sendBy(ctx, q.ep.sendPolicy(ctx), tx, body, opts, res)
	}
	err := q.sendPlain(ctx, p, body, res)
	if err != nil && errors.Is(err, ErrQueueNotFound) && q.ep.refresh(ctx) == nil {
		// The name was taken anew: the new queue may want something else.
		return q.sendBy(ctx, q.ep.sendPolicy(ctx), tx, body, opts, res)
	}
	return err
}

// sendPlain sends what nothing special is said of to a store in this process.
func (q *Queue[T]) sendPlain(ctx context.Context, p *policy, body T, res *SendResult) error {
	b, ct := q.ep.broker, p.ctype
	if ct == "" {
		ct = q.initial
	}
	raw, err := q.encode(0, body, ct)
	if err != nil {
		return q.wrap(err)
	}
	now := b.local.Now()
	id := newMessageID(now)
	res.ID = MessageID(id)
	return q.ep.sendLocal(ctx, p, id, raw, ct, now, &res.Metrics)
}

// sendBy sends with options, or what a store takes as a batch of one.
func (q *Queue[T]) sendBy(ctx context.Context, p *policy, tx any, body T, opts []SendOption, res *SendResult) error {
	w := mannerOf(opts)
	if err := w.complete(p, q.initial, &q.ep.broker.limits); err != nil {
		return q.wrap(err)
	}
	var m store.Message
	now := q.ep.broker.unixNano()
	if err := q.prepare(&m, 0, body, &w, now); err != nil {
		return q.wrap(err)
	}
	res.ID = MessageID(m.ID)
	before, err := q.ep.enqueue(ctx, tx, []store.Message{m}, now)
	res.Metrics.set(&before)
	return err
}

func (q *Queue[T]) wrap(err error) error { return fmt.Errorf("%w (queue %q)", err, q.ep.name) }

// prepare encodes and checks message i of a send.
func (q *Queue[T]) prepare(m *store.Message, i int, body T, w *manner, unixNano int64) (err error) {
	if m.Body, err = q.encode(i, body, w.ct); err != nil {
		return err
	}
	m.ID, m.ContentType, m.Delay = newMessageID(unixNano), string(w.ct), w.delay
	if w.headers != nil {
		m.Headers, err = q.ep.broker.limits.encodeHeaders(i, w.headers)
	}
	return err
}

// encode encodes and checks the body of message i of a send.
func (q *Queue[T]) encode(i int, body T, ct ContentType) ([]byte, error) {
	b, err := q.codec.encode(body, ct)
	if limit := q.ep.broker.limits.MaxMessageBytes; err == nil && len(b) > limit {
		err = &MessageTooLargeError{Index: i, Part: "body", Size: len(b), Limit: limit}
	}
	return b, err
}

func (l *Limits) checkDelay(d time.Duration) error {
	if d < 0 || d > l.MaxDelay {
		return fmt.Errorf("%w: %v, allowed: 0s to %v", ErrDelayOutOfRange, d, l.MaxDelay)
	}
	return nil
}

func (l *Limits) encodeHeaders(i int, h map[string]string) ([]byte, error) {
	for k, v := range h {
		if err := headers.Check(k, v); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalidHeader, err)
		}
	}
	if n := headers.Size(h); n > l.MaxHeaderBytes {
		return nil, &MessageTooLargeError{Index: i, Part: "headers", Size: n, Limit: l.MaxHeaderBytes}
	}
	return headers.Encode(h), nil
}
