package inproq

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/inproq/inproq/internal/dispatch"
)

// A Consumer is a handler attached to a queue.
type Consumer struct {
	ep     *endpoint
	cfg    ConsumerConfig // normalized; of one made by Handle only Name and MaxDuration count
	handle func(context.Context, *dispatch.Batch) error
	meant  bool         // RetryDelay was said to be none
	typ    reflect.Type // of its bodies, in one made by Handle; nil: whatever the queue's views have

	mu      sync.Mutex
	engine  *dispatch.Engine // nil: not started
	record  *record          // newest known
	stopped bool             // by Stop, or because its queue or record is gone
	left    bool             // by Stop
}

// Consume attaches a handler to the queue. It is fed while the broker runs: from
// Run on, or at once if that is under way. A queue has one consumer; processes
// that share a store are instances of the same consumer when their Name is.
//
// Like Declare, it changes only those stored settings that cfg says differently
// from the last time; the first time it sets all, also over what AttachConsumer has set.
//
// Errors: [ErrInvalidConfig], [ErrConsumerExists], [ErrBrokerClosed]; if the
// broker runs also [ErrQueueNotFound] and the store's.
func (q *Queue[T]) Consume(h Handler[T], cfg ConsumerConfig) (*Consumer, error) {
	meant := cfg.RetryDelay == NoDelay
	cfg, err := cfg.normalize(q.ep.name, &q.ep.broker.limits)
	if h == nil {
		err = errors.Join(fmt.Errorf("%w: the handler is nil", errInvalidConsumer), err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w (queue %q)", err, q.ep.name)
	}
	c := &Consumer{ep: q.ep, cfg: cfg, meant: meant, handle: untyped(q.ep.name, q.codec, h)}
	if err := q.ep.broker.attach(c); err != nil {
		return nil, err
	}
	return c, nil
}

// untyped makes of a handler what an engine calls.
func untyped[T any](queue string, c codec[T], h Handler[T]) func(context.Context, *dispatch.Batch) error {
	return func(ctx context.Context, core *dispatch.Batch) error {
		batch := newBatch(queue, &c, core)
		if len(batch.Messages) == 0 {
			return nil // none of them decodes
		}
		return h(ctx, batch)
	}
}

// attach registers a consumer, and starts it if the broker runs.
func (b *Broker) attach(c *Consumer) error {
	b.reap()
	if !b.owned && c.ep.pulled() { // as far as is known: another may have stopped that meanwhile
		ctx, cancel := context.WithTimeout(context.Background(), attachTimeout)
		_ = c.ep.refresh(ctx)
		cancel()
	}
	b.mu.Lock()
	phase := b.phase.Load()
	if phase >= draining {
		b.mu.Unlock()
		return ErrBrokerClosed
	}
	err := c.ep.setConsumer(c)
	if err == nil && c.ep.pulled() {
		c.ep.dropConsumer(c)
		err = fmt.Errorf("%w: queue %q has a pull consumer", ErrConsumerExists, c.ep.name)
	}
	b.mu.Unlock()
	if err != nil || phase == open {
		return err
	}
	err = c.start()
	if err == nil && c.isStopped() { // nobody has it yet: its queue was deleted
		err = fmt.Errorf("%w: %q was deleted meanwhile", ErrQueueNotFound, c.ep.name)
	}
	if err != nil {
		c.ep.dropConsumer(c)
	}
	return err
}

func (c *Consumer) isStopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}

// errStopped tells that a consumer was stopped before it was started.
var errStopped = errors.New("stopped")

// attachTimeout bounds the store's work for attaching and detaching a consumer.
const attachTimeout = 10 * time.Second

// start writes the consumer's record and begins to deliver. The broker runs. One
// that was stopped meanwhile does not, and is no error.
func (c *Consumer) start() error {
	b := c.ep.broker
	ctx, cancel := context.WithTimeout(b.values, attachTimeout)
	defer cancel()
	created := false
	r, err := b.modify(ctx, c.ep.name, func(r *record) error {
		created = r.Consumer == nil
		return r.declareConsumer(Worker, c.cfg.Name, c.cfg.stored())
	})
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.left {
			return nil // another may have taken its place already
		}
		return err
	}
	if err := b.ensureDeadLetterQueue(ctx, &r.Consumer.Settings); err != nil {
		if created {
			err = errors.Join(err, c.removeRecord(ctx))
		}
		return err
	}
	err = c.launch(r)
	if errors.Is(err, errStopped) {
		return c.removeRecord(ctx) // which Stop may have looked for too early
	}
	return err
}

// launch starts the engine.
func (c *Consumer) launch(r *record) error {
	b := c.ep.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.stopped:
		return errStopped
	case b.phase.Load() != running:
		return ErrBrokerClosed
	}
	if c.record == nil || c.record.Revision < r.Revision {
		c.record = r
	}
	if !c.in(c.record) {
		return fmt.Errorf("%w: the queue %q or its consumer was deleted meanwhile", ErrQueueNotFound, c.ep.name)
	}
	c.engine = dispatch.New(dispatch.Config{
		Store:       b.store,
		Queue:       c.ep.name,
		Settings:    c.settings(c.record),
		Handle:      c.handle,
		EnsureQueue: b.ensureQueue,
		Ended:       func(error) { b.retire(c) },
		Grace:       b.grace,
		Logger:      b.log,
		Counters:    &c.ep.consumption().Counters,
		Observer:    c.ep,
	})
	b.active[c] = struct{}{}
	c.engine.Start(b.values)
	return nil
}

// settings are what the engine goes by: the stored settings, and what only code
// can say.
func (c *Consumer) settings(r *record) dispatch.Settings {
	d := r.Consumer.Settings.policy(&c.ep.broker.limits)
	d.MaxDuration = c.cfg.MaxDuration
	declared := r.Consumer.Declared
	if declared != nil && declared.RetryDelay == r.Consumer.Settings.RetryDelay {
		d.Backoff = c.cfg.Backoff // else an operator has set a delay since code declared one
	}
	return d
}

// policy is what the engines go by.
func (s *consumerSettings) policy(l *Limits) dispatch.Settings {
	return dispatch.Settings{
		BatchSize:       s.MaxBatchSize,
		BatchTimeout:    s.MaxBatchTimeout,
		MaxRetries:      s.MaxRetries,
		RetryDelay:      s.RetryDelay,
		MaxDelay:        l.MaxDelay,
		MaxConcurrency:  or(s.MaxConcurrency, min(defaultConcurrency, l.MaxConcurrency)),
		DeadLetterQueue: s.DeadLetterQueue,
	}
}

// follow takes over a newer record: its settings, or that the consumer is no
// more.
func (c *Consumer) follow(r *record) {
	c.mu.Lock()
	if c.record != nil && c.record.Revision >= r.Revision {
		c.mu.Unlock()
		return
	}
	old, e := c.record, c.engine
	c.record = r
	// Another has deleted the queue and made a new one: like any that was deleted, it
	// takes its consumer with it.
	gone := r.Deleted || e != nil && (!c.in(r) || old.ID != r.ID)
	switch {
	case gone:
	case e == nil: // its record is about to be written
	case !c.in(old), old.Consumer.Settings != r.Consumer.Settings, !equal(old.Consumer.Declared, r.Consumer.Declared):
		e.Update(c.settings(r)) // which gives a batch that fills back: not for every change
	}
	c.mu.Unlock()
	if gone {
		c.ep.broker.retire(c)
	}
}

// in reports whether a record has this consumer.
func (c *Consumer) in(r *record) bool {
	return r.is(Worker, c.cfg.Name)
}

func equal[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// retire lets a consumer go whose queue or record is no more. Handlers that run
// may finish; a shutdown waits for them.
func (b *Broker) retire(c *Consumer) {
	c.ep.dropConsumer(c)
	c.mu.Lock()
	already := c.stopped
	c.stopped = true
	e := c.engine
	c.mu.Unlock()
	if e != nil {
		e.Halt()
	}
	if !already {
		b.log.Warn("consumer detached: its queue or its record is gone", "queue", c.ep.name, "consumer", c.cfg.Name)
	}
}

// reap closes the engines of consumers that were retired and have come to rest.
func (b *Broker) reap() {
	for _, c := range b.consumers() {
		if c.isStopped() && c.engine.State().Running == 0 {
			c.engine.Close()
			b.mu.Lock()
			delete(b.active, c)
			b.mu.Unlock()
		}
	}
}

// Stop detaches the handler: what runs may finish, what was leased and not seen
// goes back, and the consumer's record is removed from the queue. It waits for the
// handlers until ctx ends or Config.ShutdownTimeout has passed; then their contexts
// end with the cause [ErrShutdownTimeout], which it returns. The queue may then be
// consumed anew. A consumer that has stopped stays so; after a shutdown of the broker
// Stop does nothing. A handler must not stop its own consumer: it would wait for
// itself.
func (c *Consumer) Stop(ctx context.Context) error {
	b := c.ep.broker
	if b.phase.Load() == closed {
		return nil
	}
	c.mu.Lock()
	first := !c.stopped
	c.stopped, c.left = true, true
	started := c.engine != nil
	c.mu.Unlock()
	var err error
	if started {
		grace, cancel := context.WithTimeout(ctx, b.grace)
		defer cancel()
		err = b.endConsumers(grace, []*Consumer{c})
	}
	if first {
		// The record goes also when the handlers were late. The queue has a
		// consumer until then: another one would lose its record here.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), attachTimeout)
		defer cancel()
		err = errors.Join(err, c.removeRecord(ctx))
		c.ep.dropConsumer(c)
	}
	return err
}

// removeRecord takes the consumer out of the queue's record.
func (c *Consumer) removeRecord(ctx context.Context) error {
	_, err := c.ep.broker.modify(ctx, c.ep.name, func(r *record) error {
		// Another consumer of this name may have come, when the queue was deleted
		// and declared anew.
		if cur := c.ep.current(); c.in(r) && (cur == nil || cur == c) {
			r.Consumer = nil
		}
		return nil
	})
	if errors.Is(err, ErrQueueNotFound) || errors.Is(err, ErrBrokerClosed) {
		return nil
	}
	return err
}
