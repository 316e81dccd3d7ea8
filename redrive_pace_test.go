package inproq_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

// A slow rate is one by one.
func TestRedrivePace(t *testing.T) {
	for rate, interval := range map[int]time.Duration{
		1: time.Second, 3: 333_333_334, 4: 250 * time.Millisecond, 19: 52_631_579,
	} {
		synctest.Test(t, func(t *testing.T) {
			var moves redriveMoves
			b := redriveSetup(t, 130, moves.wrap)
			n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{PerSecond: rate})
			require.NoError(t, err)
			assert.Equal(t, 130, n)
			require.Len(t, moves.at, 130)
			for i, at := range moves.at {
				require.Equal(t, time.Duration(i)*interval, at, "letter %d at %d a second", i, rate)
			}
			assert.LessOrEqual(t, moves.most(), rate)
		})
	}
}

// A quick one is ten steps a second, or as many as it takes with a hundred each.
func TestRedriveQuickPace(t *testing.T) {
	for rate, c := range map[int]struct {
		step     int
		interval time.Duration
	}{
		20:     {2, 100 * time.Millisecond},
		100:    {10, 100 * time.Millisecond},
		1000:   {100, 100 * time.Millisecond},
		10_000: {100, 10 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			var moves redriveMoves
			b := redriveSetup(t, 300, moves.wrap)
			_, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{PerSecond: rate})
			require.NoError(t, err)
			require.Len(t, moves.at, 300)
			for i, at := range moves.at {
				require.Equal(t, time.Duration(i/c.step)*c.interval, at, "letter %d at %d a second", i, rate)
			}
			assert.LessOrEqual(t, moves.most(), rate)
		})
	}
}

// After a store that took long, or letters that were not wanted, there is no burst.
func TestRedrivePaceMakesUpForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var moves redriveMoves
		settles := 0
		b := redriveSetup(t, 300, func(st store.Store) store.Store {
			slow := &redriveStore{Store: st, settle: func(ctx context.Context, queue string, o []store.Outcome, next redriveSettle) ([]int, error) {
				if settles++; settles == 10 {
					time.Sleep(20 * time.Second)
				}
				return next(ctx, queue, o)
			}}
			return moves.wrap(slow)
		})
		looked := 0
		n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{PerSecond: 10, Filter: func(inproq.PeekedMessage) bool {
			if looked++; looked%100 == 50 {
				time.Sleep(10 * time.Second)
			}
			return looked <= 100 || looked%7 == 0
		}})
		require.NoError(t, err)
		assert.Equal(t, 128, n)
		assert.Equal(t, 10, moves.most())
	})
}
