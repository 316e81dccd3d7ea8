package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tinyEffort is enough to go through all code.
var tinyEffort = Effort{
	Time: time.Millisecond, Patience: 10 * time.Second, Least: unit, Round: 2 * unit,
	Latencies: 2, Pending: []int{100}, Backlog: 500,
}

// Each kind of workload finds its quantities, of every contestant that enters.
func TestWorkloads(t *testing.T) {
	quantities := map[string][]string{
		"drain": {"ns", "n", "allocs"}, "json": {"ns", "n", "allocs"}, "latency": {"p50", "p99", "n"},
		"delayed": {"ns", "n", "bytes"}, "backlog": {"n", "heap", "gc", "drain_ns"},
	}
	seen := map[string]bool{}
	for _, w := range Workloads(tinyEffort) {
		if seen[w.Kind] { // one of a kind: others differ by numbers
			continue
		}
		seen[w.Kind] = true
		for _, c := range Contestants {
			if !w.Enters(c) {
				continue
			}
			t.Run(w.Kind+"/"+c.Name, func(t *testing.T) {
				t.Parallel()
				in, err := json.Marshal(task{w.ID(), c.Name, tinyEffort})
				require.NoError(t, err)
				var out bytes.Buffer
				require.NoError(t, child(bytes.NewReader(in), &out))
				var s Sample
				require.NoError(t, json.Unmarshal(out.Bytes(), &s))
				for _, name := range quantities[w.Kind] {
					assert.Contains(t, s, name)
				}
				assert.Positive(t, s["n"])
			})
		}
	}
	assert.Len(t, seen, len(quantities))
	assert.Len(t, kinds, len(quantities), "the results know every kind")
}

// A measurement in a process of its own, as in a run.
func TestMeasureInChild(t *testing.T) {
	m, err := measureInChild(task{"drain/producers=16/batch=100/body=128", inproqContestant.Name, tinyEffort})
	require.NoError(t, err)
	assert.Positive(t, m.sample["ns"])

	_, err = measureInChild(task{"drain/none", inproqContestant.Name, tinyEffort})
	assert.ErrorContains(t, err, `there is no workload "drain/none" with a contestant "inproq"`)
}

// What is lost, comes twice or is damaged fails the measurement.
func TestCounter(t *testing.T) {
	var c counter
	sink := sinkOf(&c, firstByte)
	for handler := range 100 {
		sink(handler, []byte{1})
	}
	require.NoError(t, c.wait(t.Context(), 100))
	sink(0, []byte{1})
	assert.EqualError(t, c.wait(t.Context(), 100), "100 messages were sent, 101 handled")
}

func TestRoundsGrow(t *testing.T) {
	e := Effort{Time: time.Second, Least: unit, Round: 100 * unit}
	for _, c := range []struct {
		n    int
		took time.Duration
		want int
	}{
		{unit, 0, 16 * unit},                            // never faster than that
		{unit, 100 * time.Millisecond, 11 * unit},       // a tenth more than needed
		{unit, 650 * time.Millisecond, 2 * unit},        // and never slower
		{50 * unit, 100 * time.Millisecond, 100 * unit}, // a round has an end
	} {
		assert.Equal(t, c.want, grown(c.n, c.took, e), "%d in %v", c.n, c.took)
	}
}
