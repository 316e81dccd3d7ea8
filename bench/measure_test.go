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
	Time: time.Millisecond, Patience: 20 * time.Second, Unit: unit, Least: unit, Round: 2 * unit,
	Latencies: 2, Pending: []int{100}, Backlog: 500, Held: 100,
}

// Each kind of workload finds its quantities, of every contestant that enters.
func TestWorkloads(t *testing.T) {
	quantities := map[string][]string{
		"drain": {"ns", "n", "allocs"}, "json": {"ns", "n", "allocs"}, "latency": {"p50", "n"},
		"delayed": {"ns", "n", "bytes"}, "backlog": {"n", "heap", "gc", "drain_ns"},
		"durable": {"ns", "n", "allocs"}, "durable-latency": {"p50", "n"}, "durable-delayed": {"ns", "n", "batch_ns"},
	}
	seen := map[string]bool{}
	for _, w := range Workloads(tinyEffort) {
		if seen[w.Kind] { // one of a kind: others differ by numbers
			continue
		}
		seen[w.Kind] = true
		for _, c := range Contestants {
			if !w.Takes(c) {
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

	t.Setenv(childEnv, "panic")
	_, err = measureInChild(task{Effort: tinyEffort})
	assert.ErrorContains(t, err, "panic: out of ink")

	t.Setenv(childEnv, "hang")
	_, err = measureInChild(task{Effort: Effort{Patience: 50 * time.Millisecond}})
	assert.EqualError(t, err, "it hangs: killed after 100ms")
}

func TestCause(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "",
		"one\ntwo\n":                  "two",
		"panic: ink\n\ngoroutine 1\n": "panic: ink",
		"log\nfatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1:\nmain.go:5": "fatal error: all goroutines are asleep - deadlock!",
	} {
		assert.Equal(t, want, cause(text))
	}
}

// Few messages have no 99th percentile.
func TestLatencies(t *testing.T) {
	all := make([]time.Duration, 100)
	for i := range all {
		all[i] = time.Duration(100 - i)
	}
	assert.Equal(t, Sample{"p50": 50, "p99": 99, "n": 100}, latencies(all))
	assert.Equal(t, Sample{"p50": 50, "n": 99}, latencies(all[:99]))

	assert.Zero(t, upTo(0))
	seen := map[bool]bool{}
	for range 100 {
		d := upTo(time.Second)
		assert.True(t, 0 <= d && d < time.Second, "%v", d)
		seen[d < time.Second/2] = true
	}
	assert.Len(t, seen, 2, "early and late")
}

func TestRoundsGrow(t *testing.T) {
	e := Effort{Time: time.Second, Unit: unit, Least: unit, Round: 100 * unit}
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
