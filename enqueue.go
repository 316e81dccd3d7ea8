package inproq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/inproq/inproq/internal/dispatch"
	"github.com/inproq/inproq/store"
)

// sendPolicy is what the queue's record says about sends, as far as it is known. If the
// queue was deleted and the name taken anew, the old one's policy does not hold; a plain
// send, which does not go by the name, notices that by itself.
func (ep *endpoint) sendPolicy(ctx context.Context) *policy {
	if p := ep.currentPolicy(); p != nil && (ep.broker.local == nil || p.inlet != nil && !p.inlet.Gone()) {
		return p
	}
	// Deleted. Perhaps the name was taken anew, by another broker.
	_ = ep.refresh(ctx) // the store will say it again
	if p := ep.currentPolicy(); p != nil {
		return p
	}
	return &policy{record: new(record)}
}

// refresh takes over the queue's record as it is in the store now.
func (ep *endpoint) refresh(ctx context.Context) error {
	r, err := ep.broker.catalog.get(ctx, ep.name)
	if err == nil {
		ep.follow(r) // which the sync that has learned it may be about to do
	}
	return err
}

// admit checks a send before it goes to the store.
func (ep *endpoint) admit(ctx context.Context, n, size int, now int64) error {
	b := ep.broker
	if b.phase.Load() == closed {
		return ErrBrokerClosed
	}
	if ep.nearlyFull.Load() {
		if err := ep.checkRoom(ctx, size); err != nil {
			return err
		}
	}
	if ep.limiter != nil && !ep.limiter.allow(time.Duration(now), n) {
		return fmt.Errorf("%w: queue %q takes %d messages a second", ErrTooManyRequests, ep.name, b.limits.MessagesPerSecond)
	}
	return nil
}

// inTime reports, after a send, whether it came before a shutdown looked for the
// last time at what is ready in the broker's own store, which is about to go.
// Order: the shutdown refuses sends and then looks, a send stores and then comes
// here, so one of the two sees the other.
func (ep *endpoint) inTime() error {
	if ep.broker.owned && ep.broker.phase.Load() == closed {
		return store.ErrClosed
	}
	return nil
}

// sendLocal sends one message to a store in this process.
func (ep *endpoint) sendLocal(ctx context.Context, p *policy, id store.ID, body []byte, ct ContentType, now int64, before *Metrics) error {
	if err := ep.admit(ctx, 1, len(body), now); err != nil {
		return err
	}
	r, err := p.inlet.Send(ctx, id, body, string(ct), now)
	if err == nil {
		err = ep.inTime()
	}
	if err != nil {
		return fromStore(err, ep.name)
	}
	before.BacklogCount, before.BacklogBytes = r.Messages, r.Bytes
	if r.Oldest != 0 {
		before.OldestMessageTimestamp = time.Unix(0, r.Oldest)
	}
	ep.noteBacklog(r.Bytes)
	if ep.broker.events.wants(bitSent) {
		ep.noteSent(&store.Message{ID: id, Body: body, ContentType: string(ct)}, now)
	}
	if len(body) > dispatch.OpSize {
		ep.consumption().WriteOps.Add(dispatch.OpUnits(len(body)) - 1) // the first is one of sent
	}
	return nil
}

// enqueue sends prepared messages, within the application's transaction tx
// unless that is nil. It returns the stats from before.
func (ep *endpoint) enqueue(ctx context.Context, tx any, msgs []store.Message, now int64) (before store.Stats, err error) {
	size, units := 0, uint64(0)
	for i := range msgs {
		size += len(msgs[i].Body)
		units += dispatch.OpUnits(len(msgs[i].Body))
	}
	if err := ep.admit(ctx, len(msgs), size, now); err != nil {
		return store.Stats{}, err
	}
	if tx != nil {
		err = ep.broker.store.(store.TxEnqueuer).EnqueueTx(ctx, tx, ep.name, msgs) // checked by In
	} else {
		before, err = ep.put(ctx, msgs)
	}
	if err == nil {
		err = ep.inTime()
	}
	if err != nil {
		return store.Stats{}, fromStore(err, ep.name)
	}
	ep.sent.Add(uint64(len(msgs)))
	c := ep.consumption()
	c.sentBytes.Add(uint64(size))
	if ep.broker.events.wants(bitSent) {
		for i := range msgs {
			ep.noteSent(&msgs[i], now)
		}
	}
	ep.noteBacklog(before.Bytes)
	if extra := units - uint64(len(msgs)); extra > 0 {
		c.WriteOps.Add(extra)
	}
	return before, nil
}

// noteBacklog sees to it that sends look whether there is room, once the backlog
// may come close to its limit.
func (ep *endpoint) noteBacklog(size int64) {
	if size >= ep.broker.limits.MaxBacklogBytes/2 && !ep.nearlyFull.Load() {
		ep.nearlyFull.Store(true)
	}
}

// sentSoFar counts accepted messages.
func (ep *endpoint) sentSoFar() uint64 {
	n := ep.sent.Load()
	if p := ep.policy.Load(); p != nil && p.inlet != nil {
		n += uint64(p.inlet.Sent())
	}
	return n
}

// put enqueues, and repeats that while the store is unavailable if it knows
// messages by their IDs.
func (ep *endpoint) put(ctx context.Context, msgs []store.Message) (store.Stats, error) {
	before, err := ep.broker.store.Enqueue(ctx, ep.name, msgs)
	if err != nil && errors.Is(err, store.ErrUnavailable) && ep.broker.guarantee.Idempotent {
		return ep.insist(ctx, msgs, err)
	}
	return before, err
}

// insistFor is how long a send is repeated to a store that is unavailable; a
// leader's election takes 4 to 9 seconds.
const insistFor = 15 * time.Second

// insist repeats a send whose result is not known: the store knows the messages
// by their IDs.
func (ep *endpoint) insist(ctx context.Context, msgs []store.Message, err error) (store.Stats, error) {
	deadline := time.Now().Add(insistFor)
	wait := 50 * time.Millisecond
	for errors.Is(err, store.ErrUnavailable) && time.Now().Add(wait).Before(deadline) {
		if !sleep(ctx, wait) {
			return store.Stats{}, fmt.Errorf("%w, after: %w", ctx.Err(), err)
		}
		wait = min(2*wait, time.Second)
		var before store.Stats
		if before, err = ep.broker.store.Enqueue(ctx, ep.name, msgs); err == nil {
			return before, nil
		}
	}
	return store.Stats{}, err
}

// checkRoom compares the backlog with its limit. That is one more call of the
// store, so it is made only when an earlier send has found the backlog above half
// of the limit; sends that run at the same time may exceed it by what they send.
func (ep *endpoint) checkRoom(ctx context.Context, size int) error {
	limit := ep.broker.limits.MaxBacklogBytes
	st, err := ep.broker.store.Stats(ctx, ep.name)
	if err != nil {
		return fromStore(err, ep.name)
	}
	if st.Bytes < limit/2 && limit >= smallBacklog {
		ep.nearlyFull.Store(false)
	}
	if st.Bytes+int64(size) > limit {
		return fmt.Errorf("%w: queue %q has %d bytes, %d more exceed %d", ErrStorageLimitExceeded, ep.name, st.Bytes, size, limit)
	}
	return nil
}

// smallBacklog is a limit so small that a single send may be half of it: below,
// every send looks.
const smallBacklog = 1 << 30
