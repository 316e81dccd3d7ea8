package inproq

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/inproq/inproq/internal/testhook"
	"github.com/inproq/inproq/store"
)

func (q *Queue[T]) owner() *Broker { return q.ep.broker }

// decode decodes a message into what body, a *T, points to.
func (q *Queue[T]) decode(m *store.Message, body any) error {
	return q.codec.decode(m.Body, m.ContentType, body.(*T))
}

// handled returns the names of the queues that have a handler here, in order: those
// consumed, and those whose consumer names a script that is registered, which Run may
// still have to bind.
func (b *Broker) handled(ctx context.Context) ([]string, error) {
	names := make(map[string]bool)
	b.mu.Lock()
	for name, ep := range b.endpoints {
		if ep.current() != nil {
			names[name] = true
		}
	}
	scripts := maps.Clone(b.scripts)
	b.mu.Unlock()
	if len(scripts) > 0 {
		all, err := b.records(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			if c := r.Consumer; c != nil && c.Kind == Worker && scripts[c.Name] != nil {
				names[r.Name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// idle waits until no handler runs.
func (b *Broker) idle(ctx context.Context) error {
	var errs []error
	for _, c := range b.consumers() {
		errs = append(errs, c.engine.Idle(ctx))
	}
	return errors.Join(errs...)
}

func init() {
	type anyQueue interface {
		owner() *Broker
		decode(m *store.Message, body any) error
	}
	testhook.Broker = func(queue any) any { return queue.(anyQueue).owner() }
	testhook.Decode = func(queue any, m *store.Message, body any) error { return queue.(anyQueue).decode(m, body) }
	testhook.Handled = func(ctx context.Context, broker any) ([]string, error) { return broker.(*Broker).handled(ctx) }
	testhook.Idle = func(ctx context.Context, broker any) error { return broker.(*Broker).idle(ctx) }
}
