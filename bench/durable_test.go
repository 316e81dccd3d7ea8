package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rounds are as small as their shape allows, so that slow contestants come to an end.
func TestDurableEffort(t *testing.T) {
	for s, unit := range map[shape]int{{1, 1, 128}: 100, {16, 1, 128}: 112, {1, 100, 128}: 100, {16, 100, 128}: 1600} {
		assert.Equal(t, unit, s.unit(), "%v", s)
		e := fullEffort.durable(s)
		assert.Equal(t, unit, e.Unit)
		assert.Equal(t, 2*unit, e.Least, "one round at least warms up")
		assert.Equal(t, unit, quickEffort.durable(s).Least, "no measurement")
		assert.Zero(t, e.Round%(s.producers*s.batch), "the largest rounds divide too")
		for _, took := range []time.Duration{time.Microsecond, 10 * time.Millisecond, time.Second, time.Minute} {
			assert.Zero(t, grown(unit, took, e)%(s.producers*s.batch), "%v after %v", s, took)
		}
	}
	assert.Equal(t, 3*fullEffort.Time, fullEffort.durable(shape{1, 1, 128}).Time)
}

func TestRepeat(t *testing.T) {
	calls := 0
	call := func() error { calls++; return nil }
	for _, c := range []struct {
		most int
		d    time.Duration
		want int
	}{{5, time.Hour, 5}, {5, 0, 1}, {0, time.Hour, 1}} {
		calls = 0
		each, err := repeat(c.most, c.d, call)
		require.NoError(t, err)
		assert.Equal(t, c.want, calls)
		assert.GreaterOrEqual(t, each, time.Duration(0))
	}
	_, err := repeat(5, time.Hour, func() error { return errBusy })
	assert.ErrorIs(t, err, errBusy)
}
