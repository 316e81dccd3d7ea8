package dispatch

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/store"
)

// A watcher wants some kinds, and keeps what it is told.
type watcher struct {
	kinds Kinds
	mu    sync.Mutex
	told  []Happening
}

func (w *watcher) Watched() Kinds { return w.kinds }

func (w *watcher) Observe(h Happening) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h.Delivery = nil // valid during the call
	w.told = append(w.told, h)
}

// all returns what it was told so far.
func (w *watcher) all() []Happening {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Happening(nil), w.told...)
}

// watchedBy adjusts the observer of a rig.
func watchedBy(w *watcher) func(*Config) { return func(c *Config) { c.Observer = w } }

// loseAnswer makes the store's next Settle take effect, or not, and its answer get lost.
func (r *rig) loseAnswer(applied bool) {
	lost := false
	r.spy.onSettle(func(ctx context.Context, queue string, o []store.Outcome) ([]int, error) {
		if lost {
			return r.store.Settle(ctx, queue, o)
		}
		lost = true
		if applied {
			_, err := r.store.Settle(ctx, queue, o)
			assert.NoError(r.t, err)
		}
		return nil, errDown
	})
}

const (
	textLost   = "lease lost: the message is delivered again"
	textUnsure = "the store's answer was lost: the message is settled, or delivered again"
)

// When a settlement takes effect and its answer is lost, the leases are gone at the second attempt.
// Then the log and the event say that nobody knows.
func TestLostAnswerIsToldAsUnsure(t *testing.T) {
	settle := map[string]func(*rig) []Happening{
		"of a handler": func(r *rig) []Happening {
			r.Start(r.t.Context())
			time.Sleep(time.Minute)
			return r.Observer.(*watcher).all()
		},
		"of a pull": func(r *rig) []Happening {
			b, err := r.Pull(r.t.Context(), r.settings, store.Claim{Max: 10, Visibility: time.Hour})
			require.NoError(r.t, err)
			b.AckAll()
			tally, lost, err := b.Settle(r.t.Context())
			require.NoError(r.t, err)
			assert.Equal(r.t, Tally{Lost: 1}, tally)
			assert.Equal(r.t, []int{0}, lost)
			return r.Observer.(*watcher).all()
		},
		"by lease": func(r *rig) []Happening {
			found, err := r.store.Lease(r.t.Context(), "q", store.Claim{Max: 1, Visibility: time.Hour}, nil)
			require.NoError(r.t, err)
			require.Len(r.t, found, 1)
			decided := []Decision{{Holding: Holding{Delivery: found[0], Size: 1}}} // to be acknowledged
			tally, _, err := r.SettleHeld(r.t.Context(), r.settings, decided)
			require.NoError(r.t, err)
			assert.Equal(r.t, Tally{Lost: 1}, tally)
			return r.Observer.(*watcher).all()
		},
	}
	for name, settle := range settle {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, succeed, watchedBy(&watcher{kinds: Kinds(0).With(LeaseLost)}))
				r.loseAnswer(true)
				r.send(1)
				told := settle(r)
				require.Len(t, told, 1)
				assert.Equal(t, LeaseLost, told[0].Kind)
				require.ErrorIs(t, told[0].Err, errUnsure)
				if name == "of a handler" { // who pulls is told by the result
					assert.Len(t, r.book.find(textUnsure), 1)
				}
				assert.Empty(t, r.book.find(textLost))
				assert.Zero(t, r.stats().Messages)
				assert.Zero(t, r.cfg.Counters.Acked.Load())
				assert.EqualValues(t, 1, r.cfg.Counters.LeasesLost.Load())
			})
		})
	}
}

// A lease that is lost without that is lost for sure.
func TestLostLeaseIsToldAsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watcher{kinds: Kinds(0).With(LeaseLost)}
		r := newRig(t, succeed, watchedBy(w))
		r.spy.onSettle(func(_ context.Context, _ string, o []store.Outcome) ([]int, error) { return []int{0}, nil })
		r.send(1)
		r.Start(t.Context())
		time.Sleep(10 * time.Second)
		told := w.all()
		require.Len(t, told, 1)
		require.NoError(t, told[0].Err)
		assert.Len(t, r.book.find(textLost), 1)
		assert.Empty(t, r.book.find(textUnsure))
	})
}

// A call that got lost before it took effect leaves no doubt either.
func TestLostCallIsNoLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watcher{kinds: Kinds(0).With(LeaseLost)}
		r := start(t, succeed, watchedBy(w))
		r.loseAnswer(false)
		r.send(1)
		time.Sleep(10 * time.Second)
		assert.Empty(t, w.all())
		assert.EqualValues(t, 1, r.cfg.Counters.Acked.Load())
	})
}

// A queue that was deleted makes no dead-letter queue: nobody misses it. One that is there does.
func TestDeadLetterQueueOfADeletedQueue(t *testing.T) {
	for name, deleted := range map[string]bool{"deleted": true, "there": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, succeed, with(func(s *Settings) { s.MaxRetries, s.DeadLetterQueue = 0, "dead" }))
				r.send(1)
				b, err := r.Pull(t.Context(), r.settings, store.Claim{Max: 1, Visibility: time.Hour})
				require.NoError(t, err)
				b.RetryAll(settlement.Retry{Cause: errors.New("refused")})
				if deleted {
					require.NoError(t, r.store.DeleteQueue(t.Context(), "q"))
				}
				_, _, err = b.Settle(t.Context())
				_, missing := r.store.Stats(t.Context(), "dead")
				if deleted {
					require.ErrorIs(t, err, store.ErrQueueNotFound)
					require.ErrorIs(t, missing, store.ErrQueueNotFound)
					return
				}
				require.NoError(t, err)
				require.NoError(t, missing)
				assert.Len(t, r.peek("dead"), 1)
			})
		})
	}
}
