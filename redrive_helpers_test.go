package inproq_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

// redriveDead is the dead-letter queue of the tests.
const redriveDead = "dead"

// redriveKill lets messages die: each queue gets its bodies, and a handler that fails. It is
// called in a bubble. Then nobody consumes these queues in this process.
func redriveKill(t *testing.T, st store.Store, bodies map[string][]string) {
	t.Helper()
	b := accountBroker(t, inproq.Config{Store: st})
	accountDeclare(t, b, redriveDead, inproq.QueueConfig{MessageRetentionPeriod: time.Hour})
	for name, list := range bodies {
		q := accountDeclare(t, b, name, inproq.QueueConfig{MessageRetentionPeriod: time.Hour})
		accountConsume(t, q, consumeFail, inproq.ConsumerConfig{
			MaxRetries: inproq.NoRetries, MaxBatchSize: 100, MaxBatchTimeout: inproq.NoWait, DeadLetterQueue: redriveDead,
		})
		for page := range slices.Chunk(list, 100) {
			_, err := q.SendBatch(t.Context(), inproq.Bodies(page...), inproq.Header("Page", name))
			require.NoError(t, err)
		}
	}
	run := accountStart(b)
	synctest.Wait()
	require.NoError(t, run.stop())
}

// redriveSetup is a broker with n letters from the queue "jobs", which nobody consumes any more.
func redriveSetup(t *testing.T, n int, wrap func(store.Store) store.Store) *inproq.Broker {
	t.Helper()
	st := accountStore(t)
	redriveKill(t, st, map[string][]string{"jobs": redriveBodies("jobs", n)})
	cfg := inproq.Config{Store: st}
	if wrap != nil {
		cfg.Store = wrap(st)
	}
	return accountBroker(t, cfg)
}

// redriveBodies names n messages of a queue.
func redriveBodies(queue string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s %d", queue, i)
	}
	return list
}

// redriveAll returns all messages of a queue that are not leased.
func redriveAll(t *testing.T, b *inproq.Broker, queue string) []inproq.PeekedMessage {
	t.Helper()
	msgs, err := b.Peek(context.Background(), queue, 1_000_000)
	require.NoError(t, err)
	return msgs
}

// redriveText returns the bodies of all messages of a queue that are not leased, in order.
func redriveText(t *testing.T, b *inproq.Broker, queue string) []string {
	t.Helper()
	bodies := []string{}
	for _, m := range redriveAll(t, b, queue) {
		body, err := strconv.Unquote(string(m.Body))
		require.NoError(t, err)
		bodies = append(bodies, body)
	}
	return bodies
}

// redriveStore calls settle with each Settle that moves something, in its place. next is the
// store's own.
type redriveStore struct {
	store.Store
	settle func(ctx context.Context, queue string, o []store.Outcome, next redriveSettle) ([]int, error)
}

type redriveSettle func(ctx context.Context, queue string, o []store.Outcome) ([]int, error)

func (s *redriveStore) Settle(ctx context.Context, queue string, o []store.Outcome) ([]int, error) {
	if len(o) == 0 || o[0].Verb != store.Move {
		return s.Store.Settle(ctx, queue, o)
	}
	return s.settle(ctx, queue, o, s.Store.Settle)
}

// redriveMoves is when how many letters were moved.
type redriveMoves struct {
	mu    sync.Mutex
	began time.Time
	at    []time.Duration // of each letter
}

// wrap makes a store that keeps when letters are moved.
func (m *redriveMoves) wrap(st store.Store) store.Store {
	m.began = time.Now()
	return &redriveStore{Store: st, settle: func(ctx context.Context, queue string, o []store.Outcome, next redriveSettle) ([]int, error) {
		m.mu.Lock()
		for range o {
			m.at = append(m.at, time.Since(m.began))
		}
		m.mu.Unlock()
		return next(ctx, queue, o)
	}}
}

// most is the largest number of letters in a second.
func (m *redriveMoves) most() (most int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, from := range m.at {
		n, _ := slices.BinarySearch(m.at[i:], from+time.Second)
		most = max(most, n)
	}
	return most
}

// redriveEvents reads events until the test ends.
type redriveEvents struct {
	mu  sync.Mutex
	all []inproq.Event
}

func redriveWatch(t *testing.T, b *inproq.Broker, kinds ...inproq.EventKind) *redriveEvents {
	var r redriveEvents
	ctx, cancel := context.WithCancel(context.Background())
	events := b.Events(ctx, kinds...)
	var wg sync.WaitGroup
	wg.Go(func() {
		for e := range events {
			r.mu.Lock()
			r.all = append(r.all, e)
			r.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return &r
}

func (r *redriveEvents) list() []inproq.Event {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}
