package storetest

import (
	"context"
	"slices"
	"time"

	"github.com/inproq/inproq/store"
)

// altered is a store with what goes in and comes out changed by hooks, unless
// they are nil.
type altered struct {
	store.Store
	promised   store.Guarantee
	message    func(*store.Message)
	enqueue    func(context.Context, string, []store.Message) (store.Stats, error)
	context    func(context.Context) context.Context
	claim      func(*store.Claim)
	overwrites bool // Lease does not append to buf
	leased     func([]store.Delivery) []store.Delivery
	delivery   func(*store.Delivery)
	outcome    func(*store.Outcome)
	lost       func([]int) []int
	settle     func(context.Context, string, []store.Outcome) ([]int, error)
	stats      func(*store.Stats)
	put        func(context.Context, store.Queue) (store.Queue, error)
	record     func(*store.Queue)
	listed     func([]store.Queue) []store.Queue
	hasty      bool // Queues does not wait
}

// apply runs a hook on copies of all.
func apply[T any](hook func(*T), all []T) []T {
	if hook == nil {
		return all
	}
	all = slices.Clone(all)
	for i := range all {
		hook(&all[i])
	}
	return all
}

func (a *altered) Guarantee() store.Guarantee {
	if a.promised != (store.Guarantee{}) {
		return a.promised
	}
	return a.Store.Guarantee()
}

func (a *altered) Enqueue(ctx context.Context, queue string, msgs []store.Message) (store.Stats, error) {
	if a.enqueue != nil {
		return a.enqueue(ctx, queue, msgs)
	}
	return a.Store.Enqueue(ctx, queue, apply(a.message, msgs))
}

func (a *altered) Lease(ctx context.Context, queue string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
	if a.context != nil {
		ctx = a.context(ctx)
	}
	got, err := a.Store.Lease(ctx, queue, apply(a.claim, []store.Claim{c})[0], nil)
	if a.leased != nil {
		got = a.leased(got)
	}
	got = apply(a.delivery, got)
	if a.overwrites {
		return append(buf[:0], got...), err
	}
	return append(buf, got...), err
}

func (a *altered) Settle(ctx context.Context, queue string, outcomes []store.Outcome) ([]int, error) {
	if a.settle != nil {
		return a.settle(ctx, queue, outcomes)
	}
	lost, err := a.Store.Settle(ctx, queue, apply(a.outcome, outcomes))
	if a.lost != nil {
		lost = a.lost(lost)
	}
	return lost, err
}

func (a *altered) Stats(ctx context.Context, queue string) (store.Stats, error) {
	st, err := a.Store.Stats(ctx, queue)
	return apply(a.stats, []store.Stats{st})[0], err
}

func (a *altered) PutQueue(ctx context.Context, q store.Queue) (store.Queue, error) {
	if a.put != nil {
		return a.put(ctx, q)
	}
	return a.Store.PutQueue(ctx, apply(a.record, []store.Queue{q})[0])
}

func (a *altered) Queues(ctx context.Context, after uint64, wait time.Duration) ([]store.Queue, uint64, error) {
	if a.hasty {
		wait = 0
	}
	all, newest, err := a.Store.Queues(ctx, after, wait)
	if a.listed != nil {
		all = a.listed(all)
	}
	return all, newest, err
}
