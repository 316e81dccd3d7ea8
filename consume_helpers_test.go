package inproq_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

var errConsume = errors.New("out of ink")

// A consumeDelivery is one message as a handler got it.
type consumeDelivery struct {
	At    time.Duration // since the test began
	Batch int           // which invocation, 1 for the first
	*inproq.Message[string]
}

// A consumeJournal keeps what handlers get.
type consumeJournal struct {
	mu      sync.Mutex
	began   time.Time
	seen    []consumeDelivery
	batches []inproq.MessageBatch[string] // without their cores
}

// wrap returns h with a record of what it gets. Nil is a handler that returns nil.
func (j *consumeJournal) wrap(h inproq.Handler[string]) inproq.Handler[string] {
	return func(ctx context.Context, b *inproq.MessageBatch[string]) error {
		j.mu.Lock()
		j.batches = append(j.batches, inproq.MessageBatch[string]{Queue: b.Queue, Messages: b.Messages, Metrics: b.Metrics})
		for _, m := range b.Messages {
			j.seen = append(j.seen, consumeDelivery{time.Since(j.began), len(j.batches), m})
		}
		j.mu.Unlock()
		if h == nil {
			return nil
		}
		return h(ctx, b)
	}
}

// all returns what was delivered so far.
func (j *consumeJournal) all() []consumeDelivery {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.seen)
}

// of returns the deliveries of one message.
func (j *consumeJournal) of(body string) []consumeDelivery {
	return slices.DeleteFunc(j.all(), func(d consumeDelivery) bool { return d.Body != body })
}

// times returns when one message was delivered.
func (j *consumeJournal) times(body string) []time.Duration {
	at := []time.Duration{}
	for _, d := range j.of(body) {
		at = append(at, d.At)
	}
	return at
}

// A consumeBatch is the short form of a batch.
type consumeBatch struct {
	At     time.Duration
	Bodies string // joined by spaces
}

func (j *consumeJournal) groups() []consumeBatch {
	var groups []consumeBatch
	for i, d := range j.all() {
		if i > 0 && d.Batch == len(groups) {
			groups[d.Batch-1].Bodies += " " + d.Body
			continue
		}
		groups = append(groups, consumeBatch{d.At, d.Body})
	}
	return groups
}

// A consumeRig is a broker with a queue "jobs" and a handler for it.
type consumeRig struct {
	consumeJournal
	t      *testing.T
	log    consumeLog
	broker *inproq.Broker
	queue  *inproq.Queue[string]
}

// newConsumeRig wires a broker that does not run yet.
func newConsumeRig(t *testing.T, cfg inproq.ConsumerConfig, h inproq.Handler[string]) *consumeRig {
	t.Helper()
	r := &consumeRig{t: t}
	r.began = time.Now()
	var err error
	r.broker, err = inproq.NewBroker(inproq.Config{Logger: slog.New(consumeLogHandler{log: &r.log})})
	require.NoError(t, err)
	r.queue, err = inproq.Declare[string](t.Context(), r.broker, "jobs", inproq.QueueConfig{})
	require.NoError(t, err)
	_, err = r.queue.Consume(r.wrap(h), cfg)
	require.NoError(t, err)
	return r
}

// consumeRun wires a broker, sends the bodies as one batch, and runs it until the
// test ends.
func consumeRun(t *testing.T, cfg inproq.ConsumerConfig, h inproq.Handler[string], bodies ...string) *consumeRig {
	t.Helper()
	r := newConsumeRig(t, cfg, h)
	if len(bodies) > 0 {
		r.send(bodies...)
	}
	queuetest.Start(t, r.broker)
	synctest.Wait()
	return r
}

func (r *consumeRig) send(bodies ...string) []inproq.MessageID {
	r.t.Helper()
	res, err := r.queue.SendBatch(r.t.Context(), inproq.Bodies(bodies...))
	require.NoError(r.t, err)
	return res.IDs
}

// attach consumes another queue, which it declares, with a journal of its own.
func (r *consumeRig) attach(name string, settings inproq.QueueConfig, cfg inproq.ConsumerConfig, h inproq.Handler[string]) *consumeJournal {
	r.t.Helper()
	q, err := inproq.Declare[string](r.t.Context(), r.broker, name, settings)
	require.NoError(r.t, err)
	j := &consumeJournal{began: r.began}
	_, err = q.Consume(j.wrap(h), cfg)
	require.NoError(r.t, err)
	return j
}

func (r *consumeRig) stats() inproq.Stats { return r.broker.Stats("jobs") }

// backlog is how many messages a queue holds.
func (r *consumeRig) backlog(queue string) int64 {
	r.t.Helper()
	m, err := r.broker.Metrics(r.t.Context(), queue)
	require.NoError(r.t, err)
	return m.BacklogCount
}

// consumePass lets time pass until everybody waits again.
func consumePass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// consumeScript makes a handler with a function for each invocation. When they
// are used up it returns nil.
func consumeScript(steps ...inproq.Handler[string]) inproq.Handler[string] {
	var mu sync.Mutex
	return func(ctx context.Context, b *inproq.MessageBatch[string]) error {
		mu.Lock()
		if len(steps) == 0 {
			mu.Unlock()
			return nil
		}
		step := steps[0]
		steps = steps[1:]
		mu.Unlock()
		return step(ctx, b)
	}
}

// consumeFail is a handler that returns an error.
func consumeFail(context.Context, *inproq.MessageBatch[string]) error { return errConsume }

// A consumeLine is a line in the log.
type consumeLine struct {
	Level   slog.Level
	Message string
	Attrs   map[string]any
}

// A consumeLog keeps what is logged, at any level.
type consumeLog struct {
	mu    sync.Mutex
	lines []consumeLine
}

// find returns the lines with a text in their message.
func (l *consumeLog) find(text string) []consumeLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []consumeLine
	for _, line := range l.lines {
		if strings.Contains(line.Message, text) {
			found = append(found, line)
		}
	}
	return found
}

type consumeLogHandler struct {
	log   *consumeLog
	attrs []slog.Attr
}

func (h consumeLogHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h consumeLogHandler) WithGroup(string) slog.Handler            { return h }

func (h consumeLogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = slices.Concat(h.attrs, attrs)
	return h
}

func (h consumeLogHandler) Handle(_ context.Context, r slog.Record) error {
	attrs := maps.Collect(func(yield func(string, any) bool) {
		for _, a := range h.attrs {
			yield(a.Key, a.Value.Any())
		}
	})
	r.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value.Any()
		return true
	})
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	h.log.lines = append(h.log.lines, consumeLine{r.Level, r.Message, attrs})
	return nil
}
