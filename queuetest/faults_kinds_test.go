package queuetest_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/memory"
	"github.com/inproq/inproq/store/storetest"
)

// The store with faults does what the one behind it does when none are wanted.
func TestFaultStoreConforms(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Open: func(tb testing.TB) store.Store {
			return queuetest.NewFaultStore(tb, memory.New(), 1, queuetest.Faults{})
		},
		Virtual: true,
	})
}

func TestFaultStoreHidesWhatElseTheStoreCan(t *testing.T) {
	var s store.Store = queuetest.NewFaultStore(t, memory.New(), 1, queuetest.Faults{})
	_, local := s.(store.Local)
	assert.False(t, local, "sends would pass it by")
	assert.NoError(t, s.Close())
}

func TestNoFaultsWithoutProbabilities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFaultRig(t, 7, queuetest.Faults{}, inproq.ConsumerConfig{}, nil)
		seen := r.work(25)
		for i, d := range seen {
			assert.Equal(t, delivered{0, i + 1, 1}, d)
		}
		assert.Len(t, seen, 25)
		assert.Empty(t, r.store.Log())
	})
}

// An acknowledged message comes again at once, twice, and then no more.
func TestFaultDuplicate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFaultRig(t, 1, queuetest.Faults{Duplicate: 1}, inproq.ConsumerConfig{}, nil)
		assert.Equal(t, []delivered{{0, 1, 1}, {0, 1, 2}, {0, 1, 3}}, r.work(1))
		assert.Equal(t, []string{
			"0s: message 1 of jobs, attempt 1: acknowledged, delivered again",
			"0s: message 1 of jobs, attempt 2: acknowledged, delivered again",
		}, r.store.Log())
	})
}

// Only what was acknowledged is duplicated.
func TestFaultDuplicateLeavesRetriesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := inproq.ConsumerConfig{DeadLetterQueue: "dead"}
		r := newFaultRig(t, 1, queuetest.Faults{Duplicate: 1}, cfg, func(_ context.Context, b *inproq.MessageBatch[int]) error {
			b.RetryAll(inproq.Delay(time.Minute))
			return nil
		})
		assert.Equal(t, []delivered{{0, 1, 1}, {time.Minute, 1, 2}, {2 * time.Minute, 1, 3}, {3 * time.Minute, 1, 4}}, r.work(1))
		assert.Empty(t, r.store.Log())
	})
}

func TestFaultReorder(t *testing.T) {
	for name, size := range map[string]int{"one batch": 20, "several batches": 5, "batches of one": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFaultRig(t, 1, queuetest.Faults{Reorder: 1}, inproq.ConsumerConfig{MaxBatchSize: size, MaxConcurrency: 1}, nil)
				seen := r.work(20)
				order := bodiesOf(seen)
				assert.False(t, slices.IsSorted(order), "%v", order)
				slices.Sort(order)
				assert.Len(t, slices.Compact(order), 20)
				require.Len(t, seen, 20, "each message comes once")
				for _, d := range seen {
					assert.Equal(t, 1, d.attempts, "message %d", d.body)
				}
				log := injected(r.store.Log())
				for _, line := range log {
					assert.Regexp(t, "attempt 1: (left for a later batch|moved within its batch)$", line)
				}
				slices.Sort(log)
				assert.Equal(t, slices.Compact(slices.Clone(log)), log, "no message is left twice")
			})
		})
	}
}

// To be late costs no attempt: two are left for duplicates.
func TestFaultReorderCostsNoAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFaultRig(t, 1, queuetest.Faults{Reorder: 1, Duplicate: 1}, inproq.ConsumerConfig{}, nil)
		assert.Len(t, r.work(20), 60)
	})
}

// Messages come again while their first handlers still run, whose settlements are
// lost.
func TestFaultExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(context.Context, *inproq.MessageBatch[int]) error {
			time.Sleep(10 * time.Second)
			return nil
		}
		r := newFaultRig(t, 1, queuetest.Faults{Expire: 1}, inproq.ConsumerConfig{MaxConcurrency: 3, MaxBatchSize: 2}, slow)
		queuetest.Start(t, r.broker)
		_, err := r.queue.SendBatch(t.Context(), inproq.Bodies(make([]int, 20)...))
		require.NoError(t, err)
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Zero(t, r.backlog("jobs"))
		assert.Equal(t, 3, r.most)
		assert.Len(t, r.seen, 60, "20 messages, each three times")
		assert.Equal(t, uint64(40), r.broker.Stats("jobs").LeasesLost)
		assert.Equal(t, uint64(20), r.broker.Stats("jobs").Acked)
		for _, line := range injected(r.store.Log()) {
			assert.Regexp(t, "attempt [12]: lease cut short, settlement lost$", line)
		}
		assert.Len(t, r.store.Log(), 40)
	})
}

// Two brokers are two processes: a handler has not returned when another gets the
// message.
func TestFaultExpireOverlaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}
		slow := func(context.Context, *inproq.MessageBatch[int]) error {
			time.Sleep(10 * time.Second)
			return nil
		}
		r := newFaultRig(t, 1, queuetest.Faults{Expire: 1}, cfg, slow)
		other, err := inproq.NewBroker(inproq.Config{Store: r.store, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		same, err := inproq.Declare[int](t.Context(), other, "jobs", inproq.QueueConfig{})
		require.NoError(t, err)
		_, err = same.Consume(r.wrap(slow), cfg)
		require.NoError(t, err)
		queuetest.Start(t, other)
		seen := r.work(1)
		require.Len(t, seen, 3)
		assert.Less(t, seen[1].at, 2*time.Second)
		assert.Equal(t, 2, r.most)
		assert.Equal(t, []int{1, 2, 3}, []int{seen[0].attempts, seen[1].attempts, seen[2].attempts})
	})
}

// Quick handlers are too late too: otherwise the fault would be none.
func TestFaultExpireOfAQuickHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFaultRig(t, 1, queuetest.Faults{Expire: 1}, inproq.ConsumerConfig{}, nil)
		seen := r.work(1)
		require.Len(t, seen, 3)
		assert.Greater(t, seen[1].at, seen[0].at)
		assert.Less(t, seen[2].at, 3*time.Second)
	})
}

func TestFaultCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFaultRig(t, 1, queuetest.Faults{Crash: 1}, inproq.ConsumerConfig{}, nil)
		seen := r.work(1)
		require.Len(t, seen, 3)
		assert.Equal(t, 3, seen[2].attempts, "attempts stay counted")
		assert.Less(t, seen[2].at, 3*time.Second, "nobody waits for the lease to end")
		assert.Equal(t, []string{
			"message 1 of jobs, attempt 1: handled, settlement never arrived",
			"message 1 of jobs, attempt 2: handled, settlement never arrived",
		}, injected(r.store.Log()))
		assert.Equal(t, uint64(1), r.broker.Stats("jobs").Acked)
	})
}

// The move to the dead-letter queue may be what never arrives. The letter arrives all
// the same, and keeps its number.
func TestFaultCrashBeforeADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := func(context.Context, *inproq.MessageBatch[int]) error { return errBoom }
		r := newFaultRig(t, 1, queuetest.Faults{Crash: 1}, inproq.ConsumerConfig{MaxRetries: inproq.NoRetries, DeadLetterQueue: "dead"}, fail)
		dead, err := inproq.Declare[int](t.Context(), r.broker, "dead", inproq.QueueConfig{})
		require.NoError(t, err)
		var letters journal
		_, err = dead.Consume(inproq.Each(func(_ context.Context, m *inproq.Message[int]) error {
			d, _ := m.DeadLetter()
			letters.add(string(d.Reason))
			return nil
		}), inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		require.NoError(t, err)
		assert.Len(t, r.work(2), 2)
		assert.Zero(t, r.backlog("dead"))
		assert.Equal(t, slices.Repeat([]string{"crashed"}, 6), letters.all(), "each letter came three times")
		assert.Subset(t, injected(r.store.Log()), []string{
			"message 2 of jobs, attempt 2: handled, settlement never arrived",
			"message 2 of jobs in dead, attempt 1: handled, settlement never arrived",
		})
	})
}

// Each way in which the store is unavailable comes up within a few seeds, and none of
// them repeats what a handler has done: the broker sees to that.
func TestFaultUnavailable(t *testing.T) {
	type effect struct {
		attempts int    // of the first delivery that the handler sees, at least
		lost     uint64 // leases
		faults   int    // at least
	}
	effects := map[string]effect{
		"Lease unavailable, nothing leased":   {1, 0, 1},
		"Lease unavailable, message leased":   {2, 0, 2}, // the next attempt has its own
		"Settle unavailable, nothing settled": {1, 0, 1},
		"Settle unavailable, message settled": {1, 1, 1},
	}
	for seed := uint64(1); len(effects) > 0; seed++ {
		require.Less(t, seed, uint64(100), "never seen: %v", effects)
		synctest.Test(t, func(t *testing.T) {
			r := newFaultRig(t, seed, queuetest.Faults{Unavailable: 1}, inproq.ConsumerConfig{}, nil)
			seen, log := r.work(1), injected(r.store.Log())
			require.Len(t, seen, 1)
			first, ok := strings.CutPrefix(log[0], "message 1 of jobs, attempt 1: ")
			require.True(t, ok, "%v", log)
			if want, ok := effects[first]; ok {
				assert.GreaterOrEqual(t, seen[0].attempts, want.attempts, first)
				assert.GreaterOrEqual(t, len(log), want.faults, "%v", log)
				if len(log) == 1 {
					assert.Equal(t, want.lost, r.broker.Stats("jobs").LeasesLost, first)
				}
				delete(effects, first)
			}
		})
	}
}

func TestFaultSendError(t *testing.T) {
	outcomes := map[string]int{"send unavailable, nothing accepted": 0, "send unavailable, message accepted": 1}
	for seed := uint64(1); len(outcomes) > 0; seed++ {
		require.Less(t, seed, uint64(100), "never seen: %v", outcomes)
		synctest.Test(t, func(t *testing.T) {
			r := newFaultRig(t, seed, queuetest.Faults{SendError: 1}, inproq.ConsumerConfig{}, nil)
			_, err := r.queue.Send(t.Context(), 1)
			require.ErrorIs(t, err, store.ErrUnavailable)
			what, _ := strings.CutPrefix(injected(r.store.Log())[0], "message 1 of jobs: ")
			if want, ok := outcomes[what]; ok {
				assert.Len(t, r.rest(), want, what)
				delete(outcomes, what)
			}
		})
	}
}

// An idempotentStore knows messages by their IDs, for ever.
type idempotentStore struct {
	store.Store
	seen map[store.ID]bool // by one goroutine
}

func (s *idempotentStore) Guarantee() store.Guarantee {
	g := s.Store.Guarantee()
	g.Idempotent = true
	return g
}

func (s *idempotentStore) Enqueue(ctx context.Context, queue string, msgs []store.Message) (store.Stats, error) {
	msgs = slices.DeleteFunc(slices.Clone(msgs), func(m store.Message) bool { return s.seen[m.ID] })
	for i := range msgs {
		s.seen[msgs[i].ID] = true
	}
	if len(msgs) == 0 {
		return store.Stats{}, nil
	}
	return s.Store.Enqueue(ctx, queue, msgs)
}

// With such a store a failed send is repeated by the broker, once, and one message is
// one message.
func TestFaultSendErrorWithAnIdempotentStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := queuetest.NewFaultStore(t, &idempotentStore{memory.New(), map[store.ID]bool{}}, 1, queuetest.Faults{SendError: 1})
		b, q := newQueue(t, inproq.Config{Store: s})
		for range 20 {
			_, err := q.Send(t.Context(), "once")
			require.NoError(t, err)
		}
		m, err := b.Metrics(t.Context(), "q")
		require.NoError(t, err)
		assert.Equal(t, int64(20), m.BacklogCount)
		assert.Len(t, s.Log(), 20)
		assert.NoError(t, b.Shutdown(t.Context()))
	})
}

// A settlement that has arrived for some messages only is an error to the broker, which
// does not repeat it.
func TestFaultCrashSettlesTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFaultRig(t, 1, queuetest.Faults{Crash: 0.5}, inproq.ConsumerConfig{MaxBatchSize: 20}, nil)
		seen := r.work(20)
		again := len(slices.DeleteFunc(slices.Clone(seen), func(d delivered) bool { return d.attempts != 2 }))
		assert.True(t, again > 3 && again < 17, "%d messages of 20 came again", again)
		assert.Len(t, r.store.Log(), len(seen)-20)
	})
}

func TestFaultsSpendAtMostTwoAttempts(t *testing.T) {
	all := queuetest.Faults{Duplicate: 1, Reorder: 1, Expire: 1, Crash: 1, Unavailable: 1}
	queuetest.Seeds(t, 10, func(t *testing.T, seed uint64) {
		r := newFaultRig(t, seed, all, inproq.ConsumerConfig{MaxRetries: 2, DeadLetterQueue: "dead"}, nil)
		done := map[int]bool{}
		for _, d := range r.work(50) {
			done[d.body] = true
			assert.LessOrEqual(t, d.attempts, 3)
		}
		assert.Len(t, done, 50)
		assert.Zero(t, r.backlog("dead"))
		kinds := map[string]bool{}
		for _, line := range injected(r.store.Log()) {
			kinds[line[strings.Index(line, ": ")+2:]] = true
		}
		assert.Len(t, kinds, 9, "each has its turn: %v", kinds)
	})
}
