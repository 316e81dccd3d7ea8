package settlement

import (
	"errors"
	"time"
)

// ledger is what a handler sees: the Ledger, or the oracle.
type ledger interface {
	Ack(i int) Effect
	Retry(i int, r Retry) Effect
	AckAll() Effect
	RetryAll(r Retry) Effect
	Seal() bool
}

// An oracle is the table of the contract's section a2, told as naively as
// possible: what the broker keeps of a batch is exactly what the table's rows
// name. Where two rows apply to one message, the row AckAll comes before the
// message's own and that before the row RetryAll, as in workerd.
type oracle struct {
	ackAll       bool
	retryAll     *Retry
	explicitAcks map[int]bool
	retries      map[int]Retry
	sealed       bool
}

func newOracle() *oracle {
	return &oracle{explicitAcks: map[int]bool{}, retries: map[int]Retry{}}
}

func (o *oracle) retried(i int) bool {
	_, ok := o.retries[i]
	return ok
}

func (o *oracle) Ack(i int) Effect {
	if o.sealed {
		return Late
	}
	if o.ackAll {
		return Redundant
	}
	if o.explicitAcks[i] {
		return Redundant
	}
	if o.retried(i) || o.retryAll != nil {
		return Ignored
	}
	o.explicitAcks[i] = true
	return Recorded
}

func (o *oracle) Retry(i int, r Retry) Effect {
	if o.sealed {
		return Late
	}
	if o.ackAll || o.explicitAcks[i] {
		return Ignored
	}
	o.retries[i] = r
	return Recorded
}

func (o *oracle) AckAll() Effect {
	if o.sealed {
		return Late
	}
	if o.retryAll != nil {
		return Ignored
	}
	if o.ackAll {
		return Redundant
	}
	o.ackAll = true
	return Recorded
}

func (o *oracle) RetryAll(r Retry) Effect {
	if o.sealed {
		return Late
	}
	if o.ackAll {
		return Ignored
	}
	if o.retryAll == nil {
		o.retryAll = &Retry{}
	}
	if r.HasDelay {
		o.retryAll.Delay, o.retryAll.HasDelay = r.Delay, true
	}
	if r.Cause != nil {
		o.retryAll.Cause = r.Cause
	}
	return Recorded
}

func (o *oracle) Seal() bool {
	first := !o.sealed
	o.sealed = true
	return first
}

// verdict is the contract's resolution order, rule by rule.
func (o *oracle) verdict(i int, outcome error) Verdict {
	if o.explicitAcks[i] { // 1
		return Verdict{}
	}
	if own, ok := o.retries[i]; ok { // 2
		v := Verdict{Retry: true, Delay: own.Delay, HasDelay: own.HasDelay, Undecodable: own.Undecodable}
		if !own.HasDelay && o.retryAll != nil {
			v.Delay, v.HasDelay = o.retryAll.Delay, o.retryAll.HasDelay
		}
		v.Cause = firstOf(own.Cause, o.batchCause(), outcome)
		return v
	}
	if o.ackAll { // 3
		return Verdict{}
	}
	if o.retryAll != nil { // 4
		return Verdict{
			Retry: true, Delay: o.retryAll.Delay, HasDelay: o.retryAll.HasDelay,
			Cause: firstOf(o.batchCause(), outcome),
		}
	}
	if outcome == nil { // 5
		return Verdict{}
	}
	return Verdict{Retry: true, Cause: outcome}
}

func (o *oracle) batchCause() error {
	if o.retryAll == nil {
		return nil
	}
	return o.retryAll.Cause
}

func firstOf(causes ...error) error {
	for _, cause := range causes {
		if cause != nil {
			return cause
		}
	}
	return nil
}

// Outcomes and causes of the tests.
var (
	errOutcome = errors.New("the handler failed")
	errFirst   = errors.New("first cause")
	errSecond  = errors.New("second cause")
)

// bare and after make what is said with a retry.
var bare Retry

func after(seconds int) Retry {
	return Retry{Delay: time.Duration(seconds) * time.Second, HasDelay: true}
}

func because(cause error) Retry { return Retry{Cause: cause} }

func newLedger(n int) *Ledger {
	l := new(Ledger)
	l.Init(n)
	return l
}

// seal ends the recording and returns what was recorded.
func seal(l *Ledger) *Record {
	l.Seal()
	record := l.Record()
	return &record
}
