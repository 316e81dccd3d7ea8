package inproq

import (
	"math/rand/v2"
	"time"
)

// Where zero means a default, these say "none".
const (
	// NoDelay is a delay of zero where a zero field means "not set".
	NoDelay time.Duration = -1
	// NoWait, as MaxBatchTimeout, delivers as soon as a message is ready.
	NoWait time.Duration = -1
	// NoRetries, as MaxRetries, allows one delivery.
	NoRetries = -1
	// NoLimit, in a field of [Limits], lifts that limit.
	NoLimit = -1
)

// A DelayOption is a [SendOption] and a [RetryOption]; see Delay.
type DelayOption struct{ d time.Duration }

// Delay postpones the delivery of what is sent, or of what is retried, by d,
// from 0 to Limits.MaxDelay (12 hours). Zero, or NoDelay, is a delay like any
// other: it overrides the queue's or the consumer's. It never ends early, and late
// by the store's Guarantee.TimerGrain at most, in memory a millisecond.
//
// A send with a delay out of range fails with [ErrDelayOutOfRange]; a retry,
// which returns nothing, takes the nearest allowed delay and logs a warning.
//
// See https://developers.cloudflare.com/queues/configuration/batching-retries/#delay-messages.
func Delay(d time.Duration) DelayOption {
	if d == NoDelay {
		d = 0
	}
	return DelayOption{d}
}

func (DelayOption) sendOption()  {}
func (DelayOption) retryOption() {}

// A Backoff computes the delay before a message's next delivery from the number
// of deliveries so far, 1 after the first. Results are brought into the range 0
// to Limits.MaxDelay. It is called from the goroutines of handlers, and several
// at once; a panic is logged, and RetryDelay used instead.
type Backoff func(attempts int) time.Duration

// ExponentialBackoff doubles a bound with each attempt, from base up to limit,
// and waits a random time below it ("full jitter"), so that messages that failed
// together do not come back together. A base or limit of zero or less means no
// delay.
func ExponentialBackoff(base, limit time.Duration) Backoff {
	return func(attempts int) time.Duration {
		bound := min(base, limit)
		for i := 1; i < attempts && bound < limit; i++ {
			if bound > limit/2 {
				bound = limit
				break
			}
			bound *= 2
		}
		if bound <= 0 {
			return 0
		}
		return rand.N(bound) + 1
	}
}
