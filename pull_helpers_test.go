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
)

// A pullRig is a broker with a queue "jobs". It does not run unless a test starts
// it: pulling needs no Run.
type pullRig struct {
	t      *testing.T
	log    consumeLog
	broker *inproq.Broker
	queue  *inproq.Queue[string]
}

func newPullRig(t *testing.T, cfg inproq.Config) *pullRig {
	t.Helper()
	r := &pullRig{t: t}
	cfg.Logger = slog.New(consumeLogHandler{log: &r.log})
	r.broker = accountBroker(t, cfg)
	r.queue = accountDeclare(t, r.broker, "jobs", inproq.QueueConfig{})
	return r
}

func (r *pullRig) send(bodies ...string) []inproq.MessageID {
	r.t.Helper()
	res, err := r.queue.SendBatch(context.Background(), inproq.Bodies(bodies...))
	require.NoError(r.t, err)
	return res.IDs
}

func (r *pullRig) consumer(cfg inproq.PullConfig) *inproq.PullConsumer[string] {
	r.t.Helper()
	return pullConsumer(r.t, r.queue, cfg)
}

func (r *pullRig) stats() inproq.Stats { return r.broker.Stats("jobs") }

func (r *pullRig) backlog() inproq.Backlog {
	r.t.Helper()
	b, err := r.broker.Backlog(context.Background(), "jobs")
	require.NoError(r.t, err)
	return b
}

// pull is Broker.Pull.
func (r *pullRig) pull(req inproq.PullRequest) []inproq.PulledMessage {
	r.t.Helper()
	return pullLeases(r.t, r.broker, req)
}

// settle is Broker.Settle.
func (r *pullRig) settle(req inproq.SettleRequest) inproq.SettleResult {
	r.t.Helper()
	res, err := r.broker.Settle(context.Background(), "jobs", req)
	require.NoError(r.t, err)
	return res
}

// letter returns the only message of a dead-letter queue.
func (r *pullRig) letter(queue string) (inproq.PeekedMessage, inproq.DeadLetter) {
	r.t.Helper()
	m := sendPeekOne(r.t, r.broker, queue)
	d, ok := m.DeadLetter()
	require.True(r.t, ok, "it is a dead letter")
	return m, d
}

func pullConsumer[T any](t *testing.T, q *inproq.Queue[T], cfg inproq.PullConfig) *inproq.PullConsumer[T] {
	t.Helper()
	c, err := q.PullConsumer(cfg)
	require.NoError(t, err)
	return c
}

// pullNow pulls once.
func pullNow[T any](t *testing.T, c *inproq.PullConsumer[T]) *inproq.PulledBatch[T] {
	t.Helper()
	b, err := c.Pull(context.Background())
	require.NoError(t, err)
	return b
}

// pullLeases pulls from "jobs" by name.
func pullLeases(t *testing.T, b *inproq.Broker, req inproq.PullRequest) []inproq.PulledMessage {
	t.Helper()
	res, err := b.Pull(context.Background(), "jobs", req)
	require.NoError(t, err)
	return res.Messages
}

func pullSettle[T any](t *testing.T, b *inproq.PulledBatch[T]) inproq.SettleResult {
	t.Helper()
	res, err := b.Settle(context.Background())
	require.NoError(t, err)
	return res
}

// pullBodies returns what is in a batch.
func pullBodies(b *inproq.PulledBatch[string]) []string {
	bodies := []string{}
	for _, m := range b.Messages {
		bodies = append(bodies, m.Body)
	}
	return bodies
}

// pullOne pulls, and expects one message, of that attempt.
func pullOne(t *testing.T, c *inproq.PullConsumer[string], attempt int) (*inproq.PulledBatch[string], *inproq.Message[string]) {
	t.Helper()
	b := pullNow(t, c)
	require.Len(t, b.Messages, 1)
	require.Equal(t, attempt, b.Messages[0].Attempts)
	return b, b.Messages[0]
}

// pullNone expects nothing to be ready.
func pullNone(t *testing.T, c *inproq.PullConsumer[string], why string) {
	t.Helper()
	require.Empty(t, pullBodies(pullNow(t, c)), why)
}

// pullFirst returns the lease of the only message, of that attempt.
func (r *pullRig) pullFirst(attempt int) string {
	r.t.Helper()
	msgs := r.pull(inproq.PullRequest{})
	require.Len(r.t, msgs, 1)
	require.Equal(r.t, attempt, msgs[0].Attempts)
	return msgs[0].LeaseID
}

// pullWarned expects warnings with a text under these keys, and no others.
func pullWarned(t *testing.T, res inproq.SettleResult, text string, keys ...string) {
	t.Helper()
	warned := []string{}
	for key, warning := range res.Warnings {
		warned = append(warned, key)
		assert.Contains(t, warning, text)
	}
	assert.ElementsMatch(t, keys, warned)
}

// A pullLoop is a loop over Batches under way.
type pullLoop struct {
	mu      sync.Mutex
	batches []pullTurn
	errs    []error
	ended   bool
	wg      sync.WaitGroup
}

// A pullTurn is one batch, and when it came.
type pullTurn struct {
	At     time.Time
	Bodies []string
}

// pullStart runs a loop that calls turn with each batch, until turn returns false. On an
// error it goes on.
func pullStart(ctx context.Context, c *inproq.PullConsumer[string], turn func(*inproq.PulledBatch[string]) bool) *pullLoop {
	l := new(pullLoop)
	l.wg.Go(func() {
		for batch, err := range c.Batches(ctx) {
			l.mu.Lock()
			if err != nil {
				l.errs = append(l.errs, err)
				l.mu.Unlock()
				continue
			}
			l.batches = append(l.batches, pullTurn{time.Now(), pullBodies(batch)})
			l.mu.Unlock()
			if !turn(batch) {
				break
			}
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.ended = true
	})
	return l
}

// pullAckAll is a turn.
func pullAckAll(b *inproq.PulledBatch[string]) bool {
	b.AckAll()
	return true
}

func (l *pullLoop) turns() []pullTurn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.batches)
}

func (l *pullLoop) bodies() []string {
	all := []string{}
	for _, t := range l.turns() {
		all = append(all, t.Bodies...)
	}
	return all
}

func (l *pullLoop) failures() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.errs)
}

func (l *pullLoop) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

// pullStore is a store that fails when told to.
type pullStore struct {
	store.Store
	mu     sync.Mutex
	lease  func() error // called before a Lease; nil: nothing
	settle func() error // before a Settle
	calls  []time.Time  // of Lease
}

func (s *pullStore) set(lease, settle func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lease, s.settle, s.calls = lease, settle, nil
}

func (s *pullStore) Lease(ctx context.Context, queue string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
	s.mu.Lock()
	fail := s.lease
	s.calls = append(s.calls, time.Now())
	s.mu.Unlock()
	if fail != nil {
		if err := fail(); err != nil {
			return buf, err
		}
	}
	return s.Store.Lease(ctx, queue, c, buf)
}

func (s *pullStore) Settle(ctx context.Context, queue string, outcomes []store.Outcome) ([]int, error) {
	s.mu.Lock()
	fail := s.settle
	s.mu.Unlock()
	if fail != nil {
		if err := fail(); err != nil {
			return nil, err
		}
	}
	return s.Store.Settle(ctx, queue, outcomes)
}

func (s *pullStore) leases() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// pullFails returns a function that returns err the first n times.
func pullFails(n int, err error) func() error {
	var mu sync.Mutex
	return func() error {
		mu.Lock()
		defer mu.Unlock()
		if n == 0 {
			return nil
		}
		n--
		return err
	}
}
