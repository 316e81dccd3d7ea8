package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

// 10,000 dead letters of several queues go back, in redrives that are interrupted wherever it may
// be: when a letter is looked at, before and after the store has moved some, and while the next
// ones wait for their time. After each one every message is in its queue or still a dead letter,
// exactly once, and the numbers add up.
func TestRedriveInterruptedAnywhere(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { redriveInterrupted(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func redriveInterrupted(t *testing.T, random *rand.Rand) {
	const total = 10_000
	sources := make(map[string][]string)
	for i := range total {
		name := fmt.Sprint("source-", random.IntN(7))
		sources[name] = append(sources[name], fmt.Sprint(name, " ", i))
	}
	st := accountStore(t)
	redriveKill(t, st, sources)
	var interrupt func(place string) // of the redrive that runs
	b := accountBroker(t, inproq.Config{Store: &redriveStore{Store: st,
		settle: func(ctx context.Context, queue string, o []store.Outcome, next redriveSettle) ([]int, error) {
			interrupt("before the move")
			lost, err := next(ctx, queue, o)
			interrupt("after the move")
			return lost, err
		},
	}})
	places := []string{"look", "before the move", "after the move", "pace", "never"}
	moved, calls := 0, make(map[string]int)
	for moved < total {
		place := places[random.IntN(len(places))]
		ctx, cancel := context.WithCancel(t.Context())
		left := 1 + random.IntN(map[string]int{"look": 800}[place]+8)
		interrupt = func(at string) {
			if at == place {
				if left--; left == 0 {
					cancel()
				}
			}
		}
		cfg := inproq.RedriveConfig{Filter: func(inproq.PeekedMessage) bool { interrupt("look"); return true }}
		switch place {
		case "pace":
			cfg.PerSecond = 1 + random.IntN(900)
			time.AfterFunc(time.Duration(random.Int64N(int64(2*time.Second))), cancel)
		case "never":
			cfg.Max = 1 + random.IntN(300)
		}
		n, err := b.Redrive(ctx, redriveDead, "", cfg)
		if ctx.Err() == nil {
			require.NoError(t, err)
		} else if err != nil {
			require.ErrorIs(t, err, context.Canceled)
		}
		cancel()
		if moved += n; n > 0 {
			calls[place]++
		}
		require.Equal(t, total-moved, accountCount(t, b, redriveDead), "interrupted: %s", place)
		if len(calls) == len(places) && random.IntN(4) == 0 || moved == total {
			redriveCheckPlaces(t, b, sources, false)
		}
	}
	assert.Equal(t, slices.Sorted(slices.Values(places)), slices.Sorted(maps.Keys(calls)), "each place was met")
	assert.Zero(t, accountCount(t, b, redriveDead))
}

// redriveCheckPlaces checks that every message is in its queue or a dead letter, and only once unless
// there may be copies.
func redriveCheckPlaces(t *testing.T, b *inproq.Broker, sources map[string][]string, copies bool) {
	t.Helper()
	all := redriveText(t, b, redriveDead)
	var want []string
	for name, bodies := range sources {
		here := redriveText(t, b, name)
		own := make(map[string]bool)
		for _, body := range bodies {
			own[body] = true
		}
		for _, body := range here {
			require.True(t, own[body], "%q is in %q", body, name)
		}
		all, want = append(all, here...), append(want, bodies...)
	}
	slices.Sort(all)
	slices.Sort(want)
	if copies {
		all = slices.Compact(all)
	}
	require.True(t, slices.Equal(want, all), "%d messages are here, %d should be", len(all), len(want))
}

// redriveTorn is a store whose move is an Enqueue and then an Ack, either of which may fail.
type redriveTorn struct {
	store.Store
	fail func() bool
}

var errTorn = errors.New("connection reset")

func (s *redriveTorn) Guarantee() store.Guarantee {
	g := s.Store.Guarantee()
	g.AtomicMove = false
	return g
}

func (s *redriveTorn) Settle(ctx context.Context, queue string, outcomes []store.Outcome) (lost []int, err error) {
	all, err := s.Peek(ctx, queue, "", 1_000_000)
	if err != nil {
		return nil, err
	}
	for i, o := range outcomes {
		at := slices.IndexFunc(all, func(d store.Delivery) bool { return d.Lease == o.Lease })
		if at < 0 {
			lost = append(lost, i)
			continue
		}
		if s.fail() {
			return nil, errTorn
		}
		m := all[at].Message
		if o.Headers != nil {
			m.Headers = o.Headers
		}
		if _, err := s.Enqueue(ctx, o.To, []store.Message{m}); err != nil {
			return nil, err
		}
		if s.fail() {
			return nil, errTorn
		}
		if _, err := s.Store.Settle(ctx, queue, []store.Outcome{{Lease: o.Lease, Verb: store.Ack}}); err != nil {
			return nil, err
		}
	}
	return lost, nil
}

// With a store that may fail in the middle of a move there may be copies, and nothing is lost.
func TestRedriveOfAStoreThatTearsMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		sources := map[string][]string{"a": redriveBodies("a", 200), "b": redriveBodies("b", 170)}
		st := accountStore(t)
		redriveKill(t, st, sources)
		b := accountBroker(t, inproq.Config{Store: &redriveTorn{st, func() bool { return random.IntN(40) == 0 }}})
		failures := 0
		for {
			before := len(redriveAll(t, b, redriveDead))
			n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{})
			left := len(redriveAll(t, b, redriveDead))
			require.GreaterOrEqual(t, before-left, n, "it may have moved more than it knows")
			redriveCheckPlaces(t, b, sources, true)
			if err == nil {
				require.Zero(t, left)
				break
			}
			require.ErrorIs(t, err, errTorn)
			failures++
		}
		assert.Greater(t, failures, 5)
		for _, name := range []string{"a", "b"} {
			for _, m := range redriveAll(t, b, name) {
				_, dead := m.DeadLetter()
				require.False(t, dead)
			}
		}
	})
}
