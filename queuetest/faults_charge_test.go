package queuetest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/queuetest"
	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/memory"
)

// A busyStore calls between after each settlement that has worked, before it answers: as
// if another goroutine came then.
type busyStore struct {
	store.Store
	between func()
	fails   int // settlements that fail first
}

func (s *busyStore) Settle(ctx context.Context, queue string, outcomes []store.Outcome) ([]int, error) {
	if s.fails > 0 {
		s.fails--
		return nil, store.ErrUnavailable
	}
	lost, err := s.Store.Settle(ctx, queue, outcomes)
	if err == nil && s.between != nil {
		s.between()
	}
	return lost, err
}

// Faults use up no more than two attempts, also when a message is leased again before the
// call that has made it ready returns.
func TestFaultsAreCountedBeforeTheMessageIsReady(t *testing.T) {
	for name, f := range map[string]queuetest.Faults{
		"duplicate": {Duplicate: 1}, "crash": {Crash: 1}, "expire": {Expire: 1}, "unavailable": {Unavailable: 1},
	} {
		for seed := uint64(1); seed <= 5; seed++ {
			t.Run(fmt.Sprintf("%s/seed=%d", name, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					inner := &busyStore{Store: memory.New()}
					s := openFaulty(t, inner, seed, f, "a")
					attempts, depth := 0, 0
					work := func() {
						depth++
						defer func() { depth-- }()
						time.Sleep(2 * time.Second) // longer than any lease that is cut short
						require.Less(t, depth, 30, "faults without end")
						got, _ := s.Lease(t.Context(), "q", store.Claim{Visibility: time.Hour}, nil)
						for _, d := range got {
							attempts = max(attempts, d.Attempts)
							settleStubborn(t, s, store.Outcome{Lease: d.Lease, Verb: store.Ack})
						}
					}
					inner.between = work
					for range 20 {
						work()
					}
					assert.LessOrEqual(t, attempts, 3)
					st, err := s.Stats(t.Context(), "q")
					require.NoError(t, err)
					assert.Zero(t, st.Messages)
				})
			})
		}
	}
}

// settleStubborn settles, as often as it takes while the store is unavailable.
func settleStubborn(t *testing.T, s store.Store, o store.Outcome) {
	t.Helper()
	for range 10 {
		if _, err := s.Settle(t.Context(), "q", []store.Outcome{o}); !errors.Is(err, store.ErrUnavailable) {
			return
		}
	}
	require.Fail(t, "unavailable for ever")
}

// A fault that did not come to pass, because the store behind failed, is not counted: there
// are as many as ever.
func TestFaultsThatFailAreNotCounted(t *testing.T) {
	for name, f := range map[string]queuetest.Faults{"duplicate": {Duplicate: 1}, "crash": {Crash: 1}, "expire": {Expire: 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := &busyStore{Store: memory.New(), fails: 3}
				s := openFaulty(t, inner, 1, f, "a")
				attempts := 0
				for range 10 {
					time.Sleep(2 * time.Second) // longer than any lease that is cut short
					got, err := s.Lease(t.Context(), "q", store.Claim{Visibility: time.Hour}, nil)
					require.NoError(t, err)
					if len(got) == 0 {
						break
					}
					o := store.Outcome{Lease: got[0].Lease, Verb: store.Ack}
					if attempts = got[0].Attempts; name == "expire" && attempts == 1 {
						o.Verb = store.Retry // its lease was not cut short
					}
					settleStubborn(t, s, o)
				}
				assert.Len(t, s.Log(), 2)
				most := map[string]int{"duplicate": 3, "crash": 3, "expire": 4}[name]
				assert.Equal(t, most, attempts)
			})
		})
	}
}

// A Lease that was to fail, and could not give back what it had leased, works; its fault is
// not counted.
func TestFaultsOfALeaseThatFailAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, what := range []string{"Lease unavailable, nothing leased", "Lease unavailable, message leased"} {
			inner := &busyStore{Store: memory.New(), fails: 1}
			s := openFaulty(t, inner, seedOfLease(t, what), queuetest.Faults{Unavailable: 1}, "a")
			d := leaseOne(t, s)
			assert.Empty(t, s.Log())
			settleStubborn(t, s, store.Outcome{Lease: d.Lease, Verb: store.Release})
			_, err := s.Lease(t.Context(), "q", store.Claim{Visibility: time.Hour}, nil)
			require.ErrorIs(t, err, store.ErrUnavailable, "the same attempt has its fault yet to come")
			require.Len(t, s.Log(), 1)
			assert.Contains(t, s.Log()[0], "attempt 1: "+what)
		}
	})
}

// seedOfLease finds a seed by which the first Lease suffers what is wanted.
func seedOfLease(t *testing.T, want string) uint64 {
	t.Helper()
	for seed := uint64(1); seed < 100; seed++ {
		s := openFaulty(t, memory.New(), seed, queuetest.Faults{Unavailable: 1}, "a")
		_, err := s.Lease(t.Context(), "q", store.Claim{Visibility: time.Hour}, nil)
		if err != nil && strings.HasSuffix(s.Log()[0], want) {
			return seed
		}
	}
	require.Fail(t, "no seed", want)
	return 0
}
