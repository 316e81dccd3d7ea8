// Package settlement decides what becomes of the messages of a batch.
//
// A [Ledger] records the calls that a handler makes, from any goroutine, by the
// rules of Cloudflare Queues: the first call decides a message's fate; a
// message's own call beats a batch call made later; AckAll or RetryAll beats the
// message calls made after it, except that after RetryAll a message may still
// set its own delay. When the handler is done the ledger is sealed, and [Decide]
// turns what was called and how the invocation ended into one [Verdict] for each
// message. Decide is pure, and every way to consume ends in it.
//
// See https://developers.cloudflare.com/queues/configuration/batching-retries/.
package settlement

import "time"

// Call is what was called for one message, or for the whole batch.
type Call uint8

// The calls that leave a trace.
const (
	None Call = iota
	Acked
	Retried
)

// Retry is what was said with a retry.
type Retry struct {
	Delay    time.Duration
	HasDelay bool // Delay was given; zero is a delay like any other
	Cause    error
	// Undecodable marks a message that was withheld from the handler, because
	// its body does not decode.
	Undecodable bool
}

// Verdict is what becomes of one message: it is acknowledged, or retried.
type Verdict struct {
	Retry       bool
	Delay       time.Duration
	HasDelay    bool // otherwise the consumer's policy decides the delay
	Cause       error
	Undecodable bool
}

// Decide turns the calls made for a message (own, with what was said in retry)
// and for its batch (all, with allRetry) and the invocation's outcome (nil, or
// why it failed) into the message's verdict.
//
//	own      all      outcome   verdict
//	Acked    any      any       ack
//	Retried  any      any       retry: own delay, else RetryAll's
//	None     Acked    any       ack
//	None     Retried  any       retry: RetryAll's delay
//	None     None     nil       ack
//	None     None     failed    retry
func Decide(own Call, retry Retry, all Call, allRetry Retry, outcome error) Verdict {
	switch {
	case own == Acked, own == None && all == Acked, own == None && all == None && outcome == nil:
		return Verdict{}
	case own == None && all == None:
		return Verdict{Retry: true, Cause: outcome}
	}
	v := Verdict{Retry: true, Delay: retry.Delay, HasDelay: retry.HasDelay, Cause: retry.Cause, Undecodable: retry.Undecodable}
	if all == Retried {
		if !v.HasDelay {
			v.Delay, v.HasDelay = allRetry.Delay, allRetry.HasDelay
		}
		if v.Cause == nil {
			v.Cause = allRetry.Cause
		}
	}
	if v.Cause == nil {
		v.Cause = outcome
	}
	return v
}
