package main

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// significant writes a number with three significant digits.
func significant(v float64) string {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return "0"
	}
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'e', 2, 64), 64) // 99.99 has as many digits as 100
	decimals := max(2-int(math.Floor(math.Log10(math.Abs(v)))), 0)
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// rate writes messages per second: 12.3 M, 84.0 k.
func rate(perSecond float64) string {
	switch {
	case perSecond >= 999_500:
		return significant(perSecond/1e6) + " M"
	case perSecond >= 999.5:
		return significant(perSecond/1e3) + " k"
	}
	return significant(perSecond)
}

// duration writes nanoseconds in a unit that suits them.
func duration(ns float64) string {
	switch {
	case ns < 1e3:
		return significant(ns) + " ns"
	case ns < 1e6:
		return significant(ns/1e3) + " µs"
	case ns < 1e9:
		return significant(ns/1e6) + " ms"
	}
	return significant(ns/1e9) + " s"
}

// times writes a ratio with two significant digits, or three from 1 on: 0.0058, 0.45,
// 2.30, 120.
func times(v float64) string {
	if v <= 0 || v >= 1 {
		return significant(v)
	}
	return strconv.FormatFloat(v, 'f', 1-int(math.Floor(math.Log10(v))), 64)
}

// thousands writes 1000000 as 1,000,000.
func thousands(n int) string {
	if n < 0 {
		return "-" + thousands(-n)
	}
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// spread writes the range of a Stat with a function for one value.
func spread(s Stat, write func(float64) string) string {
	if s.Count < 2 {
		return "–"
	}
	low, high := write(s.Min), write(s.Max)
	if low == high {
		return low
	}
	return low + " – " + high
}

func minutes(d time.Duration) string { return d.Round(time.Second).String() }
