package inproq

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// cancelledFor is how long handlers whose contexts were ended are waited for,
// before their batches are settled without them.
const cancelledFor = 5 * time.Second

// shutDown ends the broker. The order matters: first the handlers, which may
// still send; then the sends; then the store.
func (b *Broker) shutDown() error {
	b.phase.Store(draining)
	grace, cancel := context.WithTimeout(b.late, b.grace)
	defer cancel()
	b.endPulls()
	if b.owned {
		b.drain(grace)
	}
	b.err = b.endAll(grace)
	b.phase.Store(closed)
	if b.owned {
		b.reportDiscarded()
		b.err = errors.Join(b.err, b.store.Close())
	}
	if b.forget != nil {
		b.forget()
	}
	b.events.close()
	b.hurry() // release the context
	close(b.done)
	return b.err
}

// beginTurn lets a loop over pulled batches have its turn, unless a shutdown has
// begun.
func (b *Broker) beginTurn() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.phase.Load() >= draining {
		return false
	}
	b.turns++
	return true
}

func (b *Broker) endTurn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.turns--; b.turns == 0 && b.turnsOver != nil {
		close(b.turnsOver)
		b.turnsOver = nil
	}
}

// awaitTurns waits for the turns that are under way, while grace lasts.
func (b *Broker) awaitTurns(grace context.Context) {
	b.mu.Lock()
	n := b.turns
	if n > 0 && b.turnsOver == nil {
		b.turnsOver = make(chan struct{})
	}
	over := b.turnsOver
	b.mu.Unlock()
	if n == 0 {
		return
	}
	select {
	case <-over:
	case <-grace.Done():
	}
}

// endAll lets handlers and turns finish, side by side.
func (b *Broker) endAll(grace context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { b.awaitTurns(grace) })
	err := b.endConsumers(grace, b.consumers())
	wg.Wait()
	b.mu.Lock()
	n := b.turns
	b.mu.Unlock()
	if n > 0 {
		b.log.Error("loops over pulled batches are still in a turn", "turns", n)
		err = ErrShutdownTimeout
	}
	return err
}

// drain delivers all that is ready in the broker's own store. Handlers of one
// queue may send to another, so it goes on until a round over all queues has
// delivered nothing.
//
// Turns of loops over pulled batches come first: they may send too, and wait for what
// handlers do. Meanwhile batches leave at once, but the engines wait for more.
func (b *Broker) drain(grace context.Context) {
	for _, c := range b.consumers() {
		c.engine.Hurry()
	}
	b.awaitTurns(grace)
	for {
		var delivered atomic.Uint64
		var wg sync.WaitGroup
		for _, c := range b.consumers() {
			wg.Go(func() {
				n, _ := c.engine.Drain(grace) // the grace is asked below
				delivered.Add(n)
			})
		}
		wg.Wait()
		if grace.Err() != nil {
			return
		}
		if delivered.Load() > 0 {
			continue
		}
		// No handler runs. Refuse sends, and look whether one came in between: it
		// was accepted, so it is delivered.
		b.phase.Store(closed)
		if !b.waits(grace) {
			return
		}
		b.phase.Store(draining)
	}
}

// waits reports whether a queue has ready messages that its consumer here would
// get.
func (b *Broker) waits(ctx context.Context) bool {
	for _, c := range b.consumers() {
		st, err := b.store.Stats(ctx, c.ep.name)
		if err != nil || st.Messages <= st.Delayed+st.Leased || c.isStopped() {
			continue
		}
		if r, err := b.catalog.get(ctx, c.ep.name); err == nil && !r.Paused {
			return true
		}
	}
	return false
}

// consumers returns those whose engines have been started and not closed.
func (b *Broker) consumers() []*Consumer {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]*Consumer, 0, len(b.active))
	for c := range b.active {
		all = append(all, c)
	}
	return all
}

// endConsumers stops engines: what runs may finish while grace lasts, then its
// contexts end, and after that it is settled as failed.
func (b *Broker) endConsumers(grace context.Context, all []*Consumer) error {
	inTime := stopAll(grace, all)
	if !inTime {
		for _, c := range all {
			c.engine.Cancel(ErrShutdownTimeout)
		}
		last, cancel := context.WithTimeout(context.WithoutCancel(grace), min(b.grace, cancelledFor))
		defer cancel()
		stopAll(last, all)
	}
	for _, c := range all {
		if n := c.engine.Close(); n > 0 {
			b.log.Error("handlers have not returned; their batches were settled without them", "queue", c.ep.name, "handlers", n)
		}
	}
	b.mu.Lock()
	for _, c := range all {
		delete(b.active, c)
	}
	b.mu.Unlock()
	if !inTime {
		return ErrShutdownTimeout
	}
	return nil
}

// stopAll stops engines at the same time, and reports whether all handlers have
// returned before ctx ended.
func stopAll(ctx context.Context, all []*Consumer) bool {
	var late atomic.Bool
	var wg sync.WaitGroup
	for _, c := range all {
		wg.Go(func() {
			if c.engine.Stop(ctx) != nil {
				late.Store(true)
			}
		})
	}
	wg.Wait()
	return !late.Load()
}

// reportDiscarded says which messages end with the broker's own store.
func (b *Broker) reportDiscarded() {
	ctx := context.Background()
	all, err := b.catalog.list(ctx)
	if err != nil {
		return // cannot be: the store is in memory
	}
	for _, r := range all {
		if st, err := b.store.Stats(ctx, r.Name); err == nil && st.Messages > 0 {
			b.log.Warn("messages discarded with the store in memory", "queue", r.Name, "messages", st.Messages, "delayed", st.Delayed)
		}
	}
}
