package autoscale

import "time"

// Sample describes one finished batch and the queue it left behind.
// Values that make no sense (negative counts, a clock that went back) are taken as zero.
type Sample struct {
	// Now is when the batch finished, by a monotonic or a virtual clock.
	// Batches that finish together may share it.
	Now time.Time
	// Arrived is how many messages came to the queue since the previous sample, those that came back by a retry
	// included. The first sample counts everything that came before it, a backlog found at the start included:
	// that is what makes a backlog left by an earlier process urgent.
	Arrived int64
	// Ready is how many messages wait for a handler right now.
	Ready int64
	// Service is the wall time of the invocation.
	Service time.Duration
	// Failed is a handler error, a panic or a time-out. An explicit retry is not a failure, whatever the number of
	// messages: it is an answer that the handler was well enough to give.
	Failed bool
	// BatchSize is how many messages a batch can hold now, the consumer's maximum. It may change between samples.
	// Where another bound is tighter, such as one on bytes, it is what fits: the need is inversely proportional to it.
	BatchSize int
	// Max is the ceiling now, max_concurrency or the 250 that stand for none. It may change between samples.
	Max int
}

// Decision is what the controller did with a sample, and the figures it did it by.
type Decision struct {
	Time           time.Time // the sample's Now
	From, To       int       // the limit before and after
	Rule           string    // one of the rules below
	ArrivalRate    float64   // messages per second, smoothed; 0 while no time has passed
	ServiceSeconds float64   // seconds per batch, smoothed
	FailureRate    float64   // failed share of the invocations, smoothed: 0..1
	Ready          int64     // as sampled
}

// The rules: what decided the limit, in one word.
const (
	Steady  = "steady"  // the limit is what the queue needs
	Grow    = "grow"    // raised towards the need
	Shrink  = "shrink"  // lowered towards the need
	Hold    = "hold"    // above the need, but it was lowered only a moment ago
	Errors  = "errors"  // this batch failed: lowered, or kept from rising
	Recover = "recover" // this batch was good: the error cap rises, and still holds the limit below the need
	Ceiling = "ceiling" // cut off at Sample.Max: the need is above it, or it was lowered
)
