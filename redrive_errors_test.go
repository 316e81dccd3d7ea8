package inproq_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

func TestRedriveRefuses(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	accountDeclare(t, b, redriveDead, inproq.QueueConfig{})
	accountDeclare(t, b, "jobs", inproq.QueueConfig{})
	for name, c := range map[string]struct {
		from, to string
		cfg      inproq.RedriveConfig
		err      error
		text     []string
	}{
		"to itself":            {redriveDead, redriveDead, inproq.RedriveConfig{}, inproq.ErrInvalidConfig, []string{"to", `"dead"`}},
		"from no name":         {"-", "jobs", inproq.RedriveConfig{}, inproq.ErrInvalidQueueName, []string{"-"}},
		"from nothing":         {"", "", inproq.RedriveConfig{}, inproq.ErrInvalidQueueName, nil},
		"to no name":           {redriveDead, "-", inproq.RedriveConfig{}, inproq.ErrInvalidQueueName, []string{"-"}},
		"from an unknown one":  {"unknown", "jobs", inproq.RedriveConfig{}, inproq.ErrQueueNotFound, []string{`"unknown"`}},
		"to an unknown one":    {redriveDead, "unknown", inproq.RedriveConfig{}, inproq.ErrQueueNotFound, []string{`"unknown"`}},
		"negative Max":         {redriveDead, "", inproq.RedriveConfig{Max: -1}, inproq.ErrInvalidConfig, []string{"Max", "-1", "0 to"}},
		"negative PerSecond":   {redriveDead, "", inproq.RedriveConfig{PerSecond: -1}, inproq.ErrInvalidConfig, []string{"PerSecond", "-1", "0 to"}},
		"everything that is":   {redriveDead, redriveDead, inproq.RedriveConfig{Max: -2, PerSecond: -3}, inproq.ErrInvalidConfig, []string{"to", "Max", "-2", "PerSecond", "-3"}},
		"largest Max":          {redriveDead, "", inproq.RedriveConfig{Max: math.MaxInt}, nil, nil},
		"largest PerSecond":    {redriveDead, "", inproq.RedriveConfig{PerSecond: math.MaxInt32}, nil, nil},
		"zero means no bounds": {redriveDead, "", inproq.RedriveConfig{}, nil, nil},
	} {
		n, err := b.Redrive(t.Context(), c.from, c.to, c.cfg)
		assert.Zero(t, n, name)
		if c.err == nil {
			assert.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, c.err, name)
		for _, text := range c.text {
			assert.ErrorContains(t, err, text, name)
		}
	}
	require.NoError(t, b.Shutdown(t.Context()))
	_, err := b.Redrive(t.Context(), redriveDead, "jobs", inproq.RedriveConfig{})
	require.ErrorIs(t, err, inproq.ErrBrokerClosed)
}

func TestRedrivePerSecondIsBounded(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("there is no larger int")
	}
	b := accountBroker(t, inproq.Config{})
	_, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{PerSecond: math.MaxInt32 + uint1()})
	require.ErrorIs(t, err, inproq.ErrInvalidConfig)
	require.ErrorContains(t, err, "PerSecond is 2147483648, allowed: 0 to 2147483647")
}

// uint1 is 1, for sums that the compiler must not know where int has 32 bits.
func uint1() int { return 1 }

// Letters whose queue is gone stay, and are told of at the end.
func TestRedriveOfGoneSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		redriveKill(t, st, map[string][]string{
			"a": redriveBodies("a", 3), "b": redriveBodies("b", 150), "c": redriveBodies("c", 2), "d": redriveBodies("d", 7),
		})
		b := accountBroker(t, inproq.Config{Store: st})
		require.NoError(t, b.DeleteQueue(t.Context(), "a"))
		require.NoError(t, b.DeleteQueue(t.Context(), "c"))
		for _, dry := range []bool{true, false} {
			n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{DryRun: dry})
			require.ErrorIs(t, err, inproq.ErrQueueNotFound)
			text := err.Error()
			require.Contains(t, text, `"a", 3 of its dead letters stay in "dead"`)
			require.Contains(t, text, `"c", 2 of its dead letters stay in "dead"`)
			assert.Less(t, strings.Index(text, `"a"`), strings.Index(text, `"c"`))
			assert.Equal(t, 157, n)
		}
		assert.Len(t, redriveText(t, b, "b"), 150)
		assert.Len(t, redriveText(t, b, "d"), 7)
		assert.Len(t, redriveText(t, b, redriveDead), 5)
		n, err := b.Redrive(t.Context(), redriveDead, "b", inproq.RedriveConfig{})
		require.NoError(t, err, "there is another way out")
		assert.Equal(t, 5, n)
	})
}

// redriveVanish deletes a queue before the first move.
func redriveVanish(queue string) func(store.Store) store.Store {
	return func(st store.Store) store.Store {
		first := true
		return &redriveStore{Store: st, settle: func(ctx context.Context, from string, o []store.Outcome, next redriveSettle) ([]int, error) {
			if first {
				first = false
				if err := st.DeleteQueue(ctx, queue); err != nil {
					return nil, err
				}
			}
			return next(ctx, from, o)
		}}
	}
}

// A queue that is deleted between the look and the move keeps only its own letters back.
func TestRedriveWhileASourceVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		redriveKill(t, st, map[string][]string{"a": redriveBodies("a", 5), "b": redriveBodies("b", 6)})
		b := accountBroker(t, inproq.Config{Store: redriveVanish("a")(st)})
		events := redriveWatch(t, b, inproq.EventRedriven)
		n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{})
		require.ErrorIs(t, err, inproq.ErrQueueNotFound)
		require.ErrorContains(t, err, `"a", 5 of its`)
		assert.Equal(t, 6, n)
		assert.Len(t, events.list(), 6)
		assert.Len(t, redriveText(t, b, "b"), 6)
		assert.Len(t, redriveText(t, b, redriveDead), 5)
	})
}

// The error names the queue that is gone.
func TestRedriveWhileAQueueVanishes(t *testing.T) {
	for name, c := range map[string]struct{ to, gone string }{
		"the destination":                 {"jobs", "jobs"},
		"the source":                      {"jobs", redriveDead},
		"the source, to each one's queue": {"", redriveDead},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := redriveSetup(t, 3, redriveVanish(c.gone))
				n, err := b.Redrive(t.Context(), redriveDead, c.to, inproq.RedriveConfig{})
				require.ErrorIs(t, err, inproq.ErrQueueNotFound)
				require.ErrorContains(t, err, `"`+c.gone+`"`)
				assert.NotContains(t, err.Error(), "stay in")
				assert.Zero(t, n)
			})
		})
	}
}

// The store's errors are returned, with what was moved before.
func TestRedriveWhenTheStoreFails(t *testing.T) {
	down := errors.New("disk full")
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		b := redriveSetup(t, 250, func(st store.Store) store.Store {
			return &redriveStore{Store: st, settle: func(ctx context.Context, queue string, o []store.Outcome, next redriveSettle) ([]int, error) {
				if calls++; calls == 2 {
					return nil, down
				}
				return next(ctx, queue, o)
			}}
		})
		n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{})
		require.ErrorIs(t, err, down)
		require.ErrorContains(t, err, `"dead"`)
		assert.Equal(t, 100, n)
		n, err = b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{})
		require.NoError(t, err)
		assert.Equal(t, 150, n)
	})
}

// A redrive ends with its context, also while it waits for its time, and with the broker.
func TestRedriveEnds(t *testing.T) {
	for name, c := range map[string]struct {
		after time.Duration
		close bool
		moved int
		err   error
	}{
		"at once":                         {0, false, 0, context.Canceled},
		"while it waits":                  {2*time.Second + time.Nanosecond, false, 3, context.Canceled},
		"with the broker":                 {0, true, 0, inproq.ErrBrokerClosed},
		"with the broker, while it waits": {2*time.Second + time.Nanosecond, true, 3, inproq.ErrBrokerClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := redriveSetup(t, 20, nil)
				ctx, cancel := context.WithCancel(t.Context())
				end := func() {
					cancel()
					if c.close {
						assert.NoError(t, b.Shutdown(context.Background()))
					}
				}
				if c.close {
					ctx = t.Context()
				}
				if c.after == 0 {
					end()
				} else {
					defer time.AfterFunc(c.after, end).Stop()
				}
				began := time.Now()
				n, err := b.Redrive(ctx, redriveDead, "", inproq.RedriveConfig{PerSecond: 1})
				require.ErrorIs(t, err, c.err)
				assert.Equal(t, c.moved, n)
				assert.Equal(t, c.after, time.Since(began))
				cancel()
			})
		})
	}
}
