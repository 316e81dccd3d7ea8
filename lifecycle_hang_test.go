package inproq_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

// hangStore is a store whose Queues waits for its context when told to.
type hangStore struct {
	store.Store
	mu   sync.Mutex
	hang bool
	took []time.Duration // each call that hung
}

func (s *hangStore) Queues(ctx context.Context, after uint64, wait time.Duration) ([]store.Queue, uint64, error) {
	s.mu.Lock()
	hang := s.hang
	s.mu.Unlock()
	if !hang {
		return s.Store.Queues(ctx, after, wait)
	}
	began := time.Now()
	<-ctx.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = append(s.took, time.Since(began))
	return nil, 0, ctx.Err()
}

func (s *hangStore) set(hang bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hang = hang
}

func (s *hangStore) hung() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Duration{}, s.took...)
}

// Run ends with its context though the store does not answer. What it asks for Lint it asks no
// longer than ten seconds.
func TestRunWithAStoreThatHangs(t *testing.T) {
	for after, want := range map[time.Duration][]time.Duration{
		time.Second: {time.Second, time.Second}, // Lint's and the watch's
		time.Minute: {10 * time.Second, time.Minute},
	} {
		t.Run(after.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := &hangStore{Store: accountStore(t)}
				b := accountBroker(t, inproq.Config{Store: st})
				q := accountDeclare(t, b, "q", inproq.QueueConfig{})
				st.set(true)
				run := accountStart(b)
				consumePass(after)
				accountSend(t, q, "x")
				began := time.Now()
				require.NoError(t, run.stop())
				assert.Zero(t, time.Since(began))
				assert.Equal(t, want, st.hung())
			})
		})
	}
}

// Handlers that were registered by name need the list of queues, and wait for it as long.
func TestRunWithAStoreThatHangsOverScripts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &hangStore{Store: accountStore(t)}
		b := accountBroker(t, inproq.Config{Store: st})
		accountDeclare(t, b, "q", inproq.QueueConfig{})
		require.NoError(t, inproq.Handle(b, "s", new(accountSink).handle))
		st.set(true)
		began := time.Now()
		run := accountStart(b)
		synctest.Wait()
		require.ErrorIs(t, <-run.result, context.DeadlineExceeded)
		assert.Equal(t, 10*time.Second, time.Since(began))
		run.cancel()
	})
}
