package inproq

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"
)

// batchesSettle is how long Batches tries to settle, whatever has been cancelled.
const batchesSettle = 5 * time.Second

// Batches waits for messages, through a pause too, and yields batches with at least one
// until ctx ends, Stop is called or the broker shuts down. After each turn, and when the
// loop is left, it settles what was decided; what was not stays leased. When the loop is
// left by a panic it settles nothing.
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
// out of reach or a settlement that failed, the loop may go on, with a pause that grows;
// after [ErrQueueNotFound], [ErrNotPullConsumer] and [ErrBrokerClosed] it ends. A shutdown
// of the broker waits for the turns that are under way, as it does for handlers: a turn
// must not call Shutdown.
func (p *PullConsumer[T]) Batches(ctx context.Context) iter.Seq2[*PulledBatch[T], error] {
	return func(yield func(*PulledBatch[T], error) bool) {
		wait := firstPullWait
		for !p.over(ctx) {
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
				continue // settings have changed: pull by the new ones; or it is over
			}
			if !yield(nil, err) || final(err) {
				return
			}
			if !p.sleep(ctx, wait) {
				return
			}
			wait = min(2*wait, lastPullWait)
		}
	}
}

// over reports whether loops end now.
func (p *PullConsumer[T]) over(ctx context.Context) bool {
	return ctx.Err() != nil || p.life.Err() != nil || p.ep.broker.pulling.Err() != nil
}

const (
	firstPullWait = 50 * time.Millisecond
	lastPullWait  = 5 * time.Second
)

// final reports whether there will be no messages any more.
func final(err error) bool {
	return errors.Is(err, ErrQueueNotFound) || errors.Is(err, ErrNotPullConsumer) || errors.Is(err, ErrBrokerClosed)
}

// sleep waits, and reports false when it was cut short.
func (p *PullConsumer[T]) sleep(ctx context.Context, d time.Duration) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	defer context.AfterFunc(p.ep.broker.pulling, cancel)()
	return sleep(ctx, d)
}

// next waits for a batch. It returns nil when it was interrupted. With a batch, a turn has
// begun.
func (p *PullConsumer[T]) next(ctx context.Context) (*PulledBatch[T], error) {
	b, stays := p.ep.broker, p.ep.consumerStays()
	wctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	defer context.AfterFunc(b.pulling, cancel)()
	defer context.AfterFunc(stays, cancel)()
	if !b.owned && b.phase.Load() == open { // nobody else follows what others change
		watch.Go(func() { b.watch(wctx) })
	}
	batch, err := p.lease(wctx, -1)
	switch {
	case err != nil && (wctx.Err() != nil || p.over(ctx)):
		// Interrupted; the caller looks why. A shutdown may close the store before the
		// context hears of it.
		return nil, nil
	case err != nil:
		return nil, err
	case p.over(ctx) || !b.beginTurn():
		batch.core.Release(context.WithoutCancel(ctx))
		return nil, nil
	}
	if batch.begin(ctx, &p.codec); len(batch.Messages) == 0 {
		b.endTurn()
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
		p.ep.broker.log.Warn("leases lost: the messages are delivered again, or were settled by a call whose answer was lost", "queue", p.ep.name, "messages", len(res.Warnings))
	}
	if err != nil && !more {
		p.ep.broker.log.Error("batch not settled: its messages will be delivered again", "queue", p.ep.name, "err", err)
	}
	return more, err
}
