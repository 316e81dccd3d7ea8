package inproq_test

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
	"github.com/inproq/inproq/store"
)

// watchStore counts the calls of Queues, and fails them when told to.
type watchStore struct {
	store.Store
	calls   atomic.Int64
	failing atomic.Bool
}

func (s *watchStore) Queues(ctx context.Context, after uint64, wait time.Duration) ([]store.Queue, uint64, error) {
	s.calls.Add(1)
	if s.failing.Load() {
		return nil, 0, store.ErrUnavailable
	}
	return s.Store.Queues(ctx, after, wait)
}

// watchers counts the goroutines that follow a store.
func watchers() int {
	stacks := make([]byte, 8<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	n := 0
	for stack := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if bytes.Contains(stack, []byte(".watch(")) {
			n++
		}
	}
	return n
}

// What one broker does another learns at once, while it runs, without a call.
func TestWatchFollowsAnotherBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		var sink accountSink
		here, there := accountBroker(t, inproq.Config{Store: st}), accountBroker(t, inproq.Config{Store: st})
		require.NoError(t, inproq.Handle(here, "s", sink.handle))
		queuetest.Start(t, here)
		synctest.Wait()
		got := func(send string) []string {
			consumersSend(t, there, "q", send)
			synctest.Wait()
			bodies := sink.bodies()
			sink.got = nil
			return bodies
		}
		consumersCreate(t, there, "q")
		consumersAttach(t, there, "q", consumersWorker())
		synctest.Wait()
		assert.Equal(t, []string{"a"}, got("a"))
		require.NoError(t, there.PauseDelivery(t.Context(), "q"))
		assert.Empty(t, got("b"))
		require.NoError(t, there.ResumeDelivery(t.Context(), "q"))
		assert.Equal(t, []string{"b", "c"}, got("c"))
		require.NoError(t, there.RemoveConsumer(t.Context(), "q"))
		synctest.Wait()
		assert.Empty(t, got("d"))
		spec := consumersWorker()
		spec.Settings.MaxBatchTimeout = time.Minute
		consumersAttach(t, there, "q", spec)
		synctest.Wait()
		assert.Empty(t, got("e"))
		consumersUpdate(t, there, inproq.ConsumerUpdate{MaxBatchSize: new(3)})
		assert.Equal(t, []string{"d", "e", "f"}, got("f"))
		require.NoError(t, there.DeleteQueue(t.Context(), "q"))
		synctest.Wait()
		consumersCreate(t, there, "q")
		consumersAttach(t, there, "q", consumersWorker())
		synctest.Wait()
		assert.Equal(t, []string{"g"}, got("g"))
	})
}

// A queue's settings hold here for the next send.
func TestWatchFollowsSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		here, there := consumersBroker(t, inproq.Config{Store: st}), accountBroker(t, inproq.Config{Store: st})
		queuetest.Start(t, here)
		q := accountDeclare(t, here, "q", inproq.QueueConfig{})
		synctest.Wait()
		_, err := there.UpdateQueue(t.Context(), "q", inproq.QueueUpdate{DeliveryDelay: new(time.Hour)})
		require.NoError(t, err)
		synctest.Wait()
		accountSend(t, q, "a")
		backlog, err := there.Backlog(t.Context(), "q")
		require.NoError(t, err)
		assert.EqualValues(t, 1, backlog.Delayed)
	})
}

// watchDelayed hands the news that a queue is gone to its engine when told to.
type watchDelayed struct {
	store.Store
	gone chan struct{}
}

func (s watchDelayed) Lease(ctx context.Context, queue string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
	buf, err := s.Store.Lease(ctx, queue, c, buf)
	if err == store.ErrQueueNotFound { //nolint:errorlint // as the store in memory returns it
		<-s.gone
	}
	return buf, err
}

// Another has deleted a queue and made it anew before this broker has looked: its
// handler is bound to the new one, whichever the engine or the watcher hears first.
func TestWatchOfAQueueMadeAnew(t *testing.T) {
	for name, engineFirst := range map[string]bool{"engine first": true, "watcher first": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := accountStore(t)
				slow := watchDelayed{Store: st, gone: make(chan struct{})}
				if engineFirst {
					close(slow.gone)
				}
				var sink accountSink
				here := consumersRunning(t, inproq.Config{Store: slow}, &sink)
				there := accountBroker(t, inproq.Config{Store: st})
				consumersAttach(t, there, "q", consumersWorker())
				synctest.Wait()
				require.NoError(t, st.DeleteQueue(t.Context(), "q"))
				if engineFirst {
					synctest.Wait()
				}
				consumersCreate(t, there, "q")
				consumersAttach(t, there, "q", consumersWorker())
				synctest.Wait()
				if !engineFirst {
					close(slow.gone)
				}
				consumersSend(t, there, "q", "a")
				synctest.Wait()
				assert.Equal(t, []string{"a"}, sink.bodies())
				assert.NotNil(t, consumersInfo(t, here, "q").Consumer)
			})
		})
	}
}

// Nothing polls: who watches sleeps until something happens.
func TestWatchSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &watchStore{Store: accountStore(t)}
		b := consumersBroker(t, inproq.Config{Store: st})
		run := accountStart(b)
		synctest.Wait()
		assert.Equal(t, 1, watchers())
		before := st.calls.Load()
		time.Sleep(1000 * time.Hour)
		synctest.Wait()
		assert.Equal(t, before, st.calls.Load())
		consumersCreate(t, accountBroker(t, inproq.Config{Store: st.Store}), "q2")
		synctest.Wait()
		assert.Equal(t, before+1, st.calls.Load(), "one change, and a new wait")
		require.NoError(t, run.stop())
		assert.Zero(t, watchers(), "it ends with Run")
	})
}

// Of a store of its own the broker knows every change.
func TestWatchNotOfAnOwnedStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		run := accountStart(b)
		synctest.Wait()
		assert.Zero(t, watchers())
		require.NoError(t, run.stop())
	})
}

// A store that does not answer is asked again, less and less often, and said to be so
// once; then the broker knows what it has missed.
func TestWatchSurvivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &watchStore{Store: accountStore(t)}
		var log consumeLog
		var sink accountSink
		b := accountBroker(t, inproq.Config{Store: st, Logger: slog.New(consumeLogHandler{log: &log})})
		require.NoError(t, inproq.Handle(b, "s", sink.handle))
		run := accountStart(b)
		synctest.Wait()
		for outage := 1; outage <= 2; outage++ {
			there := accountBroker(t, inproq.Config{Store: st.Store})
			st.failing.Store(true)
			name := []string{"", "q", "q2"}[outage]
			consumersCreate(t, there, name) // wakes the wait that is under way
			synctest.Wait()
			consumersAttach(t, there, name, consumersWorker())
			before := st.calls.Load()
			time.Sleep(50 * time.Millisecond)
			synctest.Wait()
			assert.EqualValues(t, 1, st.calls.Load()-before)
			time.Sleep(time.Hour)
			synctest.Wait()
			calls := st.calls.Load() - before
			assert.Greater(t, calls, int64(700), "every 5 seconds")
			assert.Less(t, calls, int64(740))
			assert.Len(t, log.find("store call failed"), outage)
			st.failing.Store(false)
			time.Sleep(5 * time.Second)
			synctest.Wait()
			assert.Len(t, log.find("works again"), outage)
			consumersSend(t, there, name, name)
			synctest.Wait()
			assert.Contains(t, sink.bodies(), name)
		}
		st.failing.Store(true)
		began := time.Now()
		require.NoError(t, run.stop())
		assert.Equal(t, began, time.Now())
	})
}

// A shutdown does not wait for the next attempt.
func TestWatchEndsInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &watchStore{Store: accountStore(t)}
		b := accountBroker(t, inproq.Config{Store: st})
		run := accountStart(b)
		synctest.Wait()
		st.failing.Store(true)
		consumersCreate(t, accountBroker(t, inproq.Config{Store: st.Store}), "q")
		time.Sleep(time.Minute + time.Millisecond)
		began := time.Now()
		require.NoError(t, run.stop())
		assert.Equal(t, began, time.Now())
	})
}

// When the store is closed there is nothing left to follow.
func TestWatchEndsWithItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &watchStore{Store: accountStore(t)}
		b := accountBroker(t, inproq.Config{Store: st})
		run := accountStart(b)
		synctest.Wait()
		require.NoError(t, st.Close())
		time.Sleep(time.Hour)
		assert.Zero(t, watchers())
		assert.LessOrEqual(t, st.calls.Load(), int64(4))
		require.NoError(t, run.stop())
	})
}
