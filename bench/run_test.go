package main

import (
	"errors"
	"io"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// script is a plan whose measurements are made up.
func script(only string, count int, measure func(task) (measurement, error)) Plan {
	return Plan{
		Effort: tinyEffort, Count: count, Only: regexp.MustCompile(only), Log: io.Discard,
		Guard: guard{patience: time.Minute, read: busyFor(0)}, Measure: measure,
	}
}

func TestContestantsTakeTurns(t *testing.T) {
	var order []string
	p := script(`backlog/.*(inproq|workqueue|raw)`, 3, func(t task) (measurement, error) {
		order = append(order, t.Contestant)
		return measurement{Sample{"n": float64(len(order))}, 0.01}, nil
	})
	assert.Equal(t, 9, p.tasks())
	tables, foreign, err := p.Run()
	require.NoError(t, err)
	const a, b, c = "raw channel", "inproq", "k8s workqueue"
	assert.Equal(t, []string{a, b, c, b, c, a, c, a, b}, order)
	require.Len(t, tables, 1)
	assert.Equal(t, Row{Contestant: a, Stats: map[string]Stat{"n": {6, 1, 8, 3}}}, tables[0].Rows[0])
	assert.Equal(t, Stat{0.01, 0.01, 0.01, 9}, foreign)
}

func TestAFailureIsOneRow(t *testing.T) {
	calls := 0
	p := script(`backlog/.*(inproq|raw)`, 3, func(t task) (measurement, error) {
		if t.Contestant == "inproq" {
			calls++
			return measurement{}, errors.New("out of ink")
		}
		return measurement{Sample{"n": 1}, -1}, nil
	})
	tables, foreign, err := p.Run()
	require.NoError(t, err)
	assert.Equal(t, []Row{
		{Contestant: "raw channel", Stats: map[string]Stat{"n": {1, 1, 1, 3}}},
		{Contestant: "inproq", Error: "repetition 1 of 3: out of ink"},
	}, tables[0].Rows)
	assert.Equal(t, 1, calls, "it is not asked again")
	assert.Zero(t, foreign, "unknown")

	calls = 0
	p.Measure = func(task) (measurement, error) {
		if calls++; calls == 6 { // the second one of the last turn
			return measurement{}, errors.New("out of ink")
		}
		return measurement{Sample{"n": 1}, -1}, nil
	}
	tables, _, err = p.Run()
	require.NoError(t, err)
	assert.Equal(t, Row{Contestant: "inproq", Stats: map[string]Stat{"n": {1, 1, 1, 2}}, Error: "repetition 3 of 3: out of ink"}, tables[0].Rows[1])
}

// A machine that gets busy leaves the tables that are complete.
func TestABusyMachineEndsTheRun(t *testing.T) {
	p := script(`(latency|backlog)/.*/inproq$`, 1, func(t task) (measurement, error) {
		m := measurement{Sample{"n": 1}, 0}
		if t.Workload == "backlog/waiting" {
			m.foreign = 0.5
		}
		return m, nil
	})
	tables, foreign, err := p.Run()
	require.ErrorIs(t, err, errBusy)
	require.Len(t, tables, 1)
	assert.Equal(t, "latency/idle", tables[0].ID)
	assert.Equal(t, 1, foreign.Count)
}

func TestDisturbedMeasurements(t *testing.T) {
	calls, disturbed := 0, 0
	p := script(`backlog/.*/inproq`, 1, func(task) (measurement, error) {
		if calls++; calls <= disturbed {
			return measurement{Sample{"n": -1}, 0.5}, nil
		}
		return measurement{Sample{"n": 1}, 0}, nil
	})
	disturbed = 2
	tables, _, err := p.Run()
	require.NoError(t, err)
	assert.Equal(t, Stat{1, 1, 1, 1}, tables[0].Rows[0].Stats["n"], "repeated until nothing disturbed it")

	calls, disturbed = 0, 3
	_, _, err = p.Run()
	require.ErrorIs(t, err, errBusy)

	calls, p.Guard.off = 0, true
	tables, foreign, err := p.Run()
	require.NoError(t, err)
	assert.Equal(t, -1.0, tables[0].Rows[0].Stats["n"].Median, "forced")
	assert.Equal(t, 0.5, foreign.Max, "but told")

	p.Guard = guard{patience: -1, read: busyFor(100)}
	_, _, err = p.Run()
	require.ErrorIs(t, err, errBusy)
}

// The chart names its workloads, and nothing but this test would notice a typing error.
func TestTheChartsWorkloadExists(t *testing.T) {
	ids := map[string]bool{}
	for _, w := range Workloads(fullEffort) {
		assert.False(t, ids[w.ID()], "%s is there twice", w.ID())
		ids[w.ID()] = true
	}
	assert.True(t, ids[chartSingle])
	assert.True(t, ids[chartBatch])
}
