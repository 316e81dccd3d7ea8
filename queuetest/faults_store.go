package queuetest

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/inproq/inproq/store"
)

// maxFaults is how many attempts of a message in one queue faults may use up. With
// the default of 3 retries, two deliveries are left.
const maxFaults = 2

// A FaultStore is a [store.Store] that injects faults into another, to test that
// handlers are idempotent. Make one with [NewFaultStore], give it to the broker as
// Config.Store, and run the test with many seeds by [Seeds]. It is safe for
// concurrent use.
//
// It loses no message. Faults use up attempts, as they do in life, but at most two
// for each message in one queue: with MaxRetries of 2 and more (the default is 3), a
// message whose handler does not fail is never dead-lettered by them.
//
// What happens to a message follows from the seed, the name of its queue, its number
// in the order of sending, and the attempt: not from its ID, the clock, or which
// goroutine comes first. Only the place that Reorder gives it depends on the batch it
// is in. So a seed replays exactly if the messages of each queue are sent in the same
// order, as one goroutine does, and one handler runs at a time (MaxConcurrency 1). When
// several do, the faults are the same, but which handler comes first is the scheduler's
// affair: repeat such a seed with -count. A dead letter keeps the number that it had in
// the queue it was sent to. Another version of this package may make something else of a
// seed.
//
// Brokers that share a FaultStore are like processes. Two of them make it likely that
// a message whose lease has expired meets two handlers at once; one broker
// runs a second handler only under load.
//
// A broker does not drain a store that it did not make: call [Drain] before the test
// ends.
//
// The store behind it should be Fenced, as that in memory is. What it implements
// beside store.Store is hidden ([store.Local], [store.TxEnqueuer]).
type FaultStore struct {
	inner
	seed  uint64
	odds  Faults
	began time.Time

	mu       sync.Mutex // never held during a call of the inner store
	sent     map[string]int
	messages map[store.ID]*message
	leases   map[store.Lease]*delivery
	log      []incident
}

type inner = store.Store

var _ store.Store = (*FaultStore)(nil)

// NewFaultStore wraps a store. When the test fails, it logs the seed and the faults
// that were injected. It fails the test at once if a probability is not in 0 to 1. In
// a synctest bubble call it with the bubble's t, and before [Start], so that the log
// is complete.
//
// The store behind it stays the caller's; Close closes it.
func NewFaultStore(t testing.TB, s store.Store, seed uint64, f Faults) *FaultStore {
	t.Helper()
	if s == nil {
		t.Fatalf("queuetest: NewFaultStore: the store is nil")
	}
	if bad := f.validate(); bad != "" {
		t.Fatalf("queuetest: NewFaultStore: %s", bad)
	}
	fs := &FaultStore{
		inner:    s,
		seed:     seed,
		odds:     f,
		began:    time.Now(),
		sent:     make(map[string]int),
		messages: make(map[store.ID]*message),
		leases:   make(map[store.Lease]*delivery),
	}
	t.Cleanup(func() {
		if t.Failed() {
			lines := fs.Log()
			t.Logf("queuetest: %d faults injected with seed %d\n%s", len(lines), seed, strings.Join(lines, "\n"))
		}
	})
	return fs
}

// A message is what a FaultStore knows of one, guarded by its mu.
type message struct {
	origin    string // the queue it was sent to
	number    int    // in that queue, 1 for the first
	sendTried bool   // a failed send has been drawn: a repeated one works

	queue    string // where it is; what follows is about its stay there
	spent    int    // attempts used up by faults
	answered int    // the attempt whose Lease has failed once already
	placed   bool   // its place in the order has been drawn
}

// known returns a message, with a number if it is new. The caller holds mu.
func (s *FaultStore) known(queue string, id store.ID) *message {
	m := s.messages[id]
	if m == nil {
		s.sent[queue]++
		m = &message{origin: queue, number: s.sent[queue]}
		s.messages[id] = m
	}
	return m
}

// staying is known for a message that was leased from queue.
func (s *FaultStore) staying(queue string, id store.ID) *message {
	m := s.known(queue, id)
	if m.queue != queue {
		m.queue, m.spent, m.answered, m.placed = queue, 0, 0, false
	}
	return m
}

// Enqueue numbers the messages, and fails where a send is to.
func (s *FaultStore) Enqueue(ctx context.Context, queue string, msgs []store.Message) (store.Stats, error) {
	if len(msgs) == 0 {
		return s.inner.Enqueue(ctx, queue, msgs)
	}
	s.mu.Lock()
	for i := range msgs {
		s.known(queue, msgs[i].ID)
	}
	m := s.messages[msgs[0].ID]
	fails := !m.sendTried && s.chance(s.odds.SendError, "send", queue, m, 0)
	m.sendTried = true
	f := sendRefused
	if s.draw("send accepted", queue, m, 0)&1 == 0 {
		f = sendUnanswered
	}
	s.mu.Unlock()
	if !fails {
		return s.inner.Enqueue(ctx, queue, msgs)
	}
	if f == sendUnanswered {
		if before, err := s.inner.Enqueue(ctx, queue, msgs); err != nil {
			return before, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(f, queue, m, 0)
	return store.Stats{}, s.unavailable("Enqueue")
}

func (s *FaultStore) unavailable(call string) error {
	return fmt.Errorf("queuetest: %s fails by seed %d: %w", call, s.seed, store.ErrUnavailable)
}

// draw returns the random number that a decision is made by. It is a hash, so the
// order of decisions does not matter.
func (s *FaultStore) draw(what, queue string, m *message, attempt int) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d/%s/%s/%s/%d/%d", s.seed, what, queue, m.origin, m.number, attempt)
	// FNV alone leaves neighbours similar; this is the finalizer of SplitMix64.
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// fraction draws a number from 0 up to 1.
func (s *FaultStore) fraction(what, queue string, m *message, attempt int) float64 {
	return float64(s.draw(what, queue, m, attempt)>>11) / (1 << 53)
}

// chance decides something that has probability p.
func (s *FaultStore) chance(p float64, what, queue string, m *message, attempt int) bool {
	return p > 0 && s.fraction(what, queue, m, attempt) < p
}

// leftover draws how long a lease lasts that is cut short: 1 ms to 1.024 s, each
// power of two as likely, since handlers may take either.
func (s *FaultStore) leftover(queue string, m *message, attempt int) time.Duration {
	return time.Millisecond << (s.draw("leftover", queue, m, attempt) % 11)
}
