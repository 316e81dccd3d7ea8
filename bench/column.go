package main

import "fmt"

// A column of a table of results.
type column struct {
	head string
	text func(cell) string
}

// A cell is what a column says of a row, beside the rows that others are compared
// with.
type cell struct{ row, floor, ours Row }

func (x cell) median(name string, write func(float64) string) string {
	s, ok := x.row.Stats[name]
	if !ok {
		return "–"
	}
	return write(s.Median)
}

func (x cell) spread(name string, write func(float64) string) string {
	return spread(x.row.Stats[name], write)
}

// rate and rates write nanoseconds a message as messages a second.
func (x cell) rate(name string) string {
	return x.median(name, func(ns float64) string { return rate(1e9 / ns) })
}

func (x cell) rates(name string) string { return spread(perSecond(x.row.Stats[name]), rate) }

// ratio is that of two medians; "–" where one is missing.
func (x cell) ratio(a, b Row, name string) string {
	above, below := a.Stats[name], b.Stats[name]
	if above.Count == 0 || below.Count == 0 || below.Median == 0 {
		return "–"
	}
	return times(above.Median / below.Median)
}

// faster says how many times as fast ours is.
func (x cell) faster(name string) string {
	if x.row.Contestant == x.ours.Contestant {
		return ""
	}
	if r := x.ratio(x.row, x.ours, name); r != "–" {
		return r + " ×"
	}
	return "–"
}

// perSecond turns nanoseconds a message around.
func perSecond(ns Stat) Stat {
	if ns.Count == 0 {
		return ns
	}
	return Stat{Median: 1e9 / ns.Median, Min: 1e9 / ns.Max, Max: 1e9 / ns.Min, Count: ns.Count}
}

func bytesText(n float64) string { return wholeNumber(n) + " B" }

func wholeNumber(n float64) string { return thousands(int(n + 0.5)) }

func allocations(n float64) string { return fmt.Sprintf("%.1f", n) }
