package inproq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/inproq/inproq/store"
)

// Warning is something about a configuration that is allowed and hardly meant.
type Warning struct {
	Rule  WarningRule
	Queue string
	Text  string // one sentence that names the setting and its value
}

// WarningRule names what Lint looks for.
type WarningRule string

// What Lint looks for.
const (
	// DeadLettersUnread: a dead-letter queue has no consumer, so its messages are
	// deleted when their retention ends.
	DeadLettersUnread WarningRule = "dead_letters_unread"
	// DeadLetterCycle: dead-letter queues lead back to where they began, so a message
	// that always fails goes round until its retention ends.
	DeadLetterCycle WarningRule = "dead_letter_cycle"
	// RetriesAtOnce: a handler's messages are retried without a delay, so a failure that
	// lasts a second uses all attempts up. ConsumerConfig.RetryDelay = NoDelay says that
	// this is meant.
	RetriesAtOnce WarningRule = "retries_at_once"
	// LeaseTooShort: an invocation was seen to take longer than its MaxDuration, or pulled
	// messages to be settled later than their VisibilityTimeout.
	LeaseTooShort WarningRule = "lease_too_short"
)

// Lint looks for settings that are hardly meant, in all queues of the store, in the
// order of their names. Run logs what it finds when it begins, each once, and tells of
// it as an EventWarning, except that a consumer with the default of three retries may
// retry at once without a word. LeaseTooShort is logged and told of when it is seen,
// once for each queue.
//
// Errors: ctx's and the store's.
func (b *Broker) Lint(ctx context.Context) ([]Warning, error) {
	all, err := b.records(ctx)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]*record, len(all))
	for _, r := range all {
		byName[r.Name] = r
	}
	var found []Warning
	for _, r := range all {
		if r.Consumer == nil {
			continue
		}
		found = append(found, lintDeadLetters(r, byName)...)
		found = append(found, b.lintRetries(r)...)
		found = append(found, b.lintLease(r)...)
	}
	return found, nil
}

// lintDeadLetters looks where a queue's dead letters end.
func lintDeadLetters(r *record, byName map[string]*record) (found []Warning) {
	dlq := r.Consumer.Settings.DeadLetterQueue
	if dlq == "" {
		return nil
	}
	next := byName[dlq]
	if next == nil || next.Consumer == nil {
		return []Warning{{DeadLettersUnread, r.Name, fmt.Sprintf("DeadLetterQueue is %q, which has no consumer: its messages are deleted when their retention ends", dlq)}}
	}
	path := []string{r.Name}
	for at := next; at != nil && at.Consumer != nil && !slices.Contains(path, at.Name); at = byName[at.Consumer.Settings.DeadLetterQueue] {
		path = append(path, at.Name)
		if at.Consumer.Settings.DeadLetterQueue == r.Name && r.Name == slices.Min(path) { // told once for each cycle
			return []Warning{{DeadLetterCycle, r.Name, fmt.Sprintf("DeadLetterQueue leads back here: %q", append(path, r.Name))}}
		}
	}
	return nil
}

func (b *Broker) lintRetries(r *record) []Warning {
	c := r.Consumer
	if c.Kind != Worker || c.Settings.MaxRetries == 0 || c.Settings.RetryDelay > 0 {
		return nil
	}
	if ep := b.known(r.Name); ep != nil {
		if here := ep.current(); here != nil && (here.meant || here.settings(r).Backoff != nil) {
			return nil
		}
	}
	return []Warning{{RetriesAtOnce, r.Name, fmt.Sprintf(
		"MaxRetries is %d and RetryDelay 0, without a Backoff: a short failure uses all attempts up at once", c.Settings.MaxRetries)}}
}

func (b *Broker) lintLease(r *record) []Warning {
	ep := b.known(r.Name)
	if ep == nil {
		return nil
	}
	if r.Consumer.Kind == HTTPPull {
		return ep.lintVisibility(r.Consumer.Settings.VisibilityTimeout)
	}
	here, counted := ep.current(), ep.consumed.Load()
	if here == nil || counted == nil {
		return nil
	}
	seen := time.Duration(counted.Longest.Load())
	if seen < here.cfg.MaxDuration {
		return nil
	}
	return []Warning{{LeaseTooShort, r.Name, fmt.Sprintf("MaxDuration is %v, and an invocation took %v", here.cfg.MaxDuration, seen.Round(time.Millisecond))}}
}

func (ep *endpoint) lintVisibility(visibility time.Duration) []Warning {
	counted := ep.consumed.Load()
	if counted == nil {
		return nil
	}
	held := time.Duration(counted.Held.Load())
	if held <= visibility {
		return nil
	}
	return []Warning{{LeaseTooShort, ep.name, fmt.Sprintf("VisibilityTimeout is %v, and messages were settled up to %v after their pull", visibility, held.Round(time.Millisecond))}}
}

// warnOverdue warns that a lease is too short, once. It is called when that has shown.
func (ep *endpoint) warnOverdue() {
	p := ep.currentPolicy()
	if p == nil || p.consumer == nil || ep.warned.Load() {
		return
	}
	r := &record{Queue: store.Queue{Name: ep.name}, settings: settings{Consumer: p.consumer}}
	for _, w := range ep.broker.lintLease(r) {
		if ep.warned.CompareAndSwap(false, true) {
			ep.broker.warnOf(w)
		}
	}
}

// lintAtRun logs what Lint finds.
func (b *Broker) lintAtRun(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, attachTimeout)
	defer cancel()
	found, err := b.Lint(ctx)
	if err != nil {
		return // whatever ails the store will show
	}
	for _, w := range found {
		if w.Rule == RetriesAtOnce && b.retriesByDefault(w.Queue) {
			continue // a warning that everybody gets is one that nobody reads
		}
		if w.Rule == LeaseTooShort && !b.endpoint(w.Queue).warned.CompareAndSwap(false, true) {
			continue // it was, when it was seen
		}
		b.warnOf(w)
	}
}

// retriesByDefault reports whether a queue's consumer has no more retries than one has
// whose code says nothing of them.
func (b *Broker) retriesByDefault(queue string) bool {
	r := b.catalog.known(queue)
	return r != nil && r.Consumer != nil && r.Consumer.Settings.MaxRetries <= defaultMaxRetries
}

// warnOf logs a warning and tells of it.
func (b *Broker) warnOf(w Warning) {
	b.log.Warn("configuration is hardly meant", "queue", w.Queue, "rule", string(w.Rule), "why", w.Text)
	if b.events.wants(bitWarning) {
		b.events.tell(&note{Event: Event{Kind: EventWarning, Time: time.Now(), Queue: w.Queue, Err: errors.New("inproq: " + w.Text)}})
	}
}
