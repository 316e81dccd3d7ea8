package autoscale

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// plausible draws the samples of a live queue; any draws whatever fits the types, with a taste for their ends.
func plausible(t *rapid.T, now time.Time) Sample {
	return Sample{
		Now:       now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "passed"))),
		Arrived:   rapid.Int64Range(0, 10_000).Draw(t, "arrived"),
		Ready:     rapid.Int64Range(0, 100_000).Draw(t, "ready"),
		Service:   time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "service")),
		Failed:    rapid.Bool().Draw(t, "failed"),
		BatchSize: rapid.SampledFrom([]int{1, 10, 100}).Draw(t, "batch size"),
		Max:       rapid.SampledFrom([]int{1, 7, ceiling}).Draw(t, "max"),
	}
}

func anything(t *rapid.T, now time.Time) Sample {
	ends64 := rapid.SampledFrom([]int64{math.MinInt64, -1, 0, 1, math.MaxInt64})
	ends := rapid.SampledFrom([]int{math.MinInt, -1, 0, 1, math.MaxInt})
	return Sample{
		Now:       now.Add(time.Duration(rapid.OneOf(ends64, rapid.Int64()).Draw(t, "passed"))),
		Arrived:   rapid.OneOf(ends64, rapid.Int64()).Draw(t, "arrived"),
		Ready:     rapid.OneOf(ends64, rapid.Int64()).Draw(t, "ready"),
		Service:   time.Duration(rapid.OneOf(ends64, rapid.Int64()).Draw(t, "service")),
		Failed:    rapid.Bool().Draw(t, "failed"),
		BatchSize: rapid.OneOf(ends, rapid.Int()).Draw(t, "batch size"),
		Max:       rapid.OneOf(ends, rapid.IntRange(1, 300), rapid.Int()).Draw(t, "max"),
	}
}

// lived returns a controller after some plausible samples, and the time.
func lived(t *rapid.T) (*Controller, time.Time) {
	c, now := New(epoch), epoch
	for range rapid.IntRange(0, 40).Draw(t, "samples") {
		s := plausible(t, now)
		c.Observe(s)
		now = s.Now
	}
	return c, now
}

func TestBoundsHoldForAnySample(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, now, limit := New(epoch), epoch, 1
		draw := rapid.SampledFrom([]func(*rapid.T, time.Time) Sample{plausible, anything})
		for range rapid.IntRange(1, 60).Draw(t, "samples") {
			s := draw.Draw(t, "kind")(t, now)
			now = s.Now
			d := c.Observe(s)
			require.Equal(t, limit, d.From)
			limit = d.To
			require.Equal(t, limit, c.Limit())
			require.GreaterOrEqual(t, limit, 1)
			require.LessOrEqual(t, limit, max(1, s.Max))
			for _, figure := range []float64{d.ArrivalRate, d.ServiceSeconds, d.FailureRate} {
				require.False(t, math.IsNaN(figure) || math.IsInf(figure, 0), "%+v", d)
				require.GreaterOrEqual(t, figure, 0.0)
			}
			require.LessOrEqual(t, d.FailureRate, 1.0)
		}
	})
}

func TestRuleTellsWhatHappened(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, now := lived(t)
		s := plausible(t, now)
		switch d := c.Observe(s); d.Rule {
		case Steady, Hold:
			require.Equal(t, d.From, d.To)
		case Grow:
			require.Greater(t, d.To, d.From)
			require.LessOrEqual(t, d.To, max(2*d.From, d.From+minGrowth))
			require.False(t, s.Failed)
		case Shrink:
			require.Less(t, d.To, d.From)
			require.GreaterOrEqual(t, d.To, min(d.From-1, d.From*3/4))
		case Errors:
			require.LessOrEqual(t, d.To, d.From)
			require.True(t, s.Failed)
		case Recover:
			require.GreaterOrEqual(t, d.To, d.From)
			require.False(t, s.Failed)
		case Ceiling:
			require.Equal(t, s.Max, d.To)
		default:
			t.Fatalf("undocumented rule %q", d.Rule)
		}
	})
}

// A failure never earns a higher limit than the same batch would have, had it been good.
func TestMonotoneInFailure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		good, now := lived(t)
		bad := *good
		s := plausible(t, now)
		s.Failed = false
		limit := good.Observe(s).To
		s.Failed = true
		require.LessOrEqual(t, bad.Observe(s).To, limit)
	})
}

// While everything fails the limit only falls, and it falls to one probe.
func TestLastingFailureEndsAtOneProbe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, now := lived(t)
		limit := c.Limit()
		for range 40 {
			s := plausible(t, now)
			// Later than the smoothed service time, whatever it was.
			now = now.Add(20*time.Second + time.Nanosecond)
			s.Now, s.Failed = now, true
			d := c.Observe(s)
			require.LessOrEqual(t, d.To, limit)
			limit = d.To
		}
		require.Equal(t, 1, limit)
	})
}

// Explicitly retried messages come back: they are arrivals, and they wait. More of them never mean fewer handlers.
func TestExplicitRetriesNeverReduceTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		acked, now := lived(t)
		retried := *acked
		s := plausible(t, now)
		s.Failed = false
		limit := acked.Observe(s).To
		back := rapid.Int64Range(1, 100).Draw(t, "retried")
		s.Arrived += back
		s.Ready += back
		d := retried.Observe(s)
		require.GreaterOrEqual(t, d.To, limit)
	})
}

// A constant rate is known exactly, however irregular the samples are.
func TestArrivalRateOfAConstantStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const rate = 1000
		c, now := New(epoch), epoch
		for range rapid.IntRange(1, 100).Draw(t, "samples") {
			passed := rapid.Int64Range(0, 10_000).Draw(t, "ms")
			now = now.Add(time.Duration(passed) * time.Millisecond)
			d := c.Observe(Sample{Now: now, Arrived: passed * rate / 1000, BatchSize: 100, Max: ceiling})
			if now.After(epoch) {
				require.InEpsilon(t, rate, d.ArrivalRate, 1e-6)
			}
		}
	})
}
