package inproq_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/memory"
)

// sendBroker makes a broker that logs nothing, for the length of a test.
func sendBroker(t testing.TB, cfg inproq.Config) *inproq.Broker {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	b, err := inproq.NewBroker(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Shutdown(context.Background())) })
	return b
}

// sendQueue declares a queue.
func sendQueue[T any](t testing.TB, b *inproq.Broker, name string, cfg inproq.QueueConfig) *inproq.Queue[T] {
	t.Helper()
	q, err := inproq.Declare[T](t.Context(), b, name, cfg)
	require.NoError(t, err)
	return q
}

// sendBacklog returns the number of messages in a queue.
func sendBacklog(t testing.TB, b *inproq.Broker, name string) int {
	t.Helper()
	m, err := b.Metrics(t.Context(), name)
	require.NoError(t, err)
	return int(m.BacklogCount)
}

// sendPeekOne returns the only message of a queue.
func sendPeekOne(t testing.TB, b *inproq.Broker, name string) inproq.PeekedMessage {
	t.Helper()
	msgs, err := b.Peek(t.Context(), name, 10)
	require.NoError(t, err)
	require.Len(t, msgs, 1)
	return msgs[0]
}

// sendReject checks an error against its sentinel, its number, and what its text
// has to name.
func sendReject(t testing.TB, err, sentinel error, code int, text ...string) {
	t.Helper()
	require.ErrorIs(t, err, sentinel)
	assert.Equal(t, code, inproq.ErrorCode(err), "the number of %v", err)
	for _, s := range text {
		assert.ErrorContains(t, err, s)
	}
}

// sendSink is a handler that keeps what it gets, and when.
type sendSink[T any] struct {
	mu   sync.Mutex
	msgs []inproq.Message[T]
	at   []time.Time
}

func (s *sendSink[T]) handle(_ context.Context, b *inproq.MessageBatch[T]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range b.Messages {
		s.msgs = append(s.msgs, *m)
		s.at = append(s.at, time.Now())
	}
	return nil
}

func (s *sendSink[T]) bodies() []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []T
	for i := range s.msgs {
		all = append(all, s.msgs[i].Body)
	}
	return all
}

func (s *sendSink[T]) messages() []inproq.Message[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.msgs)
}

func (s *sendSink[T]) times() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.at)
}

// sendStore is a store in memory that the broker takes for a remote one: it is not
// store.Local. It keeps what it is given, and fails when told to.
type sendStore struct {
	store.Store
	promise store.Guarantee
	fail    func(call int) error             // of Enqueue; nil: never
	adjust  func(st store.Stats) store.Stats // what Stats and Enqueue return; nil: the truth
	listed  func()                           // called when Queues has listed; nil: nothing

	mu       sync.Mutex
	calls    map[string]int
	enqueued [][]store.Message
}

func newSendStore() *sendStore {
	st := memory.New()
	return &sendStore{Store: st, promise: st.Guarantee(), calls: make(map[string]int)}
}

// count notes a call and returns its number, 1 for the first.
func (s *sendStore) count(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[method]++
	return s.calls[method]
}

func (s *sendStore) called(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// total is the number of all calls.
func (s *sendStore) total() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		n += c
	}
	return n
}

// given returns what each Enqueue was called with.
func (s *sendStore) given() [][]store.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.enqueued)
}

func (s *sendStore) Guarantee() store.Guarantee { return s.promise }

func (s *sendStore) seen(st store.Stats) store.Stats {
	if s.adjust != nil {
		return s.adjust(st)
	}
	return st
}

func (s *sendStore) Enqueue(ctx context.Context, queue string, msgs []store.Message) (store.Stats, error) {
	n := s.count("Enqueue")
	s.mu.Lock()
	s.enqueued = append(s.enqueued, slices.Clone(msgs))
	s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(n); err != nil {
			return store.Stats{}, err
		}
	}
	st, err := s.Store.Enqueue(ctx, queue, msgs)
	return s.seen(st), err
}

func (s *sendStore) Stats(ctx context.Context, queue string) (store.Stats, error) {
	s.count("Stats")
	st, err := s.Store.Stats(ctx, queue)
	return s.seen(st), err
}

func (s *sendStore) Queues(ctx context.Context, after uint64, wait time.Duration) ([]store.Queue, uint64, error) {
	s.count("Queues")
	all, upTo, err := s.Store.Queues(ctx, after, wait)
	if s.listed != nil {
		s.listed()
	}
	return all, upTo, err
}

func (s *sendStore) PutQueue(ctx context.Context, q store.Queue) (store.Queue, error) {
	s.count("PutQueue")
	return s.Store.PutQueue(ctx, q)
}

// sendTxStore is one that knows transactions, which may be anything.
type sendTxStore struct {
	*sendLocalStore
	mu  sync.Mutex
	txs []any
}

func (s *sendTxStore) EnqueueTx(ctx context.Context, tx any, queue string, msgs []store.Message) error {
	s.mu.Lock()
	s.txs = append(s.txs, tx)
	s.mu.Unlock()
	_, err := s.Enqueue(ctx, queue, msgs)
	return err
}

// sendLocalStore is a sendStore with an inlet: the broker takes it for local.
type sendLocalStore struct{ *sendStore }

func (s *sendLocalStore) Now() int64 { return s.Store.(store.Local).Now() }

func (s *sendLocalStore) Inlet(queue string) (store.Inlet, error) {
	in, err := s.Store.(store.Local).Inlet(queue)
	return &sendInlet{in, s}, err
}

func (s *sendLocalStore) Outlet(queue string) (store.Outlet, error) {
	return s.Store.(store.Local).Outlet(queue)
}

type sendInlet struct {
	store.Inlet
	store *sendLocalStore
}

func (in *sendInlet) Send(ctx context.Context, id store.ID, body []byte, contentType string, now int64) (store.Receipt, error) {
	in.store.count("Send")
	r, err := in.Inlet.Send(ctx, id, body, contentType, now)
	st := in.store.seen(store.Stats{Messages: r.Messages, Bytes: r.Bytes})
	r.Messages, r.Bytes = st.Messages, st.Bytes
	return r, err
}
