package inproq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/inproq/inproq/store"
)

// QueueInfo describes a queue. Settings are in the form of a QueueConfig: given
// to CreateQueue they make an equal queue.
type QueueInfo struct {
	ID             string // 32 hex digits; stays the same for the life of the queue
	Name           string
	CreatedAt      time.Time
	ModifiedAt     time.Time
	Settings       QueueConfig
	DeliveryPaused bool
	Consumer       *ConsumerInfo     // nil: none
	Annotations    map[string]string // of applications and tools
	Revision       uint64            // changes with every change
}

// QueueUpdate is a change of a queue's settings. What is nil stays as it is. The
// content type cannot be changed here, but by [Declare].
type QueueUpdate struct {
	DeliveryDelay          *time.Duration // 0 to Limits.MaxDelay; NoDelay is 0
	MessageRetentionPeriod *time.Duration // Limits.MinRetention to MaxRetention
	DeliveryPaused         *bool
	Annotations            map[string]*string // merged; a nil value deletes the key
	IfRevision             uint64             // otherwise ErrConflict; 0: whatever the revision
}

// CreateQueue creates a queue. Unlike [Declare] it refuses a name that is taken.
//
// Errors: [ErrInvalidQueueName], [ErrInvalidConfig], [ErrQueueExists],
// [ErrBrokerClosed], ctx's and the store's.
func (b *Broker) CreateQueue(ctx context.Context, name string, cfg QueueConfig) (QueueInfo, error) {
	if err := b.mayChange(name); err != nil {
		return QueueInfo{}, err
	}
	cfg, err := cfg.normalize(&b.limits)
	if err != nil {
		return QueueInfo{}, err
	}
	r, err := b.catalog.put(ctx, newRecord(name, cfg))
	if errors.Is(err, store.ErrConflict) {
		return QueueInfo{}, fmt.Errorf("%w: %q", ErrQueueExists, name)
	}
	if err != nil {
		return QueueInfo{}, fromStore(err, name)
	}
	return r.info(), nil
}

// UpdateQueue merges a change into a queue's settings, at once for all users of this
// broker: a shorter retention deletes what is too old now. Pause and retention, which
// the store sees to, hold at once for other brokers on the same store too; the delay
// as soon as one of them has learned of it: a broker that runs does so by itself.
//
// Errors: [ErrInvalidQueueName], [ErrQueueNotFound], [ErrInvalidConfig],
// [ErrConflict], [ErrBrokerClosed], ctx's and the store's.
func (b *Broker) UpdateQueue(ctx context.Context, name string, u QueueUpdate) (QueueInfo, error) {
	if u.DeliveryPaused != nil && *u.DeliveryPaused {
		release, err := b.hold(ctx, name)
		defer release()
		if err != nil {
			return QueueInfo{}, err
		}
	}
	r, err := b.modify(ctx, name, func(r *record) error {
		if u.IfRevision != 0 && u.IfRevision != r.Revision {
			return fmt.Errorf("%w: queue %q has revision %d, not %d", ErrConflict, name, r.Revision, u.IfRevision)
		}
		return u.apply(r, &b.limits)
	})
	if err != nil {
		return QueueInfo{}, err
	}
	return r.info(), nil
}

// apply merges the change into a record.
func (u *QueueUpdate) apply(r *record, l *Limits) error {
	var v violations
	if u.DeliveryDelay != nil {
		r.DeliveryDelay = toZero(*u.DeliveryDelay)
		within(&v, "DeliveryDelay", r.DeliveryDelay, 0, l.MaxDelay)
	}
	if u.MessageRetentionPeriod != nil {
		r.Retention = *u.MessageRetentionPeriod
		within(&v, "MessageRetentionPeriod", r.Retention, l.MinRetention, l.MaxRetention)
	}
	if u.DeliveryPaused != nil {
		r.Paused = *u.DeliveryPaused
	}
	for key, value := range u.Annotations {
		if value == nil {
			delete(r.Annotations, key)
			continue
		}
		if r.Annotations == nil {
			r.Annotations = make(map[string]string)
		}
		r.Annotations[key] = *value
	}
	return v.err(ErrInvalidConfig)
}

// DeleteQueue deletes a queue with its messages and its consumer. Handlers that
// run are not interrupted; what they settle is gone.
//
// Errors: [ErrInvalidQueueName], [ErrQueueNotFound], [ErrBrokerClosed], ctx's and
// the store's.
func (b *Broker) DeleteQueue(ctx context.Context, name string) error {
	if err := b.mayChange(name); err != nil {
		return err
	}
	if err := b.store.DeleteQueue(ctx, name); err != nil {
		return fromStore(err, name)
	}
	return fromStore(b.catalog.sync(ctx), name) // which lets the consumer go
}

// Queue describes a queue.
//
// Errors: [ErrInvalidQueueName], [ErrQueueNotFound], ctx's and the store's.
func (b *Broker) Queue(ctx context.Context, name string) (QueueInfo, error) {
	if err := checkName(name); err != nil {
		return QueueInfo{}, err
	}
	r, err := b.catalog.get(ctx, name)
	if err != nil {
		return QueueInfo{}, fromStore(err, name)
	}
	return r.info(), nil
}

// QueueByID describes the queue with an ID.
//
// Errors: [ErrQueueNotFound], ctx's and the store's.
func (b *Broker) QueueByID(ctx context.Context, id string) (QueueInfo, error) {
	for info, err := range b.Queues(ctx) {
		if err != nil || info.ID == id {
			return info, err
		}
	}
	return QueueInfo{}, fmt.Errorf("%w: id %q", ErrQueueNotFound, id)
}

// Queues describes all queues, in the order of their names. After an error,
// which comes with a zero QueueInfo, the sequence ends.
func (b *Broker) Queues(ctx context.Context) iter.Seq2[QueueInfo, error] {
	return func(yield func(QueueInfo, error) bool) {
		all, err := b.records(ctx)
		if err != nil {
			yield(QueueInfo{}, err)
			return
		}
		for _, r := range all {
			if !yield(r.info(), nil) {
				return
			}
		}
	}
}

// records returns those of all queues, in the order of their names.
func (b *Broker) records(ctx context.Context) ([]*record, error) {
	all, err := b.catalog.list(ctx)
	if err != nil {
		if errors.Is(err, store.ErrClosed) {
			err = fmt.Errorf("%w: %w", ErrBrokerClosed, err)
		}
		return nil, fmt.Errorf("inproq: list of queues: %w", err)
	}
	slices.SortFunc(all, func(a, b *record) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// PauseDelivery stops deliveries. When it has returned, no more batches go to
// handlers: at most those that have just been handed over are about to begin. Those
// that run go on, and what they settle counts. Sending goes on, and messages expire.
//
// See https://developers.cloudflare.com/queues/configuration/pause-purge/.
//
// Errors: [ErrInvalidQueueName], [ErrQueueNotFound], [ErrBrokerClosed], ctx's and
// the store's.
func (b *Broker) PauseDelivery(ctx context.Context, name string) error {
	_, err := b.UpdateQueue(ctx, name, QueueUpdate{DeliveryPaused: new(true)})
	return err
}

// ResumeDelivery ends a pause.
//
// Errors: [ErrInvalidQueueName], [ErrQueueNotFound], [ErrBrokerClosed], ctx's and
// the store's.
func (b *Broker) ResumeDelivery(ctx context.Context, name string) error {
	_, err := b.UpdateQueue(ctx, name, QueueUpdate{DeliveryPaused: new(false)})
	return err
}

// Purge deletes all messages that are ready or delayed. Those with a handler are
// not in the queue: one that is retried comes back. Messages sent during a purge
// may survive it.
//
// See https://developers.cloudflare.com/queues/configuration/pause-purge/.
//
// Errors: [ErrInvalidQueueName], [ErrQueueNotFound], [ErrBrokerClosed], ctx's and
// the store's.
func (b *Broker) Purge(ctx context.Context, name string) error {
	if err := b.mayChange(name); err != nil {
		return err
	}
	release, err := b.hold(ctx, name)
	defer release()
	if err != nil {
		return err
	}
	if !b.events.wants(bitPurged) {
		return fromStore(b.store.Purge(ctx, name), name)
	}
	before, _ := b.store.Stats(ctx, name) // only to tell how many
	if err := b.store.Purge(ctx, name); err != nil {
		return fromStore(err, name)
	}
	b.notePurged(name, before.Messages-max(before.Leased, 0))
	return nil
}

// modify changes a queue's record, as often as it takes when others change it at
// the same time. It writes nothing when change changes nothing.
func (b *Broker) modify(ctx context.Context, name string, change func(*record) error) (*record, error) {
	if err := b.mayChange(name); err != nil {
		return nil, err
	}
	for {
		old, err := b.catalog.get(ctx, name)
		if err != nil {
			return nil, fromStore(err, name)
		}
		r := old.clone()
		if err := change(r); err != nil {
			return nil, err
		}
		if r.equal(old) {
			return old, nil
		}
		r.Modified = now()
		stored, err := b.catalog.put(ctx, r)
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		return stored, fromStore(err, name)
	}
}
