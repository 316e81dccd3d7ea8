package inproq

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/inproq/inproq/internal/dispatch"
)

// A script is a handler that is bound by its name.
type script struct {
	typ      reflect.Type // of the bodies
	verbatim bool
	fits     func(ContentType) error
	handle   func(queue string) func(context.Context, *dispatch.Batch) error
}

// Handle registers a handler under a script name: while the broker runs, it is the
// handler of every queue whose Worker consumer has that name, whoever attached it:
// [Broker.AttachConsumer], another process on the same store, or the HTTP API. It
// follows those consumers as they are attached, changed and removed. Settings are
// those of the consumer's record; MaxDuration is 15 minutes.
//
// [Queue.Consume] is for code that also says how its queue is consumed, and goes
// first where both could.
//
// Errors: [ErrInvalidConfig] for an empty name or a nil handler, [ErrConsumerExists] for
// a second handler of one name, [ErrBrokerClosed]; if the broker runs also the store's.
// That bodies of type T do not fit a queue is logged when the queue's consumer names the
// script; its messages wait.
func Handle[T any](b *Broker, name string, h Handler[T]) error {
	var v violations
	if name == "" {
		v.add("script", `""`, "any other name")
	}
	if h == nil {
		v.add("handler", "nil", "a function")
	}
	if err := v.err(errInvalidConsumer); err != nil {
		return err
	}
	c := newCodec[T]()
	return b.handle(name, &script{
		typ: c.typ, verbatim: c.verbatim(), fits: c.fits,
		handle: func(queue string) func(context.Context, *dispatch.Batch) error { return untyped(queue, c, h) },
	})
}

// handle registers a script, and binds it to the queues that name it if the broker
// runs.
func (b *Broker) handle(name string, s *script) error {
	b.mu.Lock()
	if b.phase.Load() >= draining {
		b.mu.Unlock()
		return ErrBrokerClosed
	}
	if b.scripts[name] != nil {
		b.mu.Unlock()
		return fmt.Errorf("%w: script %q has a handler in this process", ErrConsumerExists, name)
	}
	b.scripts[name] = s
	values := b.values
	b.mu.Unlock()
	if values == nil {
		return nil // Run will do it
	}
	ctx, cancel := context.WithTimeout(values, attachTimeout)
	defer cancel()
	if err := b.bindScripts(ctx); err != nil {
		b.mu.Lock()
		delete(b.scripts, name) // so that it can be tried again
		b.mu.Unlock()
		return err
	}
	return nil
}

// bindAtRun binds the handlers that were registered before.
func (b *Broker) bindAtRun() error {
	ctx, cancel := context.WithTimeout(b.values, attachTimeout) // also when Run's has ended: what is ready is delivered
	defer cancel()
	return b.bindScripts(ctx)
}

// bindScripts binds the handlers to all queues that name them.
func (b *Broker) bindScripts(ctx context.Context) error {
	b.mu.Lock()
	none := len(b.scripts) == 0
	b.mu.Unlock()
	if none {
		return nil
	}
	all, err := b.records(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		b.bindScript(r)
	}
	return nil
}

// bindScript starts the handler that a queue's consumer names, if it is registered
// here and the queue is not consumed already.
func (b *Broker) bindScript(r *record) {
	for r != nil && !b.bindOnce(r) {
		// A newer record has come meanwhile, whose turn was skipped.
		newest := b.catalog.known(r.Name)
		if newest == nil || newest.Revision <= r.Revision {
			return
		}
		r = newest
	}
}

// bindOnce does it by one record. It reports false if that was out of date.
func (b *Broker) bindOnce(r *record) bool {
	if r.Deleted || r.Consumer == nil || r.Consumer.Kind != Worker {
		return true
	}
	b.mu.Lock()
	s := b.scripts[r.Consumer.Name]
	runs := b.phase.Load() == running
	b.mu.Unlock()
	if s == nil || !runs {
		return true
	}
	ep := b.endpoint(r.Name)
	ep.follow(r)
	c := &Consumer{ep: ep, cfg: ConsumerConfig{Name: r.Consumer.Name, MaxDuration: defaultMaxDuration}, handle: s.handle(r.Name)}
	if !s.verbatim {
		c.typ = s.typ
	}
	if ep.setConsumer(c) != nil {
		return true // Consume was first, or another who learned of a record
	}
	b.reap()
	err := s.suits(ep, r)
	if err == nil {
		err = c.launch(r)
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, ErrQueueNotFound), errors.Is(err, errStopped):
		ep.dropConsumer(c)
		return false
	case !errors.Is(err, ErrBrokerClosed):
		b.log.Error("handler not bound: messages wait", "queue", r.Name, "consumer", r.Consumer.Name, "err", err)
	}
	ep.dropConsumer(c)
	return true
}

// suits checks that the handler's bodies fit the queue, and that the record is the
// newest that the endpoint knows. Order: the caller has set the consumer, so whoever
// follows a newer record meets it.
func (s *script) suits(ep *endpoint, r *record) error {
	if p := ep.policy.Load(); p != nil && p.record.Revision > r.Revision {
		return errStopped
	}
	if err := ep.agree(s.typ, s.verbatim); err != nil {
		return err
	}
	return s.fits(r.ContentType)
}
