package main

import (
	"cmp"
	"slices"
)

// A Stat is what repetitions of a measurement say of one quantity.
type Stat struct {
	Median, Min, Max float64
	Count            int // of repetitions
}

// stat of no values is the zero Stat.
func stat(values []float64) Stat {
	if len(values) == 0 {
		return Stat{}
	}
	v := slices.Sorted(slices.Values(values))
	middle := len(v) / 2
	median := v[middle]
	if len(v)%2 == 0 {
		median = (v[middle-1] + v[middle]) / 2
	}
	return Stat{Median: median, Min: v[0], Max: v[len(v)-1], Count: len(v)}
}

// summary makes a Stat of each quantity that the samples have.
func summary(samples []Sample) map[string]Stat {
	values := map[string][]float64{}
	for _, s := range samples {
		for name, v := range s {
			values[name] = append(values[name], v)
		}
	}
	all := map[string]Stat{}
	for name, v := range values {
		all[name] = stat(v)
	}
	return all
}

// percentile is the smallest value that p percent of all are not above (nearest
// rank). The values are sorted, and there is at least one.
func percentile[T cmp.Ordered](sorted []T, p int) T {
	rank := (len(sorted)*p + 99) / 100
	return sorted[max(rank, 1)-1]
}
