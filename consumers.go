package inproq

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// ConsumerKind is how a consumer gets its messages.
type ConsumerKind string

// The kinds of consumers.
const (
	Worker   ConsumerKind = "worker"    // pushed to a handler
	HTTPPull ConsumerKind = "http_pull" // pulled
)

// ConsumerSettings are the stored settings of a consumer, in the form of a
// ConsumerConfig or PullConfig: zero is the default, and where zero is legal it is
// written as NoWait, NoRetries or NoDelay. A setting that a kind does not have must
// be zero.
type ConsumerSettings struct {
	MaxBatchSize      int           // of a Worker 10, of an HTTPPull consumer 5
	MaxBatchTimeout   time.Duration // of a Worker; 5 seconds
	MaxRetries        int           // 3
	RetryDelay        time.Duration // 0
	MaxConcurrency    int           // of a Worker; zero: as the load wants
	VisibilityTimeout time.Duration // of an HTTPPull consumer; 30 seconds
	DeadLetterQueue   string        // "": none
}

// ConsumerSpec is what a consumer is made of.
type ConsumerSpec struct {
	Kind     ConsumerKind
	Script   string // the name of a Worker, as in ConsumerConfig; "": the queue's name
	Settings ConsumerSettings
}

// ConsumerInfo describes a queue's consumer.
type ConsumerInfo struct {
	ID    string // 32 hex digits
	Queue string
	ConsumerSpec
	CreatedAt time.Time
}

// ConsumerUpdate is a change of a consumer's settings. What is nil stays as it is;
// values are as in ConsumerSettings, except that zero is zero: MaxRetries 0 is
// NoRetries, and DeadLetterQueue "" is none.
type ConsumerUpdate struct {
	MaxBatchSize      *int
	MaxBatchTimeout   *time.Duration
	MaxRetries        *int
	RetryDelay        *time.Duration
	MaxConcurrency    *int
	VisibilityTimeout *time.Duration
	DeadLetterQueue   *string
}

// errInvalidConsumer is an ErrInvalidConfig with the number that Cloudflare has
// for consumers.
var errInvalidConsumer = withCode(100127, ErrInvalidConfig)

// AttachConsumer gives a queue its consumer: one that pulls, or a Worker, which is
// whichever handler has its name. That may be registered here with [Handle], or in
// another process on the same store; until then the messages wait. The dead-letter
// queue is created if it does not exist.
//
// Errors: [ErrInvalidQueueName], [ErrQueueNotFound], [ErrInvalidConfig],
// [ErrConsumerExists] if the queue has a consumer, whichever, [ErrBrokerClosed],
// ctx's and the store's.
func (b *Broker) AttachConsumer(ctx context.Context, queue string, spec ConsumerSpec) (ConsumerInfo, error) {
	if err := b.mayChange(queue); err != nil {
		return ConsumerInfo{}, err
	}
	var v violations
	switch {
	case spec.Kind == HTTPPull && spec.Script != "":
		v.add("Script", fmt.Sprintf("%q", spec.Script), "nothing: a pull consumer has none")
	case spec.Kind == Worker && spec.Script == "":
		spec.Script = queue
	case spec.Kind != Worker && spec.Kind != HTTPPull:
		v.add("Kind", fmt.Sprintf("%q", spec.Kind), `"worker", "http_pull"`)
		return ConsumerInfo{}, v.err(errInvalidConsumer)
	}
	settings := consumerSettings(spec.Settings).normalize(&v, spec.Kind, queue, &b.limits)
	if err := v.err(errInvalidConsumer); err != nil {
		return ConsumerInfo{}, fmt.Errorf("%w (queue %q)", err, queue)
	}
	r, err := b.lookUp(ctx, queue)
	if err == nil {
		err = r.unconsumed() // before its dead-letter queue comes to be
	}
	if err == nil {
		err = b.ensureDeadLetterQueue(ctx, &settings)
	}
	if err != nil {
		return ConsumerInfo{}, err
	}
	r, err = b.modify(ctx, queue, func(r *record) error {
		if err := r.unconsumed(); err != nil {
			return err
		}
		r.Consumer = newConsumerRecord(spec.Kind, spec.Script, settings)
		if spec.Kind == HTTPPull {
			r.needLeaseKey()
		}
		return nil
	})
	if err != nil {
		return ConsumerInfo{}, err
	}
	return *r.consumerInfo(), nil
}

// unconsumed checks that a queue has no consumer.
func (r *record) unconsumed() error {
	if c := r.Consumer; c != nil {
		return fmt.Errorf("%w: queue %q has %s", ErrConsumerExists, r.Name, describeConsumer(c.Kind, c.Name))
	}
	return nil
}

// UpdateConsumer merges a change into the settings of a queue's consumer. It takes
// effect on the next batch, in other processes as soon as they learn of it. An
// operator's RetryDelay also overrides the Backoff that code has declared.
//
// Errors: [ErrInvalidQueueName], [ErrQueueNotFound], [ErrConsumerNotFound],
// [ErrInvalidConfig], [ErrBrokerClosed], ctx's and the store's.
func (b *Broker) UpdateConsumer(ctx context.Context, queue string, u ConsumerUpdate) (ConsumerInfo, error) {
	if u.DeadLetterQueue != nil {
		// First a look whether all is well: it should not come to be otherwise.
		r, err := b.lookUp(ctx, queue)
		if err != nil {
			return ConsumerInfo{}, err
		}
		r = r.clone()
		if err := u.apply(r, &b.limits); err != nil {
			return ConsumerInfo{}, err
		}
		if err := b.ensureDeadLetterQueue(ctx, &r.Consumer.Settings); err != nil {
			return ConsumerInfo{}, err
		}
	}
	r, err := b.modify(ctx, queue, func(r *record) error { return u.apply(r, &b.limits) })
	if err != nil {
		return ConsumerInfo{}, err
	}
	return *r.consumerInfo(), nil
}

// apply merges the change into a record.
func (u *ConsumerUpdate) apply(r *record, l *Limits) error {
	c := r.Consumer
	if c == nil {
		return fmt.Errorf("%w: queue %q has none", ErrConsumerNotFound, r.Name)
	}
	s := &c.Settings
	var already, v violations // what is out of bounds since limits were lowered is not this change's fault
	s.check(&already, c.Kind, r.Name, l)
	set(&s.MaxBatchSize, u.MaxBatchSize)
	setZero(&s.MaxBatchTimeout, u.MaxBatchTimeout)
	setZero(&s.MaxRetries, u.MaxRetries)
	setZero(&s.RetryDelay, u.RetryDelay)
	set(&s.MaxConcurrency, u.MaxConcurrency)
	set(&s.VisibilityTimeout, u.VisibilityTimeout)
	set(&s.DeadLetterQueue, u.DeadLetterQueue)
	s.check(&v, c.Kind, r.Name, l)
	v = slices.DeleteFunc(v, func(text string) bool { return slices.Contains(already, text) })
	if err := v.err(errInvalidConsumer); err != nil {
		return fmt.Errorf("%w (queue %q)", err, r.Name)
	}
	return nil
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// setZero is set for fields that have a named constant for zero.
func setZero[T int | time.Duration](field, value *T) {
	if value != nil {
		*field = toZero(*value)
	}
}

// RemoveConsumer takes the consumer from a queue. Handlers that run finish, and what
// was pulled can still be settled; the other messages wait for the next consumer.
//
// Errors: [ErrInvalidQueueName], [ErrQueueNotFound], [ErrConsumerNotFound],
// [ErrBrokerClosed], ctx's and the store's.
func (b *Broker) RemoveConsumer(ctx context.Context, queue string) error {
	_, err := b.modify(ctx, queue, func(r *record) error {
		if r.Consumer == nil {
			return fmt.Errorf("%w: queue %q has none", ErrConsumerNotFound, queue)
		}
		r.Consumer = nil
		return nil
	})
	return err
}

// ensureDeadLetterQueue creates the one that settings name.
func (b *Broker) ensureDeadLetterQueue(ctx context.Context, s *consumerSettings) error {
	if s.DeadLetterQueue == "" {
		return nil
	}
	return b.ensureQueue(ctx, s.DeadLetterQueue)
}

// lookUp returns a queue's record as it is now.
func (b *Broker) lookUp(ctx context.Context, name string) (*record, error) {
	if err := b.mayChange(name); err != nil {
		return nil, err
	}
	r, err := b.catalog.get(ctx, name)
	return r, fromStore(err, name)
}
