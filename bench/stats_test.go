package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestStat(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Stat
	}{
		{nil, Stat{}},
		{[]float64{3}, Stat{3, 3, 3, 1}},
		{[]float64{9, 1}, Stat{5, 1, 9, 2}},
		{[]float64{5, 100, 1, 2, 4}, Stat{4, 1, 100, 5}},
		{[]float64{8, 2, 4, 6}, Stat{5, 2, 8, 4}},
	} {
		assert.Equal(t, c.want, stat(c.values), "%v", c.values)
	}
	values := []float64{3, 1, 2}
	stat(values)
	assert.Equal(t, []float64{3, 1, 2}, values, "they are not sorted in place")
}

func TestSummary(t *testing.T) {
	got := summary([]Sample{{"ns": 3, "n": 10}, {"ns": 1, "n": 10}, {"ns": 2}})
	assert.Equal(t, map[string]Stat{"ns": {2, 1, 3, 3}, "n": {10, 10, 10, 2}}, got)
}

func TestPercentile(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = i + 1
	}
	assert.Equal(t, 50, percentile(hundred, 50))
	assert.Equal(t, 99, percentile(hundred, 99))
	assert.Equal(t, 1, percentile(hundred, 0))
	assert.Equal(t, 7, percentile([]int{7}, 99))
	assert.Equal(t, 2, percentile([]int{1, 2, 3}, 50))
	assert.Equal(t, 3, percentile([]int{1, 2, 3}, 99))
}

func TestPerSecond(t *testing.T) {
	assert.Equal(t, Stat{1e6, 5e5, 2e6, 3}, perSecond(Stat{1000, 500, 2000, 3}), "the slowest becomes the smallest")
	assert.Equal(t, Stat{}, perSecond(Stat{}))
}

func TestUnits(t *testing.T) {
	for want, got := range map[string]string{
		"12.3 M": rate(12_345_678), "1.00 M": rate(999_999), "84.0 k": rate(84_000), "1.00 k": rate(999.9), "4.00": rate(4),
		"42.0 ns": duration(42), "1.50 µs": duration(1500), "250 ms": duration(250e6), "2.00 s": duration(2e9),
		"0.0058": times(0.005_77), "0.45": times(0.4512), "2.30": times(2.3), "121": times(120.6), "0": times(0),
		"1,000,000": thousands(1_000_000), "999": thousands(999), "-1,234": thousands(-1234), "12,345": wholeNumber(12_344.6),
		"–": spread(Stat{1, 1, 1, 1}, rate), "1.00 – 2.00": spread(Stat{1, 1, 2, 3}, rate), "1.50": spread(Stat{1.5, 1.4999, 1.5001, 3}, rate),
	} {
		assert.Equal(t, want, got)
	}
}
