package inproq

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/inproq/inproq/store"
)

// MessageSendRequest is one message of a SendBatch.
type MessageSendRequest[T any] struct {
	Body        T
	ContentType ContentType       // "": that of the batch, or else the queue's
	Delay       time.Duration     // 0: that of the batch, or else the queue's; NoDelay: none
	Headers     map[string]string // added to those of the batch; this message's win
}

// Bodies makes the argument of SendBatch from bodies alone.
func Bodies[T any](bodies ...T) []MessageSendRequest[T] {
	msgs := make([]MessageSendRequest[T], len(bodies))
	for i := range bodies {
		msgs[i].Body = bodies[i]
	}
	return msgs
}

// SendBatchResult is what became of a batch.
type SendBatchResult struct {
	IDs []MessageID // in the order of the messages
	// Metrics describe the backlog before the batch was added.
	Metrics Metrics
}

// SendBatch sends up to Limits.MaxBatchMessages (100) messages, or as many as the
// store takes at once, with up to Limits.MaxBatchBytes (256,000) bytes of bodies,
// all or none. Options apply to each message that does not say otherwise. A batch
// costs one call of the store.
//
// Errors: those of Send, with the index of the message, [ErrEmptyBatch] and
// [ErrBatchTooLarge].
func (q *Queue[T]) SendBatch(ctx context.Context, msgs []MessageSendRequest[T], opts ...SendOption) (SendBatchResult, error) {
	return q.sendBatch(ctx, nil, msgs, opts)
}

func (q *Queue[T]) sendBatch(ctx context.Context, tx any, reqs []MessageSendRequest[T], opts []SendOption) (res SendBatchResult, err error) {
	b := q.ep.broker
	if err := b.limits.checkCount(len(reqs), b.guarantee.AtomicSend); err != nil {
		return res, q.wrap(err)
	}
	p, common := q.ep.sendPolicy(ctx), mannerOf(opts)
	if err := b.limits.checkDelay(common.delay); err != nil {
		return res, q.wrap(withCode(10202, err))
	}
	x := takeOutgoing(len(reqs))
	defer x.free()
	msgs, now, size := x.msgs, b.unixNano(), 0
	for i := range reqs {
		w := common
		w.override(reqs[i].ContentType, reqs[i].Delay, reqs[i].Headers)
		err := w.complete(p, q.initial, &b.limits)
		if err == nil {
			err = q.prepare(&msgs[i], i, reqs[i].Body, &w, now)
		}
		if err != nil {
			return res, q.wrap(fmt.Errorf("%w (message %d)", err, i))
		}
		size += len(msgs[i].Body)
	}
	if size > b.limits.MaxBatchBytes {
		return res, q.wrap(fmt.Errorf("%w: %d bytes, the limit is %d", ErrBatchTooLarge, size, b.limits.MaxBatchBytes))
	}
	ids := make([]MessageID, len(reqs))
	for i := range msgs {
		ids[i] = MessageID(msgs[i].ID)
	}
	before, err := q.ep.enqueue(ctx, tx, msgs, now)
	if err != nil {
		return res, err
	}
	res.IDs = ids
	res.Metrics.set(&before)
	return res, nil
}

// override applies what a message of a batch says for itself.
func (w *manner) override(ct ContentType, delay time.Duration, h map[string]string) {
	if ct != "" {
		w.ct = ct
	}
	switch {
	case delay == NoDelay:
		w.delay, w.hasDelay = 0, true
	case delay != 0:
		w.delay, w.hasDelay = delay, true
	}
	if len(h) > 0 {
		all := make(map[string]string, len(w.headers)+len(h))
		maps.Copy(all, w.headers)
		maps.Copy(all, h)
		w.headers = all
	}
}

// outgoing is a batch on its way to the store, which does not keep it.
type outgoing struct{ msgs []store.Message }

// outgoings are shared by all brokers; they are plain memory. To make one for each batch
// costs more than all else that is done for it.
var outgoings = sync.Pool{New: func() any { return new(outgoing) }}

// keptOutgoing bounds what one keeps: 90 KB.
const keptOutgoing = 1000

// takeOutgoing returns one with n empty messages.
func takeOutgoing(n int) *outgoing {
	x := outgoings.Get().(*outgoing)
	x.msgs = slices.Grow(x.msgs, n)[:n]
	return x
}

func (x *outgoing) free() {
	if cap(x.msgs) > keptOutgoing {
		return
	}
	clear(x.msgs)
	x.msgs = x.msgs[:0]
	outgoings.Put(x)
}

func (l *Limits) checkCount(n, atomic int) error {
	if atomic == 0 {
		atomic = math.MaxInt
	}
	switch limit := min(l.MaxBatchMessages, atomic); {
	case n == 0:
		return fmt.Errorf("%w: at least one message is required", ErrEmptyBatch)
	case n > limit:
		return withCode(10206, fmt.Errorf("%w: %d messages, the limit is %d", ErrBatchTooLarge, n, limit))
	}
	return nil
}
