package inproq

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/inproq/inproq/internal/leasetoken"
	"github.com/inproq/inproq/store"
)

// A record is what is known of a queue: the store's record, with its settings
// taken apart. One that comes from the catalog is shared, and never changed: who
// wants to changes a clone.
type record struct {
	store.Queue // without Settings
	settings
	malformed bool // they could not be taken apart, and are where they were
}

// settings is the part of a queue's record that the store keeps without reading
// it. Durations are in nanoseconds, and fields at their default are left out.
type settings struct {
	ID            string            `json:"id"`
	Created       time.Time         `json:"created"`
	Modified      time.Time         `json:"modified,omitzero"`
	DeliveryDelay time.Duration     `json:"delivery_delay,omitempty"`
	ContentType   ContentType       `json:"content_type,omitempty"`
	Declared      *declaredQueue    `json:"declared,omitempty"` // by code, last
	Consumer      *consumerRecord   `json:"consumer,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
	LeaseKey      []byte            `json:"lease_key,omitempty"` // authenticates lease ids; nil: never pulled
}

// declaredQueue is a QueueConfig as it is stored.
type declaredQueue struct {
	DeliveryDelay time.Duration `json:"delivery_delay,omitempty"`
	Retention     time.Duration `json:"retention,omitempty"`
	ContentType   ContentType   `json:"content_type,omitempty"`
}

// consumerRecord is a queue's consumer. Its settings have the values they stand
// for, as ConsumerSettings.normalize leaves them.
type consumerRecord struct {
	ID       string            `json:"id"`
	Kind     ConsumerKind      `json:"kind"`
	Name     string            `json:"name,omitempty"` // of a Worker
	Created  time.Time         `json:"created"`
	Settings consumerSettings  `json:"settings"`
	Declared *consumerSettings `json:"declared,omitempty"` // by code, last; nil: never
}

// consumerSettings is a ConsumerSettings as it is stored.
type consumerSettings struct {
	MaxBatchSize      int           `json:"batch_size,omitempty"`
	MaxBatchTimeout   time.Duration `json:"batch_timeout,omitempty"`
	MaxRetries        int           `json:"max_retries,omitempty"`
	RetryDelay        time.Duration `json:"retry_delay,omitempty"`
	MaxConcurrency    int           `json:"max_concurrency,omitempty"`
	VisibilityTimeout time.Duration `json:"visibility_timeout,omitempty"`
	DeadLetterQueue   string        `json:"dead_letter_queue,omitempty"`
}

// public returns the settings in the form in which they are given.
func (s consumerSettings) public(kind ConsumerKind) ConsumerSettings {
	p := ConsumerSettings(s)
	p.MaxRetries, p.RetryDelay = fromZero(p.MaxRetries), fromZero(p.RetryDelay)
	if kind == Worker {
		p.MaxBatchTimeout = fromZero(p.MaxBatchTimeout)
	}
	return p
}

// is reports whether a record has a consumer of this kind and name.
func (r *record) is(kind ConsumerKind, name string) bool {
	return !r.Deleted && r.Consumer != nil && r.Consumer.Kind == kind && r.Consumer.Name == name
}

// declare applies what code declares now to what is in force: only the fields
// that differ from what it declared last, so that a restart does not undo what
// an operator has changed meanwhile.
func declare[T comparable](inForce *T, last, now T) {
	if last != now {
		*inForce = now
	}
}

func (s *consumerSettings) declare(last, now *consumerSettings) {
	declare(&s.MaxBatchSize, last.MaxBatchSize, now.MaxBatchSize)
	declare(&s.MaxBatchTimeout, last.MaxBatchTimeout, now.MaxBatchTimeout)
	declare(&s.MaxRetries, last.MaxRetries, now.MaxRetries)
	declare(&s.RetryDelay, last.RetryDelay, now.RetryDelay)
	declare(&s.MaxConcurrency, last.MaxConcurrency, now.MaxConcurrency)
	declare(&s.VisibilityTimeout, last.VisibilityTimeout, now.VisibilityTimeout)
	declare(&s.DeadLetterQueue, last.DeadLetterQueue, now.DeadLetterQueue)
}

// declareConsumer puts a consumer that code declares into the record, or applies
// what it declares to the one that is there. Another kind or name is a conflict.
func (r *record) declareConsumer(kind ConsumerKind, name string, declared consumerSettings) error {
	old := r.Consumer
	switch {
	case old == nil:
		r.Consumer = newConsumerRecord(kind, name, declared)
	case !r.is(kind, name):
		return fmt.Errorf("%w: queue %q has %s, not %s", ErrConsumerExists, r.Name, describeConsumer(old.Kind, old.Name), describeConsumer(kind, name))
	case old.Declared == nil:
		old.Settings = declared // an operator attached it; what code says now is newer
	default:
		old.Settings.declare(old.Declared, &declared)
	}
	r.Consumer.Declared = &declared
	return nil
}

func newConsumerRecord(kind ConsumerKind, name string, s consumerSettings) *consumerRecord {
	return &consumerRecord{ID: newID(), Kind: kind, Name: name, Created: now(), Settings: s}
}

func describeConsumer(kind ConsumerKind, name string) string {
	if kind == HTTPPull {
		return "a pull consumer"
	}
	return fmt.Sprintf("the %s consumer %q", kind, name)
}

// declare does the same for a queue.
func (r *record) declare(cfg QueueConfig) {
	now, last := declaredQueue{cfg.DeliveryDelay, cfg.MessageRetentionPeriod, cfg.ContentType}, r.Declared
	if last == nil {
		last = &declaredQueue{-1, -1, "-"} // nothing: all differ
	}
	declare(&r.DeliveryDelay, last.DeliveryDelay, now.DeliveryDelay)
	declare(&r.Retention, last.Retention, now.Retention)
	declare(&r.ContentType, last.ContentType, now.ContentType)
	r.Declared = &now
}

// newRecord makes the record of a queue to be created.
func newRecord(name string, cfg QueueConfig) *record {
	return &record{
		Queue: store.Queue{Name: name, Retention: cfg.MessageRetentionPeriod},
		settings: settings{
			ID:            newID(),
			Created:       now(),
			DeliveryDelay: cfg.DeliveryDelay,
			ContentType:   cfg.ContentType,
		},
	}
}

// needLeaseKey sees to it that the record has a key for lease ids. It stays for the
// life of the queue: leases outlive consumers.
func (r *record) needLeaseKey() {
	if r.LeaseKey == nil {
		r.LeaseKey = leasetoken.NewKey()
	}
}

// newID makes the id of a queue or a consumer: 32 hex digits.
func newID() string { return MessageID(uuid.New()).String() }

// now is the time for records: without the monotonic reading, which would not
// survive being stored.
func now() time.Time { return time.Now().UTC().Round(0) }

// parseRecord takes a store's record apart. With an error it returns one that is
// malformed.
func parseRecord(q store.Queue) (*record, error) {
	r := &record{Queue: q}
	if q.Deleted {
		return r, nil // a tombstone has none
	}
	if err := json.Unmarshal(q.Settings, &r.settings); err != nil {
		return &record{Queue: q, malformed: true}, fmt.Errorf("inproq: queue %q: settings in the store are malformed: %w", q.Name, err)
	}
	r.Queue.Settings = nil
	return r, nil
}

// check returns what is wrong with a record that is malformed.
func (r *record) check() error {
	if !r.malformed {
		return nil
	}
	_, err := parseRecord(r.Queue)
	return err
}

// clone returns a copy that may be changed. What is declared is replaced as a whole,
// and so is the key.
func (r *record) clone() *record {
	c := *r
	c.Annotations = maps.Clone(r.Annotations)
	if r.Consumer != nil {
		c.Consumer = new(*r.Consumer)
	}
	return &c
}

// pack returns the record in the form of the store.
func (r *record) pack() (store.Queue, error) {
	q := r.Queue
	var err error
	q.Settings, err = json.Marshal(&r.settings)
	return q, err
}

// equal reports whether both say the same; their revisions and times of
// modification do not matter.
func (r *record) equal(other *record) bool {
	a, errA := r.pack()
	b, errB := other.pack()
	return errA == nil && errB == nil && a.Paused == b.Paused && a.Retention == b.Retention && string(a.Settings) == string(b.Settings)
}

// info is the public view.
func (r *record) info() QueueInfo {
	info := QueueInfo{
		ID: r.ID, Name: r.Name, CreatedAt: r.Created, ModifiedAt: r.Modified,
		Settings: QueueConfig{
			DeliveryDelay:          fromZero(r.DeliveryDelay),
			MessageRetentionPeriod: r.Retention,
			ContentType:            r.ContentType,
		},
		DeliveryPaused: r.Paused,
		Annotations:    maps.Clone(r.Annotations),
		Revision:       r.Revision,
	}
	if info.ModifiedAt.IsZero() {
		info.ModifiedAt = r.Created
	}
	info.Consumer = r.consumerInfo()
	return info
}

// consumerInfo is the public view of the consumer; nil: there is none.
func (r *record) consumerInfo() *ConsumerInfo {
	c := r.Consumer
	if c == nil {
		return nil
	}
	return &ConsumerInfo{
		ID: c.ID, Queue: r.Name, CreatedAt: c.Created,
		ConsumerSpec: ConsumerSpec{Kind: c.Kind, Script: c.Name, Settings: c.Settings.public(c.Kind)},
	}
}
