package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseCPU(t *testing.T) {
	const second = time.Second
	for _, c := range []struct {
		name, text string
		want       cpuTime
	}{
		{"all columns", "cpu  100 200 300 4000 500 60 70 80 90 10\ncpu0 1 2 3 4\n", cpuTime{busy: 8100 * time.Millisecond, total: 53100 * time.Millisecond}},
		{"an old kernel", "cpu 100 0 100 800\nintr 5\n", cpuTime{busy: 2 * second, total: 10 * second}},
		{"without a line end", "cpu 0 0 0 0 0 0 0 0", cpuTime{}},
	} {
		got, err := parseCPU(c.text)
		require.NoError(t, err, c.name)
		assert.Equal(t, c.want, got, c.name)
	}
	for _, text := range []string{"", "cpu0 1 2 3 4\n", "cpu 1 2 3\n", "cpu 1 2 three 4\n", "cpu 1 2 -3 4\n"} {
		_, err := parseCPU(text)
		assert.Error(t, err, "%q", text)
	}
}

func TestForeignShare(t *testing.T) {
	before := cpuTime{busy: 10 * time.Second, total: 100 * time.Second}
	after := cpuTime{busy: 13 * time.Second, total: 104 * time.Second}
	assert.InDelta(t, 0.75, after.since(before).foreign(0), 1e-9)
	assert.InDelta(t, 0.25, after.since(before).foreign(2*time.Second), 1e-9)
	assert.Zero(t, after.since(before).foreign(4*time.Second), "the clocks of both are coarse")
	assert.Zero(t, before.since(before).foreign(0))
}

// busyFor is a machine that others use for a number of looks.
func busyFor(looks int) func() (cpuTime, error) {
	var now cpuTime
	calls := 0
	return func() (cpuTime, error) {
		if calls++; calls%2 == 0 { // the second of a look
			now.total += time.Second
			if calls <= 2*looks {
				now.busy += time.Second
			}
		}
		return now, nil
	}
}

func TestGuard(t *testing.T) {
	g := guard{patience: time.Minute, read: busyFor(0)}
	assert.NoError(t, g.await(), "quiet")

	g.read = busyFor(3)
	assert.NoError(t, g.await(), "quiet after a while")

	g = guard{patience: -1, read: busyFor(3)}
	err := g.await()
	require.ErrorIs(t, err, errBusy)
	assert.ErrorContains(t, err, "others use 100% of its processors, 10% are allowed")

	doing := 0.5
	g = guard{patience: -1, read: busyFor(0), scale: func() float64 { return doing }}
	err = g.await()
	require.ErrorIs(t, err, errBusy)
	assert.ErrorContains(t, err, "do 50% of their work, which should be 75%")
	doing = 0.9
	assert.NoError(t, g.await())

	doing, g.off = 0, true
	assert.NoError(t, g.await(), "told not to look")

	g = guard{read: func() (cpuTime, error) { return cpuTime{}, os.ErrNotExist }}
	err = g.await()
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "only Linux tells")
	assert.NotErrorIs(t, err, errBusy)
}
