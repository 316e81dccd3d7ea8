package wranglerconfig

import (
	"context"
	"errors"
	"fmt"

	"github.com/inproq/inproq"
)

// Apply creates the queues that a configuration names and are missing, attaches its
// consumers, and updates those that are there by what differs. Handlers that run see an
// update with their next batch. Applying a configuration again changes nothing, and
// undoes what operators have changed meanwhile, as a deploy does.
//
// Conflicts are found before anything is changed. An error on the way leaves what was
// changed until then, which the report tells; Apply may be called again. It is safe for
// concurrent use, also by several processes on one store.
//
// Errors: those of [Plan], and [inproq.ErrInvalidConfig] and
// [inproq.ErrInvalidQueueName] for what the broker does not accept,
// [inproq.ErrBrokerClosed].
func Apply(ctx context.Context, b *inproq.Broker, cfg Config) (Report, error) {
	var made []Change
	for attempt := 1; ; attempt++ {
		s, err := plan(ctx, b, cfg)
		if err != nil {
			return Report{Script: cfg.Script, Changes: made, Warnings: cfg.Warnings}, err
		}
		r := s.report()
		done, err := s.make(ctx, b)
		made = append(made, done...)
		r.Changes = made
		// Somebody else was at the same queues since the plan was made, perhaps with the
		// same file: what is left to do has to be found anew.
		if attempt < 10 && (errors.Is(err, inproq.ErrConsumerExists) || errors.Is(err, inproq.ErrConsumerNotFound) || errors.Is(err, inproq.ErrQueueNotFound)) {
			continue
		}
		return r, err
	}
}

// make takes the steps, up to the first that fails, and returns the changes made.
func (s *steps) make(ctx context.Context, b *inproq.Broker) (made []Change, err error) {
	for _, step := range s.list {
		queue := step.change.Queue
		switch step.change.Kind {
		case CreateQueue:
			_, err = b.CreateQueue(ctx, queue, inproq.QueueConfig{})
			if errors.Is(err, inproq.ErrQueueExists) {
				err = nil // by now, which is as good; but it was not us
				continue
			}
		case AttachConsumer:
			_, err = b.AttachConsumer(ctx, queue, step.spec)
		case UpdateConsumer:
			_, err = b.UpdateConsumer(ctx, queue, step.update)
		}
		if err != nil {
			return made, fmt.Errorf("wranglerconfig: %s: %w", step.change, err)
		}
		made = append(made, step.change)
	}
	return made, nil
}
