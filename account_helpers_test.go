package inproq_test

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/memory"
)

// accountBroker makes a broker that is shut down when the test ends at the
// latest, and logs nothing unless told.
func accountBroker(t *testing.T, cfg inproq.Config) *inproq.Broker {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	b, err := inproq.NewBroker(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Shutdown(context.Background()) })
	return b
}

// accountStore makes a store that outlives brokers.
func accountStore(t *testing.T) *memory.Store {
	st := memory.New()
	t.Cleanup(func() { _ = st.Close() })
	return st
}

func accountDeclare(t *testing.T, b *inproq.Broker, name string, cfg inproq.QueueConfig) *inproq.Queue[string] {
	t.Helper()
	q, err := inproq.Declare[string](context.Background(), b, name, cfg)
	require.NoError(t, err)
	return q
}

func accountSend(t *testing.T, q *inproq.Queue[string], bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		_, err := q.Send(context.Background(), body)
		require.NoError(t, err)
	}
}

func accountConsume(t *testing.T, q *inproq.Queue[string], h inproq.Handler[string], cfg inproq.ConsumerConfig) *inproq.Consumer {
	t.Helper()
	c, err := q.Consume(h, cfg)
	require.NoError(t, err)
	return c
}

func accountCount(t *testing.T, b *inproq.Broker, name string) int {
	t.Helper()
	m, err := b.Metrics(context.Background(), name)
	require.NoError(t, err)
	return int(m.BacklogCount)
}

// accountRun is a Run that is under way.
type accountRun struct {
	cancel context.CancelFunc
	result chan error
}

func accountStart(b *inproq.Broker) *accountRun { return accountStartWith(context.Background(), b) }

func accountStartWith(ctx context.Context, b *inproq.Broker) *accountRun {
	ctx, cancel := context.WithCancel(ctx)
	r := &accountRun{cancel: cancel, result: make(chan error, 1)}
	go func() { r.result <- b.Run(ctx) }()
	return r
}

// stop ends Run's context and returns what Run does.
func (r *accountRun) stop() error {
	r.cancel()
	return <-r.result
}

// accountGoroutines counts goroutines with a function of ours. All of them would
// include those of the runtime, which come and go.
func accountGoroutines() int {
	for range 1000 {
		runtime.Gosched() // lets those end that are about to
	}
	stacks := make([]byte, 8<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	n := 0
	for stack := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if bytes.Contains(stack, []byte("inproq.")) || bytes.Contains(stack, []byte("inproq/")) {
			n++
		}
	}
	return n
}

// accountDelivery is a message as a handler got it.
type accountDelivery struct {
	Body     string
	Attempts int
	At       time.Time
}

// accountSink is a handler that keeps what it gets. If open is set it waits for
// that; then it calls then, unless that is nil.
type accountSink struct {
	open chan struct{}
	then func(ctx context.Context, batch *inproq.MessageBatch[string]) error

	mu    sync.Mutex
	got   []accountDelivery
	sizes []int
}

func accountGate() *accountSink { return &accountSink{open: make(chan struct{})} }

func (s *accountSink) handle(ctx context.Context, batch *inproq.MessageBatch[string]) error {
	s.mu.Lock()
	s.sizes = append(s.sizes, len(batch.Messages))
	for _, m := range batch.Messages {
		s.got = append(s.got, accountDelivery{m.Body, m.Attempts, time.Now()})
	}
	s.mu.Unlock()
	if s.open != nil {
		<-s.open
	}
	if s.then != nil {
		return s.then(ctx, batch)
	}
	return nil
}

func (s *accountSink) deliveries() []accountDelivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]accountDelivery{}, s.got...)
}

func (s *accountSink) bodies() []string {
	bodies := []string{}
	for _, d := range s.deliveries() {
		bodies = append(bodies, d.Body)
	}
	return bodies
}

func (s *accountSink) batches() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int{}, s.sizes...)
}

// accountRetryAll is for accountSink.then.
func accountRetryAll(_ context.Context, batch *inproq.MessageBatch[string]) error {
	batch.RetryAll()
	return nil
}

// accountPartial is a store that hands messages out before a batch is full, as
// others than memory do: then a batch that fills holds leases.
type accountPartial struct{ store.Store }

func (s accountPartial) Guarantee() store.Guarantee {
	g := s.Store.Guarantee()
	g.Partial = true
	return g
}

func (s accountPartial) Lease(ctx context.Context, queue string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
	c.Min, c.Linger = 1, 0
	return s.Store.Lease(ctx, queue, c, buf)
}

// accountStores are the two ways in which a store may fill a batch.
var accountStores = map[string]func(*memory.Store) store.Store{
	"waiting unleased": func(st *memory.Store) store.Store { return st },
	"waiting leased":   func(st *memory.Store) store.Store { return accountPartial{st} },
}

// accountHook calls before and after each change of a record; nil: nothing.
type accountHook struct {
	store.Store
	before, after func(store.Queue)
}

func (s accountHook) PutQueue(ctx context.Context, q store.Queue) (store.Queue, error) {
	if s.before != nil {
		s.before(q)
	}
	stored, err := s.Store.PutQueue(ctx, q)
	if s.after != nil {
		s.after(stored)
	}
	return stored, err
}

// accountLog keeps log lines.
type accountLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *accountLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *accountLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *accountLog) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
