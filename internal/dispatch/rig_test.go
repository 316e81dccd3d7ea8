package dispatch

import (
	"context"
	"encoding/binary"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/internal/autoscale"
	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/memory"
)

// A rig is an engine for the queue "q" of a memory store, with a spy in between.
type rig struct {
	*Engine
	t     tester
	store *memory.Store
	spy   *spy
	book  *logbook
	seen  *sightings
	sent  int
}

type handleFunc = func(ctx context.Context, b *Batch) error

func succeed(context.Context, *Batch) error { return nil }

// tester is what a rig needs of a test, so that it can be made in a rapid one too.
type tester interface {
	require.TestingT
	Helper()
	Cleanup(func())
	Context() context.Context
}

// newRig makes an engine that has not been started.
func newRig(t tester, h handleFunc, adjust ...func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, store: memory.New(), book: new(logbook), seen: new(sightings)}
	r.spy = &spy{Store: r.store, guarantee: r.store.Guarantee(), leaser: make(map[store.Lease]string)}
	cfg := Config{
		Store: r.spy,
		Queue: "q",
		Settings: Settings{
			BatchSize: 10, BatchTimeout: 5 * time.Second, MaxRetries: 3, MaxDelay: 12 * time.Hour,
			MaxConcurrency: 1, MaxDuration: 15 * time.Minute,
		},
		Handle: func(ctx context.Context, b *Batch) error {
			defer r.seen.enter(r.spy, b)()
			return h(ctx, b)
		},
		EnsureQueue: func(_ context.Context, name string) error { r.create(name); return nil },
		Ended:       func(error) { assert.Fail(t, "engine ended by itself") },
		Grace:       30 * time.Second,
		Logger:      slog.New(r.book),
		Counters:    new(Counters),
		Observer:    nobody{},
	}
	for _, f := range adjust {
		f(&cfg)
	}
	r.create("q")
	r.Engine = New(cfg)
	t.Cleanup(func() {
		assert.NoError(t, r.Stop(context.Background()))
		assert.Zero(t, r.Close())
		assert.NoError(t, r.store.Close())
	})
	return r
}

// start makes an engine and starts it.
func start(t tester, h handleFunc, adjust ...func(*Config)) *rig {
	t.Helper()
	r := newRig(t, h, adjust...)
	r.Start(t.Context())
	return r
}

// with adjusts the settings that a rig begins with.
func with(f func(*Settings)) func(*Config) { return func(c *Config) { f(&c.Settings) } }

// local takes the spy away: the engine meets a store in its process, which has outlets.
func local(c *Config) { c.Store = c.Store.(*spy).Store }

// change adjusts the settings of an engine that runs.
func (r *rig) change(f func(*Settings)) {
	r.mu.Lock()
	s := *r.settings
	r.mu.Unlock()
	f(&s)
	r.Update(s)
}

func (r *rig) create(name string) {
	_, err := r.store.PutQueue(context.Background(), store.Queue{Name: name})
	require.NoError(r.t, err)
}

// send enqueues n messages, which are numbered from 1.
func (r *rig) send(n int) { r.sendDelayed(n, 0) }

func (r *rig) sendDelayed(n int, delay time.Duration) {
	msgs := make([]store.Message, n)
	for i := range msgs {
		r.sent++
		msgs[i] = store.Message{Body: []byte("body"), Delay: delay}
		binary.BigEndian.PutUint64(msgs[i].ID[8:], uint64(r.sent))
	}
	_, err := r.store.Enqueue(context.Background(), "q", msgs)
	require.NoError(r.t, err)
}

// number is the number that send gave to a message.
func number(d *store.Delivery) int { return int(binary.BigEndian.Uint64(d.ID[8:])) }

func (r *rig) stats() store.Stats { return r.statsOf("q") }

func (r *rig) statsOf(queue string) store.Stats {
	st, err := r.store.Stats(context.Background(), queue)
	require.NoError(r.t, err)
	return st
}

// peek returns what waits in a queue.
func (r *rig) peek(queue string) []store.Delivery {
	ds, err := r.store.Peek(context.Background(), queue, "", 100)
	require.NoError(r.t, err)
	return ds
}

// grow lets the autoscaler allow n handlers from the start, and go on doing so.
func (r *rig) grow(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.scaler.Limit() < n {
		r.scaler.Observe(autoscale.Sample{Now: time.Now(), Ready: 1 << 30, Service: time.Hour, BatchSize: 1, Max: n})
	}
	r.fillIfFree()
}

// A sighting is a batch as the handler saw it.
type sighting struct {
	at       time.Time
	numbers  []int
	attempts []int
}

// sightings are what the handler of a rig has seen.
type sightings struct {
	mu       sync.Mutex
	all      []sighting
	running  int
	most     int // that ran at once
	switched int // handlers that ran in another goroutine than the Lease
}

func (s *sightings) enter(spy *spy, b *Batch) (leave func()) {
	x := sighting{at: time.Now()}
	for i := range b.Deliveries {
		x.numbers = append(x.numbers, number(&b.Deliveries[i]))
		x.attempts = append(x.attempts, b.Deliveries[i].Attempts)
	}
	spy.mu.Lock()
	moved := len(b.Deliveries) == 0 || spy.leaser[b.Deliveries[0].Lease] != goroutine()
	spy.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, x)
	s.running++
	s.most = max(s.most, s.running)
	if moved {
		s.switched++
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running--
	}
}

func (s *sightings) batches() []sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]sighting(nil), s.all...)
}

// peak is the number of handlers that ran at once.
func (s *sightings) peak() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}

// moved is the number of batches that changed their goroutine after the Lease.
func (s *sightings) moved() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.switched
}

// latest is how many messages the latest batches have that may be running. The
// caller holds mu.
func (s *sightings) latest() (n int) {
	for _, x := range s.all[len(s.all)-s.running:] {
		n += len(x.numbers)
	}
	return n
}

// sizes are the numbers of messages in the batches so far.
func (s *sightings) sizes() []int {
	sizes := []int{}
	for _, x := range s.batches() {
		sizes = append(sizes, len(x.numbers))
	}
	return sizes
}

// attempts are those of the first message of each batch so far.
func (s *sightings) attempts() []int {
	attempts := []int{}
	for _, x := range s.batches() {
		attempts = append(attempts, x.attempts[0])
	}
	return attempts
}

// A logbook keeps what is logged.
type logbook struct {
	mu      sync.Mutex
	entries []slog.Record
}

func (l *logbook) Enabled(context.Context, slog.Level) bool { return true }
func (l *logbook) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logbook) WithGroup(string) slog.Handler            { return l }

func (l *logbook) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, r.Clone())
	return nil
}

// all returns the records so far.
func (l *logbook) all() []slog.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]slog.Record(nil), l.entries...)
}

// find returns the records with a message.
func (l *logbook) find(msg string) []slog.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []slog.Record
	for _, r := range l.entries {
		if r.Message == msg {
			found = append(found, r)
		}
	}
	return found
}

// attr returns an attribute of a record.
func attr(r slog.Record, key string) (v slog.Value) {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == key {
			v = a.Value
		}
		return a.Key != key
	})
	return v
}

// goexit ends the goroutine, as testing.T.FailNow does.
func goexit(context.Context, *Batch) error { runtime.Goexit(); return nil }

// nobody watches.
type nobody struct{}

func (nobody) Watched() Kinds    { return 0 }
func (nobody) Observe(Happening) {}
