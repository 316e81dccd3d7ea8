package inproq

import (
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/inproq/inproq/store"
)

// Config is what a [Broker] is made of. The zero value is a broker in memory.
type Config struct {
	// Store keeps the messages. Nil: a new store in memory, which the broker
	// closes when it is shut down. A store that is given is not closed.
	Store store.Store
	// Logger gets what cannot be returned. Nil: slog.Default().
	Logger *slog.Logger
	// Limits are checked when queues are configured and messages sent. A zero
	// field means the default of that field, NoLimit none.
	Limits Limits
	// Journey makes the broker remember what happened to single messages, for
	// [Broker.Journey]: the latest 10,000 of them, in about a kilobyte each, and up to 12
	// for one that is retried very often.
	Journey bool
	// ShutdownTimeout is how long a shutdown waits for handlers that run, and how
	// long a handler that has outlived its MaxDuration is waited for. Default 30
	// seconds, at least 1 nanosecond, at most 73 years.
	ShutdownTimeout time.Duration
}

// QueueConfig are the settings of a queue. They are stored with it.
type QueueConfig struct {
	// DeliveryDelay delays every message that is sent without a delay of its own.
	// Default 0, at most Limits.MaxDelay.
	DeliveryDelay time.Duration
	// MessageRetentionPeriod is how long a message is kept from the time it was
	// sent, whatever happens to it meanwhile; then it is deleted silently. Default
	// 4 days, from 60 seconds to 14 days.
	MessageRetentionPeriod time.Duration
	// ContentType is what Send uses when not told otherwise. Default JSON, for a
	// Queue[[]byte] Bytes.
	ContentType ContentType
}

// ConsumerConfig says how a handler is fed.
type ConsumerConfig struct {
	// Name identifies the consumer (Cloudflare's script name): the same name in
	// another process is another instance of it. Any text; default: the queue's
	// name.
	Name string
	// MaxBatchSize is the largest number of messages in a batch. Default 10, from
	// 1 to 100.
	MaxBatchSize int
	// MaxBatchTimeout is how long a batch waits to be full, counted from its
	// first message. Default 5 seconds, from 0 to 60; NoWait: not at all.
	MaxBatchTimeout time.Duration
	// MaxRetries is how often a message is delivered again after its first
	// delivery. Default 3, at most 100; NoRetries: never.
	MaxRetries int
	// RetryDelay is how long a retried message waits when neither the retry nor
	// Backoff says. Default 0, at most Limits.MaxDelay.
	RetryDelay time.Duration
	// Backoff computes the delay of a retry that was called without one. Nil:
	// RetryDelay.
	Backoff Backoff
	// MaxConcurrency is the largest number of handlers that run at once in this
	// process. Below it the number follows the load. Default: as the load wants,
	// up to 250.
	MaxConcurrency int
	// MaxDuration is the wall time of one invocation. Then its context ends and
	// the invocation counts as failed. Default 15 minutes, at least 1 nanosecond, at
	// most 73 years.
	MaxDuration time.Duration
	// DeadLetterQueue is where messages go whose last delivery has failed. It is
	// created if it does not exist. "": they are deleted.
	DeadLetterQueue string
}

// The defaults of Cloudflare Queues, from
// https://developers.cloudflare.com/queues/configuration/configure-queues/ and
// https://developers.cloudflare.com/queues/platform/limits/.
const (
	defaultRetention       = 4 * 24 * time.Hour
	defaultBatchSize       = 10
	defaultBatchTimeout    = 5 * time.Second
	defaultMaxRetries      = 3
	defaultConcurrency     = 250
	defaultMaxDuration     = 15 * time.Minute
	defaultPullBatch       = 5
	defaultVisibility      = 30 * time.Second
	defaultShutdownTimeout = 30 * time.Second

	maxDuration time.Duration = math.MaxInt64 / 4 // far from overflow when added to
)

// or returns v, or def for zero.
func or[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// toZero turns the named constants for "none" into zero, for the fields that
// have one.
func toZero[T int | time.Duration](v T) T {
	if v == -1 {
		return 0
	}
	return v
}

// fromZero is its inverse, for settings that are returned.
func fromZero[T int | time.Duration](v T) T {
	if v == 0 {
		return -1
	}
	return v
}

// normalize fills in the defaults and checks the bounds. In the result every
// field has the value it stands for; the content type may be open.
func (c QueueConfig) normalize(l *Limits) (QueueConfig, error) {
	var v violations
	c.DeliveryDelay = toZero(c.DeliveryDelay)
	within(&v, "DeliveryDelay", c.DeliveryDelay, 0, l.MaxDelay)
	c.MessageRetentionPeriod = or(c.MessageRetentionPeriod, min(max(defaultRetention, l.MinRetention), l.MaxRetention))
	within(&v, "MessageRetentionPeriod", c.MessageRetentionPeriod, l.MinRetention, l.MaxRetention)
	if c.ContentType != "" {
		ct, err := parseContentType(c.ContentType)
		if err != nil {
			v.add("ContentType", fmt.Sprintf("%q", c.ContentType), "json, text, bytes, gob")
		}
		c.ContentType = ct
	}
	return c, v.err(ErrInvalidConfig)
}

// normalize fills in the defaults and checks the bounds. In the result every
// field has the value it stands for, except that MaxConcurrency may be zero for
// "as the load wants".
func (c ConsumerConfig) normalize(queue string, l *Limits) (ConsumerConfig, error) {
	var v violations
	if c.Name == "" {
		c.Name = queue
	}
	s := c.stored().normalize(&v, Worker, queue, l)
	c.MaxBatchSize, c.MaxBatchTimeout, c.MaxRetries, c.RetryDelay = s.MaxBatchSize, s.MaxBatchTimeout, s.MaxRetries, s.RetryDelay
	c.MaxDuration = or(c.MaxDuration, defaultMaxDuration)
	within(&v, "MaxDuration", c.MaxDuration, 1, maxDuration)
	return c, v.err(errInvalidConsumer)
}

// stored are the settings that go into the queue's record.
func (c *ConsumerConfig) stored() consumerSettings {
	return consumerSettings{
		MaxBatchSize:    c.MaxBatchSize,
		MaxBatchTimeout: c.MaxBatchTimeout,
		MaxRetries:      c.MaxRetries,
		RetryDelay:      c.RetryDelay,
		MaxConcurrency:  c.MaxConcurrency,
		DeadLetterQueue: c.DeadLetterQueue,
	}
}

// normalize does the same for the settings of a consumer of whatever kind. Those that
// a kind does not have must be unset.
func (s consumerSettings) normalize(v *violations, kind ConsumerKind, queue string, l *Limits) consumerSettings {
	s.MaxRetries = toZero(or(s.MaxRetries, min(defaultMaxRetries, l.MaxRetries)))
	s.RetryDelay = toZero(s.RetryDelay)
	if kind == Worker {
		s.MaxBatchSize = or(s.MaxBatchSize, min(defaultBatchSize, l.MaxConsumerBatch))
		s.MaxBatchTimeout = toZero(or(s.MaxBatchTimeout, min(defaultBatchTimeout, l.MaxBatchTimeout)))
	} else {
		s.MaxBatchSize = or(s.MaxBatchSize, min(defaultPullBatch, l.MaxPullBatch))
		s.VisibilityTimeout = or(s.VisibilityTimeout, min(defaultVisibility, l.MaxVisibility))
	}
	s.check(v, kind, queue, l)
	return s
}

// check lists what is out of bounds in settings that have the values they stand
// for.
func (s *consumerSettings) check(v *violations, kind ConsumerKind, queue string, l *Limits) {
	if kind == Worker {
		within(v, "MaxBatchSize", s.MaxBatchSize, 1, l.MaxConsumerBatch)
		within(v, "MaxBatchTimeout", s.MaxBatchTimeout, 0, l.MaxBatchTimeout)
		foreign(v, "VisibilityTimeout", s.VisibilityTimeout, "a worker")
	} else {
		within(v, "MaxBatchSize", s.MaxBatchSize, 1, l.MaxPullBatch)
		within(v, "VisibilityTimeout", s.VisibilityTimeout, 1, l.MaxVisibility)
		foreign(v, "MaxBatchTimeout", s.MaxBatchTimeout, "a pull consumer")
		foreign(v, "MaxConcurrency", s.MaxConcurrency, "a pull consumer")
	}
	within(v, "MaxRetries", s.MaxRetries, 0, l.MaxRetries)
	within(v, "RetryDelay", s.RetryDelay, 0, l.MaxDelay)
	if kind == Worker {
		within(v, "MaxConcurrency", s.MaxConcurrency, 0, l.MaxConcurrency)
	}
	checkDeadLetterQueue(v, queue, s.DeadLetterQueue)
}

// foreign refuses a setting that a kind of consumer does not have.
func foreign[T int | time.Duration](v *violations, field string, value T, kind string) {
	if value != 0 {
		v.add(field, value, "nothing: "+kind+" has none")
	}
}

func checkDeadLetterQueue(v *violations, queue, dlq string) {
	switch {
	case dlq == "":
	case dlq == queue:
		v.add("DeadLetterQueue", fmt.Sprintf("%q", dlq), "any other queue than the consumed one")
	case !validName(dlq):
		v.add("DeadLetterQueue", fmt.Sprintf("%q", dlq), nameRule)
	}
}

// nameRule is what validName checks.
const nameRule = "1 to 63 letters, digits and dashes, with a letter or digit at both ends"

func validName(s string) bool {
	if len(s) < 1 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

func checkName(name string) error {
	if !validName(name) {
		return fmt.Errorf("%w: %q, allowed: %s", ErrInvalidQueueName, name, nameRule)
	}
	return nil
}
