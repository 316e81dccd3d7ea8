package wranglerconfig

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/inproq/inproq"
)

// Plan tells what [Apply] would change now, and changes nothing.
//
// Errors: [inproq.ErrInvalidConfig] for consumers without a script or two of one queue,
// [inproq.ErrConsumerExists] for every queue that another script or a pull consumer has,
// ctx's and the store's.
func Plan(ctx context.Context, b *inproq.Broker, cfg Config) (Report, error) {
	p, err := plan(ctx, b, cfg)
	if err != nil {
		return Report{}, err
	}
	return p.report(), nil
}

// A step is a change with what it takes to make it.
type step struct {
	change Change
	spec   inproq.ConsumerSpec
	update inproq.ConsumerUpdate
}

// steps are a report that is still to come true.
type steps struct {
	list     []step
	unlisted []string
	cfg      *Config
	limits   inproq.Limits // the broker's
}

func (s *steps) report() Report {
	r := Report{Script: s.cfg.Script, Unlisted: s.unlisted, Warnings: s.cfg.Warnings}
	for _, step := range s.list {
		r.Changes = append(r.Changes, step.change)
	}
	return r
}

func plan(ctx context.Context, b *inproq.Broker, cfg Config) (*steps, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	all := map[string]inproq.QueueInfo{}
	s := &steps{cfg: &cfg, limits: b.Limits()}
	for info, err := range b.Queues(ctx) {
		if err != nil {
			return nil, fmt.Errorf("wranglerconfig: %w", err)
		}
		all[info.Name] = info
		if c := info.Consumer; c != nil && c.Kind == inproq.Worker && c.Script == cfg.Script && !cfg.consumes(info.Name) {
			s.unlisted = append(s.unlisted, info.Name)
		}
	}
	for _, name := range cfg.queues() {
		if _, there := all[name]; !there {
			s.list = append(s.list, step{change: Change{Kind: CreateQueue, Queue: name}})
		}
	}
	var conflicts []error
	for _, c := range cfg.Consumers {
		if err := s.consumer(c, all[c.Queue].Consumer); err != nil {
			conflicts = append(conflicts, err)
		}
	}
	return s, errors.Join(conflicts...)
}

// consumer adds the step that a consumer takes, if any. There is what its queue has.
func (s *steps) consumer(c Consumer, there *inproq.ConsumerInfo) error {
	want := withDefaults(c.Settings, &s.limits)
	if there == nil {
		s.list = append(s.list, step{
			change: Change{Kind: AttachConsumer, Queue: c.Queue},
			spec:   inproq.ConsumerSpec{Kind: inproq.Worker, Script: s.cfg.Script, Settings: want},
		})
		return nil
	}
	if there.Kind != inproq.Worker {
		return fmt.Errorf("wranglerconfig: %w: queue %q has a pull consumer", inproq.ErrConsumerExists, c.Queue)
	}
	if there.Script != s.cfg.Script {
		return fmt.Errorf("wranglerconfig: %w: queue %q has that of script %q", inproq.ErrConsumerExists, c.Queue, there.Script)
	}
	if update, fields := differences(there.Settings, want); len(fields) > 0 {
		s.list = append(s.list, step{change: Change{Kind: UpdateConsumer, Queue: c.Queue, Fields: fields}, update: update})
	}
	return nil
}

// differences is the update that makes want of have. Both are complete.
func differences(have, want inproq.ConsumerSettings) (u inproq.ConsumerUpdate, fields []FieldChange) {
	note := func(key, from, to string) { fields = append(fields, FieldChange{Key: key, From: from, To: to}) }
	if have.MaxBatchSize != want.MaxBatchSize {
		u.MaxBatchSize = &want.MaxBatchSize
		note("max_batch_size", whole(have.MaxBatchSize), whole(want.MaxBatchSize))
	}
	if have.MaxBatchTimeout != want.MaxBatchTimeout {
		u.MaxBatchTimeout = &want.MaxBatchTimeout
		note("max_batch_timeout", inSeconds(have.MaxBatchTimeout), inSeconds(want.MaxBatchTimeout))
	}
	if have.MaxRetries != want.MaxRetries {
		u.MaxRetries = &want.MaxRetries
		note("max_retries", whole(have.MaxRetries), whole(want.MaxRetries))
	}
	if have.RetryDelay != want.RetryDelay {
		u.RetryDelay = &want.RetryDelay
		note("retry_delay", inSeconds(have.RetryDelay), inSeconds(want.RetryDelay))
	}
	if have.MaxConcurrency != want.MaxConcurrency {
		u.MaxConcurrency = &want.MaxConcurrency
		note("max_concurrency", concurrency(have.MaxConcurrency), concurrency(want.MaxConcurrency))
	}
	if have.DeadLetterQueue != want.DeadLetterQueue {
		u.DeadLetterQueue = &want.DeadLetterQueue
		note("dead_letter_queue", strconv.Quote(have.DeadLetterQueue), strconv.Quote(want.DeadLetterQueue))
	}
	return u, fields
}

func whole(n int) string               { return strconv.Itoa(max(n, 0)) }
func inSeconds(d time.Duration) string { return strconv.FormatFloat(max(d, 0).Seconds(), 'f', -1, 64) }
func concurrency(n int) string {
	if n == 0 {
		return "null"
	}
	return whole(n)
}

// check sees to what Environment makes sure of, for configurations that were made by
// hand. Settings and names are checked by the broker.
func (c *Config) check() error {
	seen := map[string]bool{}
	for _, consumer := range c.Consumers {
		if c.Script == "" {
			return fmt.Errorf("wranglerconfig: %w: Script is \"\", allowed: any other name", inproq.ErrInvalidConfig)
		}
		if seen[consumer.Queue] {
			return fmt.Errorf("wranglerconfig: %w: two consumers of queue %q", inproq.ErrInvalidConfig, consumer.Queue)
		}
		seen[consumer.Queue] = true
	}
	return nil
}

func (c *Config) consumes(queue string) bool {
	return slices.ContainsFunc(c.Consumers, func(consumer Consumer) bool { return consumer.Queue == queue })
}

// queues are all that the configuration names, each once.
func (c *Config) queues() []string {
	var names []string
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, p := range c.Producers {
		add(p.Queue)
	}
	for _, consumer := range c.Consumers {
		add(consumer.Queue)
	}
	for _, consumer := range c.Consumers {
		add(consumer.Settings.DeadLetterQueue)
	}
	return names
}
