package autoscale

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// counted is the law with a count of the failed invocations it is told of.
type counted struct {
	*Controller
	failed int
}

func (l *counted) Observe(s Sample) Decision {
	if s.Failed {
		l.failed++
	}
	return l.Controller.Observe(s)
}

// An outage of 120 s costs a dependency that is down some thirty invocations: those that ran when it began, and one probe
// after the other from then on.
func TestOutageCostsFewInvocations(t *testing.T) {
	const begins, ends, until = 100 * time.Second, 220 * time.Second, 250 * time.Second
	w := queue(100, until)
	w.failing = between(begins, ends, 1, 0)
	for seed := range uint64(seeds) {
		l := &counted{Controller: New(epoch)}
		w.run(seed, l)
		require.LessOrEqual(t, l.failed, 40)
		require.GreaterOrEqual(t, l.failed, int((ends-begins)/service)-2, "the probes never stop")
	}
}

// confined is the law under a ceiling that the user has set, until he lifts it.
type confined struct {
	*Controller
	most   int
	lifted time.Duration
}

func (l confined) Observe(s Sample) Decision {
	if s.Now.Sub(epoch) < l.lifted {
		s.Max = l.most
	}
	return l.Controller.Observe(s)
}

// A ceiling below the need is reached and kept, and never passed, whatever the backlog.
func TestUsersCeiling(t *testing.T) {
	const most, until = 3, 300 * time.Second
	w := queue(100, until)
	w.backlog = 10_000
	for seed := range uint64(seeds) {
		s := w.run(seed, confined{New(epoch), most, never})
		require.Equal(t, most, s.peak(0, until))
		require.InDelta(t, most, s.mean(2*service, until), 0.01)
		require.Equal(t, Ceiling, s.decisions[len(s.decisions)-1].Rule)
	}
}

// The controller knows the need all the while: once the ceiling is lifted, the need is met at the usual pace.
func TestLiftedCeiling(t *testing.T) {
	const lifted, until = 100 * time.Second, 400 * time.Second
	w := queue(100, until)
	for seed := range uint64(seeds) {
		s := w.run(seed, confined{New(epoch), 3, lifted})
		require.Equal(t, 3, s.peak(0, lifted))
		require.LessOrEqual(t, s.reaches(5, lifted), 2*service)
		require.InDelta(t, 5, s.mean(until-100*time.Second, until), 0.5)
	}
}

func TestObserveAllocatesNothing(t *testing.T) {
	c, now := New(epoch), epoch
	s := Sample{Arrived: 100, Ready: 250, Service: service, BatchSize: 100, Max: ceiling}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		now = now.Add(time.Second)
		s.Now, s.Failed = now, !s.Failed
		c.Observe(s)
	}))
}
