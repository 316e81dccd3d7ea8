package queuetest_test

import (
	"context"
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
)

// These tests call the store as a broker hardly does.

// openFaulty returns a store with a queue "q" that holds the bodies.
func openFaulty(t *testing.T, inner store.Store, seed uint64, f queuetest.Faults, bodies ...string) *queuetest.FaultStore {
	t.Helper()
	s := queuetest.NewFaultStore(t, inner, seed, f)
	_, err := s.PutQueue(t.Context(), store.Queue{Name: "q"})
	require.NoError(t, err)
	for i, body := range bodies {
		_, err := s.Enqueue(t.Context(), "q", []store.Message{{ID: store.ID{byte(i + 1)}, Body: []byte(body)}})
		require.NoError(t, err)
	}
	return s
}

func leaseOne(t *testing.T, s store.Store) store.Delivery {
	t.Helper()
	got, err := s.Lease(t.Context(), "q", store.Claim{Visibility: time.Minute}, nil)
	require.NoError(t, err)
	require.Len(t, got, 1)
	return got[0]
}

// seedFor finds a seed by which the only message suffers what is wanted.
func seedFor(t *testing.T, want string) uint64 {
	t.Helper()
	for seed := uint64(1); seed < 100; seed++ {
		found := false
		synctest.Test(t, func(t *testing.T) {
			r := newFaultRig(t, seed, queuetest.Faults{Unavailable: 1}, inproq.ConsumerConfig{}, nil)
			r.work(1)
			found = strings.HasSuffix(r.store.Log()[0], want)
		})
		if found {
			return seed
		}
	}
	require.Fail(t, "no seed", want)
	return 0
}

// Only what says what becomes of a message that was handled can go wrong. A Release
// says that nobody has seen it, an Extend that it goes on; that of a lease that was cut
// short is lost.
func TestFaultsLeaveReleaseAndExtendAlone(t *testing.T) {
	tests := map[string]struct {
		seed       uint64
		faults     queuetest.Faults
		extendLost []int
		log        int
	}{
		"duplicate":         {1, queuetest.Faults{Duplicate: 1}, nil, 0},
		"crash":             {1, queuetest.Faults{Crash: 1}, nil, 0},
		"expire":            {1, queuetest.Faults{Expire: 1}, []int{0}, 2},
		"settle refused":    {seedFor(t, "nothing settled"), queuetest.Faults{Unavailable: 1}, nil, 0},
		"settle unanswered": {seedFor(t, "message settled"), queuetest.Faults{Unavailable: 1}, nil, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openFaulty(t, memory.New(), test.seed, test.faults)
				// As the seed was found: number and queue decide.
				_, err := s.PutQueue(t.Context(), store.Queue{Name: "jobs"})
				require.NoError(t, err)
				_, err = s.Enqueue(t.Context(), "jobs", []store.Message{{ID: store.ID{1}}})
				require.NoError(t, err)
				for range 2 {
					got, err := s.Lease(t.Context(), "jobs", store.Claim{Visibility: time.Minute}, nil)
					require.NoError(t, err)
					require.Len(t, got, 1)
					assert.Equal(t, 1, got[0].Attempts, "the first was given back unseen")
					for range 2 {
						lost, err := s.Settle(t.Context(), "jobs", []store.Outcome{{Lease: got[0].Lease, Verb: store.Extend, Delay: time.Hour}})
						require.NoError(t, err)
						assert.Equal(t, test.extendLost, lost)
					}
					lost, err := s.Settle(t.Context(), "jobs", []store.Outcome{{Lease: got[0].Lease, Verb: store.Release}})
					require.NoError(t, err)
					assert.Empty(t, lost)
				}
				assert.Len(t, s.Log(), test.log)
			})
		})
	}
}

// An Extend changes nothing about what comes.
func TestFaultComesAfterAnExtend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openFaulty(t, memory.New(), 1, queuetest.Faults{Crash: 1}, "a")
		d := leaseOne(t, s)
		_, err := s.Settle(t.Context(), "q", []store.Outcome{{Lease: d.Lease, Verb: store.Extend, Delay: time.Hour}})
		require.NoError(t, err)
		_, err = s.Settle(t.Context(), "q", []store.Outcome{{Lease: d.Lease}})
		assert.ErrorContains(t, err, "crash before the settlement arrived")
		time.Sleep(2 * time.Second)
		assert.Equal(t, 2, leaseOne(t, s).Attempts)
	})
}

// What cannot be settled because another has it is lost, and no fault of this store's
// keeps the broker from learning it.
func TestFaultsDoNotHideALostLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := uint64(1); seed <= 20; seed++ {
			s := openFaulty(t, memory.New(), seed, queuetest.Faults{Unavailable: 0.5, Duplicate: 0.5, Crash: 0.5}, "a")
			old := store.Delivery{}
			for old.Lease == "" { // Lease may be unavailable
				if got, err := s.Lease(t.Context(), "q", store.Claim{Visibility: time.Second}, nil); err == nil && len(got) > 0 {
					old = got[0]
				}
				time.Sleep(2 * time.Second)
			}
			for again := 0; again == 0; {
				got, err := s.Lease(t.Context(), "q", store.Claim{Visibility: time.Hour}, nil)
				if err == nil {
					again = len(got)
				}
				time.Sleep(2 * time.Second)
			}
			lost, err := s.Settle(t.Context(), "q", []store.Outcome{{Lease: old.Lease}})
			for tries := 0; err != nil; tries++ {
				require.ErrorIs(t, err, store.ErrUnavailable)
				require.Zero(t, tries, "seed %d: it fails for ever", seed)
				lost, err = s.Settle(t.Context(), "q", []store.Outcome{{Lease: old.Lease}})
			}
			assert.Equal(t, []int{0}, lost, "seed %d", seed)
		}
	})
}

// An awkwardStore ends the caller's context when it has leased, or refuses to
// settle.
type awkwardStore struct {
	store.Store
	leased func()
	settle error // what Settle returns
}

func (s *awkwardStore) Lease(ctx context.Context, queue string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
	defer s.leased()
	return s.Store.Lease(ctx, queue, c, buf)
}

func (s *awkwardStore) Settle(ctx context.Context, queue string, outcomes []store.Outcome) ([]int, error) {
	if s.settle != nil {
		return nil, s.settle
	}
	return s.Store.Settle(ctx, queue, outcomes)
}

func TestFaultsHappenWhenTheLeaseWasInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := openFaulty(t, &awkwardStore{Store: memory.New(), leased: cancel}, 1, queuetest.Faults{Expire: 1}, "a")
		got, err := s.Lease(ctx, "q", store.Claim{Visibility: time.Hour}, nil)
		require.NoError(t, err)
		require.Len(t, got, 1)
		assert.Len(t, s.Log(), 1)
	})
}

// Where the inner store does not take part, there is no fault.
func TestFaultsThatCannotBe(t *testing.T) {
	all := queuetest.Faults{Expire: 1, Unavailable: 1, Reorder: 1}
	for seed := uint64(1); seed <= 20; seed++ {
		synctest.Test(t, func(t *testing.T) {
			inner := &awkwardStore{Store: memory.New(), leased: func() {}}
			s := openFaulty(t, inner, seed, all, "a")
			inner.settle = store.ErrReadOnly
			d := leaseOne(t, s)
			inner.settle = nil
			lost, err := s.Settle(t.Context(), "q", []store.Outcome{{Lease: d.Lease}})
			if err != nil { // the fault of a Settle
				require.ErrorIs(t, err, store.ErrUnavailable)
				return
			}
			assert.Empty(t, lost)
			assert.Empty(t, s.Log())
		})
	}
}

// What the inner store says of a send is what the sender hears, if the send gets there.
func TestFaultSendErrorOfAnUnknownQueue(t *testing.T) {
	heard := map[error]bool{}
	for seed := uint64(1); seed <= 20; seed++ {
		s := queuetest.NewFaultStore(t, memory.New(), seed, queuetest.Faults{SendError: 1})
		_, err := s.Enqueue(t.Context(), "q", []store.Message{{ID: store.ID{1}}})
		for _, known := range []error{store.ErrUnavailable, store.ErrQueueNotFound} {
			if assert.Error(t, err) && strings.Contains(err.Error(), known.Error()) {
				heard[known] = true
			}
		}
	}
	assert.Len(t, heard, 2)
}

// Messages that overtake others are leased as the claim says.
func TestFaultReorderKeepsToTheClaim(t *testing.T) {
	overtaken := 0
	for seed := uint64(1); seed <= 40; seed++ {
		synctest.Test(t, func(t *testing.T) {
			s := openFaulty(t, memory.New(), seed, queuetest.Faults{Reorder: 1}, "one", "two", "three", "four")
			out, err := s.Lease(t.Context(), "q", store.Claim{Max: 4, Bytes: 7, Visibility: time.Hour}, []store.Delivery{{Attempts: 99}})
			require.NoError(t, err)
			assert.Equal(t, 99, out[0].Attempts, "what was in the buffer stays")
			size, got := 0, map[string]bool{}
			for _, d := range out[1:] {
				size += len(d.Body)
				got[string(d.Body)] = true
			}
			assert.LessOrEqual(t, size, 7)
			if got["three"] {
				overtaken++
			}
			time.Sleep(59 * time.Minute)
			for range 4 - len(got) {
				body := string(leaseOne(t, s).Body)
				assert.False(t, got[body], "%q was leased twice", body)
				got[body] = true
			}
		})
	}
	assert.True(t, overtaken > 3 && overtaken < 20, "%d of 40", overtaken)
}
