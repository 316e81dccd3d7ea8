package autoscale

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The scenarios share one consumer: batches of 100, a batch timeout of 5 s, 5 s ± 10 % per batch, at most 250 handlers.
// Each is played with nine seeds; where a goal is a bound on the noise itself, the median must meet it.
const (
	seeds   = 9
	service = 5 * time.Second
)

func queue(rate float64, until time.Duration) world {
	return world{
		rate: constant(rate), peakRate: rate, until: until,
		batch: 100, timeout: 5 * time.Second, service: service,
	}
}

func constant(rate float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return rate }
}

// between is a rate or a share that differs in a span of time.
func between(from, to time.Duration, inside, outside float64) func(time.Duration) float64 {
	return func(at time.Duration) float64 {
		if at >= from && at < to {
			return inside
		}
		return outside
	}
}

// play runs a world with every seed and a new controller each.
func play(w world) []*story {
	var told []*story
	for seed := range uint64(seeds) {
		told = append(told, w.run(seed, New(epoch)))
	}
	return told
}

// The documented example: 100 messages a second at 5 s per batch settle near five handlers. The first estimate rests on
// one batch, so a seed whose first batch is a slow one may run two handlers too many until it is corrected.
func TestDocumentedExample(t *testing.T) {
	const until = 300 * time.Second
	const settled = time.Second + 2*service // the first fill takes a second
	told := play(queue(100, until))
	for _, s := range told {
		require.LessOrEqual(t, s.reaches(5, 0), settled)
		require.InDelta(t, 5, s.mean(settled, until), 0.25)
		require.LessOrEqual(t, s.backlog(0, until), 800)
		require.LessOrEqual(t, s.peak(0, until), 8)
		least, largest := s.limits(settled+2*service, until)
		require.GreaterOrEqual(t, least, 4)
		require.LessOrEqual(t, largest, 7)
	}
	for from := settled; from+2*service <= until; from += service {
		running := median(told, func(s *story) float64 { return s.mean(from, from+2*service) })
		require.InDelta(t, 5, running, 1, "from %v on", from)
	}
	require.LessOrEqual(t, median(told, func(s *story) float64 { return float64(s.peak(0, until)) }), 1.25*5)
}

// A queue that had nothing to do is as quick as a new one, although its controller has seen ten minutes of no arrivals.
func TestWakesAfterQuiet(t *testing.T) {
	const wakes, until = 600 * time.Second, 800 * time.Second
	w := queue(100, until)
	w.rate = between(wakes, until, 100, 0)
	told := play(w)
	for _, s := range told {
		require.LessOrEqual(t, s.reaches(5, wakes), 4*service)
		require.LessOrEqual(t, s.backlog(wakes, until), 750)
	}
	require.LessOrEqual(t, median(told, func(s *story) time.Duration { return s.reaches(5, wakes) }), time.Second+2*service)
	require.LessOrEqual(t, median(told, func(s *story) float64 { return float64(s.peak(0, until)) }), 1.25*5)
}

// A burst from 10 to 1000 messages a second needs 50 handlers; the backlog of the way there may cost a few more.
func TestBurst(t *testing.T) {
	const begins, ends, until = 100 * time.Second, 160 * time.Second, 300 * time.Second
	w := queue(1000, until)
	w.rate = between(begins, ends, 1000, 10)
	told := play(w)
	for _, s := range told {
		require.LessOrEqual(t, s.reaches(50, begins), 4*service)
		require.LessOrEqual(t, s.backlog(0, until), 10_000)
		require.LessOrEqual(t, s.peak(0, until), 65)
		_, after := s.limits(ends+100*time.Second, until)
		require.LessOrEqual(t, after, 10, "comes down when the burst is over")
	}
	require.LessOrEqual(t, median(told, func(s *story) float64 { return float64(s.peak(0, until)) }), 1.25*50)
}

// A backlog of 100,000 messages is 1,000 batches, four rounds of 250 handlers. Twice that is the goal.
func TestDrainsBacklog(t *testing.T) {
	for _, took := range []time.Duration{5 * time.Second, 100 * time.Millisecond} {
		w := queue(0, 100*took)
		w.backlog, w.service = 100_000, took
		for _, s := range play(w) {
			require.LessOrEqual(t, s.drained(), 2*4*took)
		}
	}
}

// When every batch fails one probe at a time goes on, and finds the end of the outage. The backlog that collected until
// then takes some handlers more than the arrivals.
func TestOutage(t *testing.T) {
	for _, outage := range []struct {
		name          string
		failure, last time.Duration
		peak          int
	}{
		{"failures as slow as batches", 0, 120 * time.Second, 30},
		{"immediate failures", 10 * time.Millisecond, 120 * time.Second, 50},
		{"time-outs", 30 * time.Second, 360 * time.Second, 65},
	} {
		t.Run(outage.name, func(t *testing.T) {
			const begins = 100 * time.Second
			ends := begins + outage.last
			until := ends + 200*time.Second
			// The first failures come with the end of the batches begun then, and one cut follows in each service time.
			down := begins + 5*max(service, outage.failure)

			w := queue(100, until)
			w.failing, w.failure = between(begins, ends, 1, 0), outage.failure
			for _, s := range play(w) {
				require.Equal(t, 1, s.peak(down, ends))
				require.InDelta(t, 1, s.mean(down, ends), 1e-6)
				require.Positive(t, s.rules(begins, down)[Errors])
				require.LessOrEqual(t, s.reaches(5, s.lastFailure), 4*service)
				require.LessOrEqual(t, s.peak(ends, until), outage.peak)
				require.InDelta(t, 5, s.mean(until-60*time.Second, until), 0.5)
			}
		})
	}
}

// With 30 % of the batches failing, 100 messages a second take 7.1 handlers. They must get them.
func TestSomeBatchesFail(t *testing.T) {
	const until = 900 * time.Second
	w := queue(100, until)
	w.failing = constant(0.3)
	for _, s := range play(w) {
		require.InDelta(t, 5/0.7, s.mean(100*time.Second, until), 0.6)
		require.LessOrEqual(t, s.backlog(0, until), 5_000)
		require.LessOrEqual(t, s.backlog(until-2*service, until), 2_000)
		require.Positive(t, s.rules(0, until)[Recover])
	}
}

// One failure in a hundred batches is no outage: a queue that needs 50 handlers keeps them most of the time, although
// two failures meet now and then.
func TestFewBatchesFail(t *testing.T) {
	const until = 600 * time.Second
	w := queue(1000, until)
	w.failing = constant(0.01)
	told := play(w)
	for _, s := range told {
		require.InDelta(t, 50/0.99, s.mean(100*time.Second, until), 1)
	}
	require.LessOrEqual(t, median(told, func(s *story) int { return s.rules(100*time.Second, until)[Errors] }), 10)
}

// timid is an early version of the law: every failed batch halves its error cap, and every good one gives back a tenth.
type timid struct {
	*Controller
	cap float64
}

func (l *timid) Observe(s Sample) Decision {
	l.cutAt = math.Inf(-1) // never too early for the next cut
	before := l.errorCap
	d := l.Controller.Observe(s)
	switch {
	case l.errorCap == uncapped:
	case s.Failed:
		l.cap = float64(l.errorCap)
	case before != uncapped:
		l.cap = min(1.1*l.cap, float64(s.Max))
		l.errorCap = int(math.Ceil(l.cap))
		l.limit = min(l.limit, l.errorCap)
	}
	return d
}

// The failures of the scenario above starve that early version: of ten batches, seven good ones double the cap and three
// failed ones leave an eighth of it.
func TestProportionalRegainStarves(t *testing.T) {
	const until = 900 * time.Second
	w := queue(100, until)
	w.failing = constant(0.3)
	for seed := range uint64(seeds) {
		s := w.run(seed, &timid{Controller: New(epoch)})
		require.Greater(t, s.backlog(until-2*service, until), 10_000)
	}
}

// Messages that handlers retry come back, and so need handlers; they never count as failures.
func TestExplicitRetries(t *testing.T) {
	const until = 900 * time.Second
	w := queue(100, until)
	w.retried = 0.3
	for _, s := range play(w) {
		require.InDelta(t, 5/0.7, s.mean(100*time.Second, until), 0.3)
		require.LessOrEqual(t, s.backlog(0, until), 1_000)
		least, _ := s.limits(100*time.Second, until)
		require.GreaterOrEqual(t, least, 7)
		rules := s.rules(0, until)
		require.Zero(t, rules[Errors]+rules[Recover])
		require.Zero(t, s.decisions[len(s.decisions)-1].FailureRate)
	}
}

// Growth from 10 to 500 messages a second in ten minutes is followed without a backlog, up to the 25 handlers it needs.
func TestSlowGrowth(t *testing.T) {
	const grown, until = 600 * time.Second, 700 * time.Second
	w := queue(500, until)
	w.rate = func(at time.Duration) float64 { return min(500, 10+490*at.Seconds()/grown.Seconds()) }
	for _, s := range play(w) {
		require.LessOrEqual(t, s.backlog(0, until), 600)
		require.LessOrEqual(t, float64(s.peak(0, until)), 1.25*25)
		require.InDelta(t, 25, s.mean(grown+10*time.Second, until), 1)
	}
}

// An idle queue runs nothing as soon as its last batch has ended, whatever the limit.
func TestIdle(t *testing.T) {
	const stops, until = 60 * time.Second, 600 * time.Second
	w := queue(100, until)
	w.rate = between(0, stops, 100, 0)
	for _, s := range play(w) {
		last := s.moments[len(s.moments)-1]
		require.Zero(t, last.running)
		require.Zero(t, last.ready)
		require.LessOrEqual(t, last.at-s.lastArrival, w.timeout+service*3/2)
	}
}

// When the dependency is saturated by 20 handlers, more of them only make each one slower. The law does not notice,
// because it cannot tell that from batches that are slow by themselves; it must at least not lose to it. The floor is
// 1,000 batches, 20 at a time.
func TestSaturatedDependency(t *testing.T) {
	w := queue(0, 600*time.Second)
	w.backlog = 100_000
	w.slowdown = func(running int) float64 { return max(1, float64(running)/20) }
	for _, s := range play(w) {
		require.LessOrEqual(t, s.drained(), 250*time.Second*11/10)
		require.LessOrEqual(t, s.peak(0, w.until), ceiling)
	}
}
