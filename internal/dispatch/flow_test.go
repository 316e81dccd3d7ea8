package dispatch

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/store"
)

// Two batches of ten end together, and nothing comes. Whatever the order in which
// they leave the store, are counted and looked for, nothing has arrived.
func TestBatchesThatEndTogetherAreNoArrivals(t *testing.T) {
	begin := func() *flow {
		f := new(flow)
		require.EqualValues(t, 20, f.arrived(f.mark(), store.Stats{Messages: 20}))
		f.leaving = 20
		return f
	}
	counted := func(f *flow) { f.left, f.leaving = f.left+10, f.leaving-10 }

	f := begin()
	counted(f)
	m := f.mark()
	assert.Zero(t, f.arrived(m, store.Stats{}), "both have left the store, one is counted")
	counted(f)
	assert.Zero(t, f.arrived(f.mark(), store.Stats{}), "nor later")

	f = begin()
	counted(f)
	m = f.mark()
	counted(f)
	assert.Zero(t, f.arrived(m, store.Stats{Messages: 10}), "the second was counted after the store had answered")
	assert.Zero(t, f.arrived(f.mark(), store.Stats{}), "nor later")
}

// What settlements cannot explain was a purge, and what comes after one counts.
func TestPurgeWhileBatchesEnd(t *testing.T) {
	f := new(flow)
	require.EqualValues(t, 1000, f.arrived(f.mark(), store.Stats{Messages: 1000}))
	f.leaving = 20
	m := f.mark()
	assert.Zero(t, f.arrived(m, store.Stats{}))
	f.left, f.leaving = 20, 0
	assert.EqualValues(t, 7, f.arrived(f.mark(), store.Stats{Messages: 7}))

	m = f.mark()
	assert.Zero(t, f.arrived(m, store.Stats{}))
	f.leaving = 4
	assert.Zero(t, f.arrived(m, store.Stats{}), "another sees the same purge")
	assert.EqualValues(t, 9, f.arrived(f.mark(), store.Stats{Messages: 9}))
}

// An answer that was overtaken by a younger one says nothing new.
func TestOvertakenAnswer(t *testing.T) {
	f := new(flow)
	require.EqualValues(t, 10, f.arrived(f.mark(), store.Stats{Messages: 10}))
	m := f.mark()
	assert.EqualValues(t, 5, f.arrived(f.mark(), store.Stats{Messages: 15}))
	assert.Zero(t, f.arrived(m, store.Stats{Messages: 12}))
	assert.Zero(t, f.arrived(f.mark(), store.Stats{Messages: 15}), "the three are not counted twice")
}

// TestArrivalsInAnyOrder takes every step of many handlers in an order of chance: no
// message is counted before it came, or twice, and in the end all are.
func TestArrivalsInAnyOrder(t *testing.T) {
	type settlement struct{ acked, retried int64 }
	type question struct {
		mark
		store.Stats
	}
	rapid.Check(t, func(t *rapid.T) {
		var (
			f                       flow
			messages, held, expired int64 // in the store; of them, in settlements that began; gone
			came, counted           int64
			begun, applied          []settlement
			asking, asked           []question
		)
		take := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "which") }
		sample := func(q question) {
			counted += f.arrived(q.mark, q.Stats)
			if counted > came {
				t.Fatalf("%d counted, %d came", counted, came)
			}
		}
		conclude := func(s settlement) {
			f.leaving -= s.acked
			f.left += s.acked
			f.back += s.retried
			came += s.retried
		}
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				n := rapid.Int64Range(1, 20).Draw(t, "n")
				messages, came = messages+n, came+n
			},
			"expire": func(t *rapid.T) {
				if n := messages - held; n > 0 {
					n = rapid.Int64Range(1, n).Draw(t, "n")
					messages, expired = messages-n, expired+n
				}
			},
			"begin": func(t *rapid.T) {
				n := rapid.Int64Range(0, messages-held).Draw(t, "n")
				s := settlement{acked: rapid.Int64Range(0, n).Draw(t, "acked")}
				s.retried = n - s.acked
				held += n
				f.leaving += s.acked
				begun = append(begun, s)
			},
			"apply": func(t *rapid.T) {
				if len(begun) > 0 {
					i := take(len(begun))
					s := begun[i]
					begun = append(begun[:i], begun[i+1:]...)
					messages, held = messages-s.acked, held-s.acked-s.retried
					applied = append(applied, s)
				}
			},
			"count": func(t *rapid.T) {
				if len(applied) > 0 {
					i := take(len(applied))
					conclude(applied[i])
					applied = append(applied[:i], applied[i+1:]...)
				}
			},
			"ask": func(t *rapid.T) { asking = append(asking, question{mark: f.mark()}) },
			"answer": func(t *rapid.T) {
				if len(asking) > 0 {
					i := take(len(asking))
					q := asking[i]
					asking = append(asking[:i], asking[i+1:]...)
					q.Stats = store.Stats{Messages: messages, Expired: expired}
					asked = append(asked, q)
				}
			},
			"sample": func(t *rapid.T) {
				if len(asked) > 0 {
					i := take(len(asked))
					sample(asked[i])
					asked = append(asked[:i], asked[i+1:]...)
				}
			},
		})
		for _, s := range applied {
			conclude(s)
		}
		for _, q := range asked {
			sample(q)
		}
		sample(question{f.mark(), store.Stats{Messages: messages, Expired: expired}})
		if counted != came {
			t.Fatalf("%d counted, %d came", counted, came)
		}
	})
}

// A store that lets messages go at once, and every other time takes long to say so,
// makes no arrivals.
func TestLateSettlementsAreNoArrivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, takes(time.Second), with(func(s *Settings) { s.MaxConcurrency = 10 }))
		var calls atomic.Int64
		r.spy.onSettle(func(ctx context.Context, queue string, o []store.Outcome) ([]int, error) {
			lost, err := r.store.Settle(ctx, queue, o)
			if calls.Add(1)%2 == 0 {
				time.Sleep(2500 * time.Millisecond)
			}
			return lost, err
		})
		r.Start(t.Context())
		for range 120 {
			r.send(10) // in a second
			time.Sleep(time.Second)
		}
		assert.InDelta(t, 10, r.State().LastScale.ArrivalRate, 1)
	})
}

// A lateStore is slow to say that ten messages are left.
type lateStore struct{ store.Store }

func (s lateStore) Stats(ctx context.Context, queue string) (store.Stats, error) {
	st, err := s.Store.Stats(ctx, queue)
	if st.Messages == 10 {
		time.Sleep(time.Minute)
	}
	return st, err
}

// The second batch leaves while the first waits for figures that still have it.
func TestLateFiguresAreNoArrivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(_ context.Context, b *Batch) error {
			time.Sleep(time.Duration(number(&b.Deliveries[0])) * time.Second)
			return nil
		}, with(func(s *Settings) { s.MaxConcurrency = 2 }))
		r.spy.Store = lateStore{r.store}
		r.Start(t.Context())
		r.grow(2)
		r.send(20) // in batches that take 1 and 11 seconds
		time.Sleep(30 * time.Second)
		assert.Equal(t, flow{left: 20, known: 20}, r.flowNow(), "the second has asked")
		time.Sleep(time.Hour)
		assert.Equal(t, flow{left: 20, known: 20}, r.flowNow(), "both have")
	})
}

// Figures that come with the acknowledgement are without the batch, which counts as gone
// already then: else its arrivals would be those of the next.
func TestArrivalsAreCountedWithTheirBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed, local)
		for n := int64(10); n <= 30; n += 10 {
			r.send(10)
			synctest.Wait()
			assert.Equal(t, flow{left: n, known: n}, r.flowNow())
			time.Sleep(time.Second)
		}
	})
}

// A settlement is under way until it has succeeded or failed.
func TestNothingLeavesForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(_ context.Context, b *Batch) error { b.Retry(0, settlement.Retry{}); return nil },
			with(func(s *Settings) { s.MaxRetries = 0 }))
		r.send(10) // of which one is spent
		time.Sleep(time.Minute)
		assert.Equal(t, flow{left: 10, known: 10}, r.flowNow())

		r.spy.onSettle(func(context.Context, string, []store.Outcome) ([]int, error) {
			assert.EqualValues(t, 10, r.flowNow().leaving)
			return nil, errors.New("disk full")
		})
		r.send(10)
		time.Sleep(time.Minute)
		assert.Zero(t, r.flowNow().leaving)

		r.spy.onSettle(nil)
		time.Sleep(time.Hour) // the leases run out: the messages are buried
		assert.Zero(t, r.stats().Messages)
		assert.Equal(t, flow{left: 20, known: 20}, r.flowNow())
	})
}

func (r *rig) flowNow() flow {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.flow
}
