package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A recorder keeps what handlers get.
type recorder[T any] struct {
	mu   sync.Mutex
	got  []T
	at   []time.Time
	full chan struct{} // closed when all are there
	want int
}

func newRecorder[T any](want int) *recorder[T] {
	return &recorder[T]{want: want, full: make(chan struct{})}
}

func (r *recorder[T]) sink(_ int, body T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got, r.at = append(r.got, body), append(r.at, time.Now())
	if len(r.got) == r.want {
		close(r.full)
	}
}

func (r *recorder[T]) wait(t *testing.T) {
	t.Helper()
	select {
	case <-r.full:
	case <-time.After(30 * time.Second):
		require.Fail(t, "not all messages have arrived")
	}
}

// settle ends a queue and returns what has arrived until then: what comes twice is
// twice there.
func settle[T any](t *testing.T, q Queue[T], r *recorder[T]) []T {
	t.Helper()
	r.wait(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, q.Settle(ctx))
	require.NoError(t, q.Close())
	return r.got
}

// numbered is a body that no other message has.
func numbered(n, size int) []byte {
	body := make([]byte, size)
	binary.LittleEndian.PutUint64(body, uint64(n))
	for i := 8; i < size; i++ {
		body[i] = byte(n * i)
	}
	return body
}

// Every contestant delivers every message exactly once and as it was sent, by single
// sends and by batches from several goroutines, to handlers that are there before or
// come later.
func TestContestants(t *testing.T) {
	const producers, sends, batch = 4, 25, 25
	for _, c := range Contestants {
		for name, setup := range map[string]Setup{
			"drain":   {Handlers: handlers, Producers: producers},
			"backlog": {Handlers: handlers, Producers: producers, Backlog: producers * (sends + batch)},
		} {
			t.Run(c.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				q, err := c.Open(setup)
				require.NoError(t, err)
				r := newRecorder[[]byte](producers * (sends + batch))
				if setup.Backlog == 0 {
					require.NoError(t, q.Consume(r.sink))
				}
				want := make([][]byte, producers*(sends+batch))
				for i := range want {
					want[i] = numbered(i, 64+i)
				}
				var senders sync.WaitGroup
				for p := range producers {
					senders.Go(func() {
						mine := want[p*(sends+batch):][:sends+batch]
						for _, body := range mine[:sends] {
							assert.NoError(t, q.Send(t.Context(), body))
						}
						assert.NoError(t, q.SendBatch(t.Context(), mine[sends:]))
					})
				}
				senders.Wait()
				if setup.Backlog > 0 {
					require.NoError(t, q.Consume(r.sink))
				}
				assert.ElementsMatch(t, want, settle(t, q, r))
			})
		}
	}
}

func TestJSONContestants(t *testing.T) {
	for _, c := range Contestants {
		if c.OpenJSON == nil {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			q, err := c.OpenJSON(Setup{Handlers: handlers, Producers: 1})
			require.NoError(t, err)
			var want []Order
			for i := range 20 {
				want = append(want, Order{ID: int64(i), Customer: "ada@example.org", Items: []string{fmt.Sprint("ink ", i)}, Total: 0.5, Paid: i%2 == 0, Count: 1})
			}
			r := newRecorder[Order](len(want))
			require.NoError(t, q.Consume(r.sink))
			for _, o := range want[:10] {
				require.NoError(t, q.Send(t.Context(), o))
			}
			require.NoError(t, q.SendBatch(t.Context(), want[10:]))
			assert.ElementsMatch(t, want, settle(t, q, r))
		})
	}
}

// A contestant says that it has delays exactly if it has, and none ends early.
func TestDelays(t *testing.T) {
	const delay = 150 * time.Millisecond
	for _, c := range Contestants {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			q, err := c.Open(Setup{Handlers: 1, Producers: 1})
			require.NoError(t, err)
			r := newRecorder[[]byte](1)
			require.NoError(t, q.Consume(r.sink))
			d, ok := q.(Delayer)
			assert.Equal(t, c.Delays, ok)
			_, batches := q.(BatchDelayer)
			assert.True(t, batches || !c.Durable || !c.Delays)
			if !ok {
				require.NoError(t, q.Close())
				return
			}
			start := time.Now()
			require.NoError(t, d.SendAfter(t.Context(), numbered(1, 64), delay))
			assert.Equal(t, [][]byte{numbered(1, 64)}, settle(t, q, r))
			assert.GreaterOrEqual(t, r.at[0].Sub(start), delay)
		})
	}
}

// Batches of the durable ones are kept back too.
func TestBatchDelays(t *testing.T) {
	const delay = 150 * time.Millisecond
	for _, c := range Contestants {
		if !c.Durable || !c.Delays {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			q, err := c.Open(Setup{Handlers: 1, Producers: 1})
			require.NoError(t, err)
			want := [][]byte{numbered(1, 64), numbered(2, 65)}
			r := newRecorder[[]byte](len(want))
			require.NoError(t, q.Consume(r.sink))
			start := time.Now()
			require.NoError(t, q.(BatchDelayer).SendBatchAfter(t.Context(), want, delay))
			assert.ElementsMatch(t, want, settle(t, q, r))
			for _, at := range r.at {
				assert.GreaterOrEqual(t, at.Sub(start), delay)
			}
		})
	}
}

// Each message has a body of its own, but those of the floor.
func TestBodies(t *testing.T) {
	for _, c := range Contestants {
		assert.Equal(t, c.Name == floorContestant.Name, c.Shares, c.Name)
	}
	own := bodyOf(4, false)
	one, other := own(), own()
	one[0] = 9
	assert.Equal(t, []byte{1, 0, 0, 0}, other)

	shared := bodyOf(4, true)
	one, other = shared(), shared()
	one[0] = 9
	assert.Equal(t, []byte{9, 0, 0, 0}, other)
}

// The floor has the readers that are best for it, and as many as the others where readers
// do the work.
func TestReadersOfTheFloor(t *testing.T) {
	readers := func(s Setup) int {
		q, err := openFloor(s)
		require.NoError(t, err)
		require.NoError(t, q.Close())
		return q.(*channelQueue[parcel]).setup.Handlers
	}
	assert.Equal(t, 1, readers(Setup{Handlers: 10, Producers: 1}))
	assert.Equal(t, 10, readers(Setup{Handlers: 10, Producers: 16}))
	assert.Equal(t, 10, readers(Setup{Handlers: 10, Producers: 1, Backlog: 100}))

	q, err := floorContestant.OpenJSON(Setup{Handlers: 10, Producers: 1})
	require.NoError(t, err)
	require.NoError(t, q.Close())
	assert.Equal(t, 10, q.(jsonQueue).Queue.(*channelQueue[parcel]).setup.Handlers)
}

// A contestant with one workload takes part in that, and it exists. Those who are durable
// and those who are not meet nowhere.
func TestContestantsTakePart(t *testing.T) {
	takes := map[string][]string{}
	durable := 0
	for _, w := range Workloads(fullEffort) {
		if w.Durable {
			durable++
		}
		for _, c := range Contestants {
			if w.Takes(c) {
				assert.Equal(t, w.Durable, c.Durable)
				takes[c.Name] = append(takes[c.Name], w.ID())
			}
		}
	}
	assert.Equal(t, []string{chartSingle}, takes[inproqTensContestant.Name])
	assert.Len(t, takes[inproqContestant.Name], len(Workloads(fullEffort))-durable)
	assert.Len(t, takes[inproqSQLiteContestant.Name], durable)
}

// The results say of everybody what it is.
func TestContestantsAreDescribed(t *testing.T) {
	names := map[string]bool{}
	for _, c := range Contestants {
		assert.False(t, names[c.Name], "%s is there twice", c.Name)
		names[c.Name] = true
		assert.NotEmpty(t, c.How, c.Name)
		p := c.Promises
		for _, text := range []string{p.IDs, p.Acks, p.Retries, p.Delays, p.DeadLetters, p.Order, p.Survives} {
			assert.NotEmpty(t, text, c.Name)
		}
	}
}
