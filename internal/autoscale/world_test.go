package autoscale

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// world is a queue with its producers and its handlers, simulated event by event: no real time, seeded chance. A batch
// leaves when it is full, or a timeout after its first message (what a batch leaves behind starts afresh), and only into
// a free slot. The controller is asked when a batch ends.
type world struct {
	rate     func(at time.Duration) float64 // of arrivals, messages per second (Poisson)
	peakRate float64                        // the largest value of rate
	backlog  int                            // messages at the start
	batch    int                            // the largest batch
	timeout  time.Duration                  // the batch timeout
	service  time.Duration                  // of a batch, log-normal ± 10 %
	slowdown func(running int) float64      // factor on service for a batch that makes it so many; nil: none
	failing  func(at time.Duration) float64 // share of the batches begun then that will fail; nil: none
	failure  time.Duration                  // service of a failing batch; 0: as of a good one
	retried  float64                        // share of the messages of good batches that are retried explicitly
	until    time.Duration
}

const (
	ceiling = 250
	never   = time.Duration(math.MaxInt64)
)

var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// law is what the world asks; a *Controller is one.
type law interface {
	Observe(s Sample) Decision
	Limit() int
}

// invocation is a batch with a handler.
type invocation struct {
	ends, took time.Duration
	size       int
	failed     bool
}

// run plays the world once.
func (w world) run(seed uint64, c law) *story {
	var (
		dice    = rand.New(rand.NewPCG(seed, 1))
		told    = new(story)
		flight  []invocation  // by end
		ready   = w.backlog   // messages waiting
		arrived = w.backlog   // messages since the previous sample
		filling time.Duration // since when the waiting batch fills
		arrival = w.nextArrival(0, dice)
		now     time.Duration
	)
	join := func(messages int) {
		if ready == 0 {
			filling = now
		}
		ready += messages
		arrived += messages
	}
	for now < w.until {
		for ready > 0 && len(flight) < c.Limit() && (ready >= w.batch || now >= filling+w.timeout) {
			b := w.begin(now, min(ready, w.batch), len(flight)+1, dice)
			at, _ := slices.BinarySearchFunc(flight, b, func(x, y invocation) int { return cmp.Compare(x.ends, y.ends) })
			flight = slices.Insert(flight, at, b)
			ready -= b.size
			filling = now
			told.moments = append(told.moments, moment{now, len(flight), ready})
		}

		ends, full := never, never
		if len(flight) > 0 {
			ends = flight[0].ends
		}
		if ready > 0 && len(flight) < c.Limit() {
			full = filling + w.timeout
		}
		now = min(arrival, ends, full, w.until)
		switch now {
		case arrival:
			join(1)
			told.lastArrival = now
			arrival = w.nextArrival(now, dice)
		case ends:
			b := flight[0]
			flight = flight[1:]
			join(w.comesBack(b, dice))
			told.decisions = append(told.decisions, c.Observe(Sample{
				Now: epoch.Add(now), Arrived: int64(arrived), Ready: int64(ready),
				Service: b.took, Failed: b.failed, BatchSize: w.batch, Max: ceiling,
			}))
			told.moments = append(told.moments, moment{now, len(flight), ready})
			arrived = 0
			if b.failed {
				told.lastFailure = now
			}
		}
	}
	return told
}

// nextArrival draws from a Poisson process of varying rate: one of the largest rate, thinned.
func (w world) nextArrival(now time.Duration, dice *rand.Rand) time.Duration {
	for w.peakRate > 0 && now < w.until {
		now += seconds(dice.ExpFloat64() / w.peakRate)
		if dice.Float64()*w.peakRate < w.rate(now) {
			return now
		}
	}
	return never
}

func (w world) begin(now time.Duration, size, running int, dice *rand.Rand) invocation {
	took := w.service.Seconds() * math.Exp(0.1*dice.NormFloat64())
	if w.slowdown != nil {
		took *= w.slowdown(running)
	}
	b := invocation{took: seconds(took), size: size}
	if w.failing != nil && dice.Float64() < w.failing(now) {
		b.failed = true
		b.took = cmp.Or(w.failure, b.took)
	}
	b.ends = now + b.took
	return b
}

// comesBack is how many messages of a finished batch return to the queue.
func (w world) comesBack(b invocation, dice *rand.Rand) int {
	if b.failed {
		return b.size
	}
	back := 0
	for range b.size {
		if w.retried > 0 && dice.Float64() < w.retried {
			back++
		}
	}
	return back
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
