package queuetest_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
	"github.com/inproq/inproq/store/memory"
)

// A delivered is one message as a handler got it.
type delivered struct {
	at       time.Duration // since the test began
	body     int
	attempts int
}

// A faultRig is a broker over a store with faults, with a queue "jobs" of numbers.
type faultRig struct {
	t      *testing.T
	store  *queuetest.FaultStore
	broker *inproq.Broker
	queue  *inproq.Queue[int]

	mu            sync.Mutex
	began         time.Time
	seen          []delivered
	running, most int // handlers at once
}

// newFaultRig wires a broker that runs until the test ends. Nil is a handler that
// acknowledges.
func newFaultRig(t *testing.T, seed uint64, f queuetest.Faults, cfg inproq.ConsumerConfig, h inproq.Handler[int]) *faultRig {
	t.Helper()
	r := &faultRig{t: t, began: time.Now(), store: queuetest.NewFaultStore(t, memory.New(), seed, f)}
	var err error
	r.broker, err = inproq.NewBroker(inproq.Config{Store: r.store, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	r.queue, err = inproq.Declare[int](t.Context(), r.broker, "jobs", inproq.QueueConfig{})
	require.NoError(t, err)
	if cfg.MaxBatchTimeout == 0 {
		cfg.MaxBatchTimeout = inproq.NoWait
	}
	_, err = r.queue.Consume(r.wrap(h), cfg)
	require.NoError(t, err)
	return r
}

func (r *faultRig) wrap(h inproq.Handler[int]) inproq.Handler[int] {
	return func(ctx context.Context, b *inproq.MessageBatch[int]) error {
		r.mu.Lock()
		r.running++
		r.most = max(r.most, r.running)
		for _, m := range b.Messages {
			r.seen = append(r.seen, delivered{time.Since(r.began), m.Body, m.Attempts})
		}
		r.mu.Unlock()
		defer func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.running--
		}()
		if h == nil {
			return nil
		}
		return h(ctx, b)
	}
}

// work sends the numbers from 1 to n as one batch, and runs the broker until all that
// comes of them is over. It returns the deliveries.
func (r *faultRig) work(n int) []delivered {
	r.t.Helper()
	bodies := make([]int, n)
	for i := range bodies {
		bodies[i] = i + 1
	}
	_, err := r.queue.SendBatch(r.t.Context(), inproq.Bodies(bodies...))
	require.NoError(r.t, err)
	return r.rest()
}

// rest runs the broker until nothing happens any more.
func (r *faultRig) rest() []delivered {
	r.t.Helper()
	queuetest.Start(r.t, r.broker)
	time.Sleep(time.Hour)
	synctest.Wait()
	assert.Zero(r.t, r.backlog("jobs"), "messages left")
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

func (r *faultRig) backlog(queue string) int64 {
	r.t.Helper()
	m, err := r.broker.Metrics(r.t.Context(), queue)
	require.NoError(r.t, err)
	return m.BacklogCount
}

// bodies are those of deliveries, in their order.
func bodiesOf(seen []delivered) []int {
	var all []int
	for _, d := range seen {
		all = append(all, d.body)
	}
	return all
}

// injected are the lines of a log without their times.
func injected(log []string) []string {
	var all []string
	for _, line := range log {
		_, what, _ := strings.Cut(line, ": ")
		all = append(all, what)
	}
	return all
}
