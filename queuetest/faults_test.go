package queuetest_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/memory"
)

// A busyRun has messages with delays, handlers that take time and fail, and a
// dead-letter queue; three messages in 40 never succeed. It returns the log and the
// deliveries.
func busyRun(t *testing.T, seed uint64, f queuetest.Faults) (log, seen []string) {
	fate := func(n int) error {
		time.Sleep(time.Duration(n%4) * 30 * time.Millisecond)
		if n%13 == 0 {
			return errBoom
		}
		return nil
	}
	cfg := inproq.ConsumerConfig{MaxBatchSize: 7, MaxBatchTimeout: time.Second, DeadLetterQueue: "dead", RetryDelay: 3 * time.Second}
	r := newFaultRig(t, seed, f, cfg, inproq.Each(func(_ context.Context, m *inproq.Message[int]) error { return fate(m.Body) }))
	dead, err := inproq.Declare[int](t.Context(), r.broker, "dead", inproq.QueueConfig{})
	require.NoError(t, err)
	var letters journal
	_, err = dead.Consume(inproq.Each(func(_ context.Context, m *inproq.Message[int]) error {
		letters.add(fmt.Sprint("dead ", m.Body))
		return nil
	}), inproq.ConsumerConfig{})
	require.NoError(t, err)
	for n := range 10 {
		_, err := r.queue.Send(t.Context(), n+31, inproq.Delay(time.Duration(n*n)*100*time.Millisecond))
		require.NoError(t, err)
	}
	done := map[int]bool{}
	for _, d := range r.work(30) {
		done[d.body] = true
		seen = append(seen, fmt.Sprint(d))
	}
	assert.Len(t, done, 40, "messages that were processed")
	assert.Zero(t, r.backlog("dead"))
	for _, letter := range []string{"dead 13", "dead 26", "dead 39"} {
		assert.Contains(t, letters.all(), letter)
	}
	assert.Subset(t, []string{"dead 13", "dead 26", "dead 39"}, letters.all(), "others succeed in time")
	return r.store.Log(), seen
}

// The same seed does the same to the same program, whatever the goroutines do: the IDs
// of the messages differ. Another seed does something else.
func TestASeedReplays(t *testing.T) {
	f := queuetest.DefaultFaults()
	logs := map[string]bool{}
	for seed := uint64(1); seed <= 20; seed++ {
		var logged, seen [2][]string
		for i := range 2 {
			synctest.Test(t, func(t *testing.T) { logged[i], seen[i] = busyRun(t, seed, f) })
		}
		assert.Equal(t, logged[0], logged[1])
		assert.ElementsMatch(t, seen[0], seen[1])
		logs[strings.Join(injected(logged[0]), "\n")] = true
	}
	assert.Len(t, logs, 20)
}

// Decisions about a message do not depend on what else is in its batch.
func TestFaultsOfAMessageAreItsOwn(t *testing.T) {
	run := func(size int) (log []string) {
		synctest.Test(t, func(t *testing.T) {
			r := newFaultRig(t, 3, queuetest.Faults{Duplicate: 0.3, Crash: 0.3}, inproq.ConsumerConfig{MaxBatchSize: size}, nil)
			r.work(40)
			log = injected(r.store.Log())
		})
		return log
	}
	assert.ElementsMatch(t, run(1), run(40))
}

// Each attempt is drawn anew, and each queue for itself.
func TestFaultsHitAsOftenAsTheySay(t *testing.T) {
	count := map[string]map[string]bool{} // queue → messages, of attempt 1
	second := 0
	synctest.Test(t, func(t *testing.T) {
		r := newFaultRig(t, 1, queuetest.Faults{Duplicate: 0.25}, inproq.ConsumerConfig{MaxBatchSize: 100}, nil)
		other, err := inproq.Declare[int](t.Context(), r.broker, "other", inproq.QueueConfig{})
		require.NoError(t, err)
		_, err = other.Consume(r.wrap(nil), inproq.ConsumerConfig{MaxBatchSize: 100})
		require.NoError(t, err)
		for range 20 {
			for _, q := range []*inproq.Queue[int]{r.queue, other} {
				_, err := q.SendBatch(t.Context(), inproq.Bodies(make([]int, 100)...))
				require.NoError(t, err)
			}
		}
		r.rest()
		for _, line := range injected(r.store.Log()) {
			var number, attempt int
			var queue string
			_, err := fmt.Sscanf(strings.ReplaceAll(line, ",", " "), "message %d of %s attempt %d", &number, &queue, &attempt)
			require.NoError(t, err)
			if attempt == 2 {
				second++
				continue
			}
			if count[queue] == nil {
				count[queue] = map[string]bool{}
			}
			count[queue][fmt.Sprint(number)] = true
		}
	})
	jobs, others := count["jobs"], count["other"]
	assert.InDelta(t, 500, len(jobs), 80, "of 2,000")
	assert.InDelta(t, 500, len(others), 80, "of 2,000")
	assert.InDelta(t, 250, second, 60, "of about 1,000")
	both := 0
	for n := range jobs {
		if others[n] {
			both++
		}
	}
	assert.InDelta(t, 125, both, 50, "by chance")
}

func TestTheLogIsInOrderOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFaultRig(t, 1, queuetest.Faults{Duplicate: 1}, inproq.ConsumerConfig{MaxRetries: 1}, nil)
		_, err := r.queue.Send(t.Context(), 1, inproq.Delay(time.Minute))
		require.NoError(t, err)
		_, err = r.queue.Send(t.Context(), 2)
		require.NoError(t, err)
		r.rest()
		log := r.store.Log()
		require.NotEmpty(t, log)
		assert.Equal(t, "0s: message 2 of jobs, attempt 1: acknowledged, delivered again", log[0])
		assert.Contains(t, log, "1m0s: message 1 of jobs, attempt 1: acknowledged, delivered again")
	})
}

// A ledger is what payments are booked in.
type ledger struct {
	mu      sync.Mutex
	booked  map[int]bool
	balance int
}

// payTwice has the bug that the faults are for: it does not look whether a payment
// has been booked.
func (l *ledger) payTwice(_ context.Context, m *inproq.Message[int]) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.balance += m.Body
	return nil
}

func (l *ledger) payOnce(_ context.Context, m *inproq.Message[int]) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.booked == nil {
		l.booked = map[int]bool{}
	}
	if !l.booked[m.Body] {
		l.booked[m.Body] = true
		l.balance += m.Body
	}
	return nil
}

func TestAnIdempotentHandlerPasses(t *testing.T) {
	queuetest.Seeds(t, 100, func(t *testing.T, seed uint64) {
		var l ledger
		cfg := inproq.ConsumerConfig{MaxRetries: 2, DeadLetterQueue: "dead"}
		r := newFaultRig(t, seed, queuetest.DefaultFaults(), cfg, inproq.Each(l.payOnce))
		r.work(20)
		assert.Equal(t, 210, l.balance)
		assert.Len(t, l.booked, 20, "nothing is lost")
		assert.Zero(t, r.backlog("dead"), "faults alone leave attempts enough")
	})
}

func TestFaultsAreValidated(t *testing.T) {
	tests := map[string]struct {
		store  store.Store
		faults queuetest.Faults
		want   string
	}{
		"below": {memory.New(), queuetest.Faults{Duplicate: -0.1}, "Faults.Duplicate is -0.1, allowed: 0 to 1"},
		"above": {memory.New(), queuetest.Faults{Crash: 1.5}, "Faults.Crash is 1.5, allowed: 0 to 1"},
		"NaN":   {memory.New(), queuetest.Faults{Reorder: math.NaN()}, "Faults.Reorder is NaN, allowed: 0 to 1"},
		"several": {memory.New(), queuetest.Faults{Expire: 2, Unavailable: 3, SendError: -1},
			"Faults.Expire is 2, allowed: 0 to 1; Faults.Unavailable is 3, allowed: 0 to 1; Faults.SendError is -1, allowed: 0 to 1"},
		"no store": {nil, queuetest.Faults{}, "the store is nil"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := &fakeT{TB: t}
			f.run(func() { queuetest.NewFaultStore(f, test.store, 1, test.faults) })
			assert.Equal(t, []string{"queuetest: NewFaultStore: " + test.want}, f.errors)
			assert.True(t, f.fatal)
		})
	}
}

// A loggingT is a test that may have failed, with what it logs.
type loggingT struct {
	fakeT
	failed bool
	logged []string
}

func (l *loggingT) Failed() bool { return l.failed }
func (l *loggingT) Logf(format string, a ...any) {
	l.logged = append(l.logged, fmt.Sprintf(format, a...))
}

func TestAFailedTestLogsItsFaults(t *testing.T) {
	for name, failed := range map[string]bool{"failed": true, "passed": false} {
		t.Run(name, func(t *testing.T) {
			l := &loggingT{fakeT: fakeT{TB: t}, failed: failed}
			l.run(func() {
				s := queuetest.NewFaultStore(l, memory.New(), 17, queuetest.Faults{SendError: 1})
				_, q := newQueue(t, inproq.Config{Store: s})
				_, err := q.Send(t.Context(), "lost")
				assert.ErrorIs(t, err, store.ErrUnavailable)
				assert.ErrorContains(t, err, "seed 17")
			})
			if !failed {
				assert.Empty(t, l.logged)
				return
			}
			require.Len(t, l.logged, 1)
			assert.Contains(t, l.logged[0], "1 faults injected with seed 17\n")
			assert.Contains(t, l.logged[0], ": message 1 of q: send unavailable")
		})
	}
}
