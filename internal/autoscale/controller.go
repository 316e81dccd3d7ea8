package autoscale

import (
	"math"
	"time"
)

// The constants of the law, times in seconds. Each names its place in the formula of the package comment and what goes
// wrong on either side of it.
const (
	// arrivalMemory is τ, the time constant of λ: an arrival counts e⁻¹ after this long.
	// Too short: λ follows the gaps between bursts, and the limit flaps. Too long: a surge is believed only after the
	// backlog it made, which then takes more handlers to drain than the surge itself needed.
	arrivalMemory = 10.0

	// serviceWeight is the α of S ← S + α·(sample − S), per batch.
	// Too small: a handler that became slow is discovered by its backlog. Too large: one slow batch out of many
	// doubles the limit, one quick one halves it.
	serviceWeight = 0.2

	// failureWeight is the α of F ← F + α·(failed − F), per batch.
	// Too small: an outage is noticed late, with every handler beating on the broken dependency until then, and
	// remembered long after it ended. Too large: F is only the last batch, and a chance failure passes for an outage.
	failureWeight = 0.1

	// toleratedFailures is the F above which a failed batch cuts the limit. One failure adds failureWeight to what is left
	// of those before it, and two in a row make 0.19. In between, an isolated failure passes, and an outage does not.
	// Too small (0.1 already, for the leftovers): a queue with one failure in a hundred batches is halved by each of
	// them. Too large: a dependency that is half gone is never spared.
	toleratedFailures = 0.15

	// drainHorizon is h in need = (λ + ready/h)·S/B: the time in which a backlog should be gone.
	// Too short: the leftovers of every batch count as a backlog, and a burst ends with far more handlers than its
	// rate needs. Too long: a backlog that does not grow is hardly worked off.
	drainHorizon = 30.0

	// roundingSlack is taken off the need before it is rounded up to whole handlers.
	// Too small (0): noise on a need of exactly 5 asks for 6 half of the time. Too large (towards 1): a need of 1.9 is
	// served by one handler, and the backlog must grow until its own term asks for the second.
	roundingSlack = 0.15

	// minGrowth bounds one raise together with doubling: limit ← min(want, max(2·limit, limit + minGrowth)).
	// Too small (1): a new queue takes several batches to reach even five handlers. Too large: the first batch alone,
	// whose figures may be anything, starts a crowd. Without doubling, 250 handlers are sixty batches away.
	minGrowth = 4

	// shrinkFraction and shrinkInterval bound a descent: at most 1/shrinkFraction of the limit, at most this often.
	// Too quick: a lull between two bursts costs the second one its handlers, and a draining backlog slows its own
	// drain. Too slow: little is lost, since handlers run only while there are batches, but a surge that follows hours
	// later meets a limit that no longer says anything.
	shrinkFraction = 4
	shrinkInterval = 10.0

	// mostHandlers bounds the need where it becomes an integer; no ceiling is anywhere near.
	mostHandlers = 1 << 30

	// uncapped is the error cap while nothing has failed.
	uncapped = math.MaxInt
)

// Controller decides how many handlers of one queue may run at once. New makes one; it is not safe for concurrent use.
type Controller struct {
	start time.Time
	// Seconds since start.
	now      float64 // of the latest sample; never goes back
	cutAt    float64 // of the latest cut by errors
	shrunkAt float64 // of the latest descent to the need

	sampled  bool
	arrived  float64 // messages, fading with arrivalMemory
	observed float64 // seconds, fading alike: arrived/observed is λ
	spread   float64 // what a message of the latest span adds to arrived
	service  float64 // S, seconds per batch
	failures float64 // F, of invocations

	limit    int
	errorCap int
}

// New returns a controller with a limit of one. Start is when its queue began to be watched, on the clock of the samples.
func New(start time.Time) *Controller {
	return &Controller{start: start, spread: 1, limit: 1, errorCap: uncapped}
}

// Limit is how many handlers may run at once: within 1..max(1, Max) of the latest sample, 1 before the first.
// An owner whose ceiling was lowered since then takes the smaller of the two.
func (c *Controller) Limit() int { return c.limit }

// Observe takes one finished batch into account and decides the limit anew.
func (c *Controller) Observe(s Sample) Decision {
	from, ceiling := c.limit, max(1, s.Max)
	c.measure(s)
	c.judge(s.Failed, ceiling)

	rule := c.approach(c.want(s), s.Failed)
	// The need proposes; the error cap and the ceiling have the last word.
	if c.limit > c.errorCap {
		c.limit, rule = c.errorCap, Recover
		if s.Failed {
			rule = Errors
		}
	}
	if c.limit > ceiling {
		c.limit, rule = ceiling, Ceiling
	}
	return Decision{
		Time: s.Now, From: from, To: c.limit, Rule: rule,
		ArrivalRate: c.arrivalRate(), ServiceSeconds: c.service, FailureRate: c.failures, Ready: s.Ready,
	}
}

// measure updates the three averages.
func (c *Controller) measure(s Sample) {
	service := max(0, s.Service.Seconds())
	c.measureArrivals(s.Now.Sub(c.start).Seconds(), float64(max(0, s.Arrived)), service)
	if !c.sampled {
		c.sampled, c.service = true, service
	}
	c.service += serviceWeight * (service - c.service)
	failed := 0.0
	if s.Failed {
		failed = 1
	}
	c.failures += failureWeight * (failed - c.failures)
}

// measureArrivals fades both sums by the time since the previous sample and adds what is new, spread evenly over that
// time. The quotient of the sums is an average that is right from the first sample on: while the controller is young, it
// is everything that arrived over all the time there was. Samples of the same instant add messages and no time: they came
// in the span that ended there, and count as much as those that the first of these samples told of.
//
// A longer time than the batch took, and than τ, was a quiet one: a full batch would have left and ended in it. It makes
// the controller forget, but teaches no rate, so a queue that wakes after a night scales like a new one. The price is
// that a sparse queue seems busier than it is: the messages of the batch that ended it count as a rate, which is worth one
// handler at most.
func (c *Controller) measureArrivals(now, arrived, service float64) {
	span := max(0, now-c.now)
	c.now = max(c.now, now)
	if longest := max(arrivalMemory, service); span > longest {
		c.fade(span - longest)
		span = longest
	}
	lost := c.fade(span)
	if span > 0 {
		c.spread = lost * arrivalMemory / span
	}
	c.arrived += c.spread * arrived
	c.observed += lost * arrivalMemory
}

// fade lets both sums forget over a span, and returns the share that was lost.
func (c *Controller) fade(span float64) float64 {
	lost := span / arrivalMemory
	if lost > 1e-6 { // else it is that, to more digits than 1 - Exp has
		lost = -math.Expm1(-lost)
	}
	c.arrived -= lost * c.arrived
	c.observed -= lost * c.observed
	return lost
}

// arrivalRate is λ in messages per second, 0 while no time has passed: then the backlog alone makes the need.
func (c *Controller) arrivalRate() float64 {
	if c.observed <= 0 {
		return 0
	}
	return c.arrived / c.observed
}

// want is the need in whole handlers.
func (c *Controller) want(s Sample) int {
	demand := c.arrivalRate() + float64(max(0, s.Ready))/drainHorizon
	need := demand * c.service / float64(max(1, s.BatchSize))
	return max(1, int(math.Ceil(min(need, mostHandlers)-roundingSlack)))
}

// judge moves the error cap. The batches that run while it is cut were started under the old limit, so their failures
// say nothing about the new one: the next cut waits for a service time, until they are over. In a service time as many
// batches end as may run, so one regained per good batch makes up for the halving as long as two thirds of them are good.
// Regaining a share of the cap would not: a small cap, with few batches to regain by, would stay small.
func (c *Controller) judge(failed bool, ceiling int) {
	switch {
	case failed:
		if c.failures > toleratedFailures && c.now-c.cutAt > c.service {
			c.errorCap, c.cutAt = c.limit-c.limit/2, c.now
		}
	case c.errorCap < ceiling:
		c.errorCap++
	default:
		c.errorCap = uncapped
	}
}

// approach moves the limit towards want, within the bounds of one step, and names what it did.
func (c *Controller) approach(want int, failed bool) string {
	switch {
	case want == c.limit:
		return Steady
	case want > c.limit && failed:
		return Errors // a failure is never a reason to try more of the same
	case want > c.limit:
		c.limit += min(want-c.limit, max(c.limit, minGrowth))
		return Grow
	case c.now-c.shrunkAt < shrinkInterval:
		return Hold
	default:
		c.limit -= min(c.limit-want, max(1, c.limit/shrinkFraction))
		c.shrunkAt = c.now
		return Shrink
	}
}
