package autoscale

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// after returns a good sample, so many seconds after the epoch.
func after(at float64, arrived, ready int64, service time.Duration) Sample {
	return Sample{
		Now: epoch.Add(seconds(at)), Arrived: arrived, Ready: ready,
		Service: service, BatchSize: 100, Max: ceiling,
	}
}

func failed(s Sample) Sample {
	s.Failed = true
	return s
}

func TestFirstSampleIsTheEstimate(t *testing.T) {
	c := New(epoch)
	require.Equal(t, 1, c.Limit())
	d := c.Observe(after(6, 600, 500, 5*time.Second))
	require.InDelta(t, 100, d.ArrivalRate, 1e-9)
	require.InDelta(t, 5, d.ServiceSeconds, 1e-9)
	d.ArrivalRate, d.ServiceSeconds = 0, 0
	require.Equal(t, Decision{Time: epoch.Add(6 * time.Second), From: 1, To: 5, Rule: Grow, Ready: 500}, d)
	require.Equal(t, 5, c.Limit())
}

// Without any time passed there is no rate, and nothing to divide by.
func TestFirstSampleAtTheStart(t *testing.T) {
	c := New(epoch)
	d := c.Observe(after(0, 100, 6000, 5*time.Second))
	require.Zero(t, d.ArrivalRate)
	require.Equal(t, 5, d.To, "the backlog alone asks for 10")

	d = c.Observe(after(1, 0, 0, 5*time.Second))
	require.InDelta(t, 100, d.ArrivalRate, 10, "what arrived in no time still counts later")
}

func TestArrivalRateFades(t *testing.T) {
	c := New(epoch)
	var d Decision
	for at := 1.0; at <= 100; at++ {
		d = c.Observe(after(at, 100, 0, time.Second))
	}
	require.InDelta(t, 100, d.ArrivalRate, 1e-9)
	for at := 101.0; at <= 110; at++ {
		d = c.Observe(after(at, 0, 0, time.Second))
	}
	require.InDelta(t, 100/math.E, d.ArrivalRate, 0.1, "one time constant later")
}

func TestQuietTimeTeachesNoRate(t *testing.T) {
	c := New(epoch)
	for at := 1.0; at <= 100; at++ {
		c.Observe(after(at, 1000, 0, time.Second))
	}
	d := c.Observe(after(100+12*3600, 100, 0, time.Second))
	require.InDelta(t, 100/arrivalMemory, d.ArrivalRate, 0.01)
}

// A batch that takes longer than τ is not quiet time.
func TestLongServiceIsNotQuiet(t *testing.T) {
	d := New(epoch).Observe(after(900, 900, 0, 900*time.Second))
	require.InDelta(t, 1, d.ArrivalRate, 1e-9)
}

func TestBatchesThatEndTogether(t *testing.T) {
	together, one := New(epoch), New(epoch)
	for at := 1.0; at <= 20; at++ {
		one.Observe(after(at, 400, 0, time.Second))
		together.Observe(after(at, 400, 0, time.Second))
		for range 3 {
			together.Observe(after(at, 0, 0, time.Second))
		}
	}
	require.InDelta(t, one.arrivalRate(), together.arrivalRate(), 1e-9)
}

// Of batches that end together, any may be the one that tells of the messages that came meanwhile.
func TestArrivalsThatBatchesTellOfTogether(t *testing.T) {
	for _, shares := range [][4]int64{{400}, {0, 400}, {0, 0, 0, 400}, {100, 100, 100, 100}, {50, 0, 300, 50}} {
		c := New(epoch)
		for at := 5.0; at <= 30; at += 5 {
			for _, arrived := range shares {
				c.Observe(after(at, arrived, 0, 5*time.Second))
			}
			require.InDelta(t, 80, c.arrivalRate(), 1e-9, "%v after %v s", shares, at)
		}
	}
}

func TestClockThatGoesBack(t *testing.T) {
	c := New(epoch)
	c.Observe(after(10, 1000, 0, time.Second))
	c.Observe(after(5, 0, 0, time.Second))
	d := c.Observe(after(10, 0, 0, time.Second))
	require.InDelta(t, 100, d.ArrivalRate, 1e-9, "the five seconds are not counted twice")
}

func TestServiceTimeIsSmoothed(t *testing.T) {
	c := New(epoch)
	c.Observe(after(1, 0, 0, 10*time.Second))
	require.InDelta(t, 12, c.Observe(after(2, 0, 0, 20*time.Second)).ServiceSeconds, 1e-9)
	require.InDelta(t, 9.6, c.Observe(after(3, 0, 0, 0)).ServiceSeconds, 1e-9)
}

func TestWantRoundsUpWithSlack(t *testing.T) {
	for need, want := range map[float64]int{
		0: 1, 0.9: 1, 1.1: 1, 1.2: 2, 5: 5, 5.14: 5, 5.16: 6, 5.9: 6, 1e300: mostHandlers,
	} {
		c := &Controller{observed: 1, arrived: need, service: 1}
		require.Equal(t, want, c.want(Sample{BatchSize: 1}), "need %v", need)
	}
}

func TestBacklogIsDrainedOverTheHorizon(t *testing.T) {
	c := &Controller{observed: 1, arrived: 0, service: 3}
	require.Equal(t, 10, c.want(Sample{BatchSize: 100, Ready: 10_000}))
	c.arrived = 200
	require.Equal(t, 6, c.want(Sample{BatchSize: 100, Ready: -10_000}))
}

func TestSteps(t *testing.T) {
	for _, step := range []struct {
		limit, want, to int
		rule            string
	}{
		{1, 1, 1, Steady},
		{1, 2, 2, Grow},
		{1, 100, 5, Grow},
		{3, 100, 7, Grow},
		{4, 100, 8, Grow},
		{10, 100, 20, Grow},
		{10, 13, 13, Grow},
		{2, 1, 1, Shrink},
		{5, 1, 4, Shrink},
		{100, 1, 75, Shrink},
		{100, 90, 90, Shrink},
	} {
		c := &Controller{limit: step.limit, now: 60}
		require.Equal(t, step.rule, c.approach(step.want, false), "%+v", step)
		require.Equal(t, step.to, c.limit, "%+v", step)
	}
}

func TestShrinksAtIntervals(t *testing.T) {
	c := &Controller{limit: 100, now: 60}
	require.Equal(t, Shrink, c.approach(1, false))
	c.now = 69.9
	require.Equal(t, Hold, c.approach(1, false))
	require.Equal(t, 75, c.limit)
	c.now = 70
	require.Equal(t, Shrink, c.approach(1, false))
	require.Equal(t, 57, c.limit)
}

// busy returns a controller that has needed 16 handlers for a long time: 160 messages a second, 10 s per batch.
func busy() (c *Controller, at float64) {
	c = New(epoch)
	for at < 1000 {
		at += 0.625
		c.Observe(after(at, 100, 0, 10*time.Second))
	}
	return c, at
}

func TestFailuresCutOncePerServiceTime(t *testing.T) {
	c, at := busy()
	require.Equal(t, 16, c.Limit())
	d := c.Observe(failed(after(at, 0, 0, 10*time.Second)))
	require.Equal(t, Steady, d.Rule, "an isolated failure")
	d = c.Observe(failed(after(at, 0, 0, 10*time.Second)))
	require.Equal(t, 8, d.To)
	require.Equal(t, Errors, d.Rule)
	require.InDelta(t, 0.19, d.FailureRate, 1e-9)

	at += 10
	d = c.Observe(failed(after(at, 1600, 0, 10*time.Second)))
	require.Equal(t, 8, d.To, "batches from before the cut")
	require.Equal(t, Errors, d.Rule)
	d = c.Observe(failed(after(at+0.1, 16, 0, 10*time.Second)))
	require.Equal(t, 4, d.To)
}

func TestIsolatedFailuresPass(t *testing.T) {
	c, at := busy()
	for range 10 {
		require.Equal(t, 16, c.Observe(failed(after(at, 0, 0, 10*time.Second))).To)
		for range 10 {
			require.Equal(t, 16, c.Observe(after(at, 0, 0, 10*time.Second)).To)
		}
	}
}

func TestCutRoundsUp(t *testing.T) {
	for limit, kept := range map[int]int{1: 1, 2: 1, 3: 2, 5: 3, 250: 125} {
		c := &Controller{limit: limit, failures: 1, now: 1}
		c.judge(true, ceiling)
		require.Equal(t, kept, c.errorCap)
	}
}

func TestGoodBatchesRegainOneEach(t *testing.T) {
	c, at := busy()
	for range 2 {
		c.Observe(failed(after(at, 0, 0, 10*time.Second)))
	}
	for limit := 9; limit <= 15; limit++ {
		d := c.Observe(after(at, 0, 0, 10*time.Second))
		require.Equal(t, Recover, d.Rule)
		require.Equal(t, limit, d.To)
	}
	require.Equal(t, 16, c.Observe(after(at, 0, 0, 10*time.Second)).To)
	require.Equal(t, Steady, c.Observe(after(at, 0, 0, 10*time.Second)).Rule)
}

func TestErrorCapEndsAtTheCeiling(t *testing.T) {
	c := &Controller{errorCap: 3}
	c.judge(false, 5)
	c.judge(false, 5)
	require.Equal(t, 5, c.errorCap)
	c.judge(false, 5)
	require.Equal(t, uncapped, c.errorCap, "so that a ceiling raised later is not approached one by one")
}

func TestFailureIsNoReasonToGrow(t *testing.T) {
	d := New(epoch).Observe(failed(after(6, 600, 500, 5*time.Second)))
	require.Equal(t, 1, d.To)
	require.Equal(t, Errors, d.Rule)
}

func TestCeilingMoves(t *testing.T) {
	c, at := busy()
	s := after(at, 0, 0, 10*time.Second)
	s.Max = 3
	require.Equal(t, Decision{From: 16, To: 3, Rule: Ceiling}, bare(c.Observe(s)))
	require.Equal(t, Decision{From: 3, To: 3, Rule: Ceiling}, bare(c.Observe(s)))
	s.Max = 16
	require.Equal(t, Decision{From: 3, To: 7, Rule: Grow}, bare(c.Observe(s)))
	s.Max = 0
	require.Equal(t, Decision{From: 7, To: 1, Rule: Ceiling}, bare(c.Observe(s)), "no ceiling below one")
}

func TestBatchSizeMoves(t *testing.T) {
	c, at := busy()
	s := after(at, 0, 0, 10*time.Second)
	s.BatchSize = 50
	require.Equal(t, 32, c.Observe(s).To)
	s.BatchSize = 0
	require.Equal(t, 64, c.Observe(s).To, "approached by doubling")
	require.Equal(t, 1600, c.want(s), "taken as one")
}

// bare is a decision without its figures.
func bare(d Decision) Decision { return Decision{From: d.From, To: d.To, Rule: d.Rule} }
