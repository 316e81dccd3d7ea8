package settlement

import (
	"sync"
	"sync/atomic"
)

// Effect is what a call on a ledger did.
type Effect uint8

// The effects of a call.
const (
	// Recorded: the call counts.
	Recorded Effect = iota
	// Redundant: it asked for what is the case already.
	Redundant
	// Ignored: an earlier call has decided otherwise.
	Ignored
	// Late: the ledger was sealed.
	Late
)

// A Ledger records the calls made on one batch. Its methods are safe for
// concurrent use. The zero value is not usable; see Init.
//
// Ack, by far the most frequent call, takes no lock: one load and one
// compare-and-swap.
type Ledger struct {
	all    atomic.Uint32 // a Call, and the bit sealed
	own    []atomic.Uint32
	few    [10]atomic.Uint32 // what own is of a batch of the usual size: one allocation less
	mu     sync.Mutex        // guards what follows, and the setting of all
	retry  []Retry           // by message; nil until the first retry
	retry0 Retry             // of RetryAll
}

const sealed = 1 << 8

// closed is what Seal makes of None: no call may follow.
const closed = None + 1<<7

// Init prepares the ledger for a batch of n messages.
func (l *Ledger) Init(n int) {
	if l.own = l.few[:]; n > len(l.few) {
		l.own = make([]atomic.Uint32, n)
	}
	l.own = l.own[:n]
}

// Len returns the number of messages.
func (l *Ledger) Len() int { return len(l.own) }

// Ack records an acknowledgement of message i.
func (l *Ledger) Ack(i int) Effect {
	all := l.all.Load()
	switch {
	case all&sealed != 0:
		return Late
	case l.own[i].Load() == uint32(Acked) || all == uint32(Acked):
		return Redundant
	case all == uint32(Retried):
		return Ignored
	case l.own[i].CompareAndSwap(uint32(None), uint32(Acked)):
		return Recorded
	}
	switch Call(l.own[i].Load()) { // another goroutine was faster
	case Acked:
		return Redundant
	case closed:
		return Late
	}
	return Ignored
}

// Retry records a retry of message i. Of several the last one's delay counts,
// also when it has none.
func (l *Ledger) Retry(i int, r Retry) Effect {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all.Load()
	switch {
	case all&sealed != 0:
		return Late
	case all == uint32(Acked):
		return Ignored
	case !l.own[i].CompareAndSwap(uint32(None), uint32(Retried)) && l.own[i].Load() != uint32(Retried):
		return Ignored
	}
	if l.retry == nil {
		l.retry = make([]Retry, len(l.own))
	}
	l.retry[i] = r
	return Recorded
}

// Called reports whether message i has a call of its own.
func (l *Ledger) Called(i int) bool { return l.own[i].Load() != uint32(None) }

// Explain adds a cause to a retry of message i that was called without one.
func (l *Ledger) Explain(i int, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all.Load()&sealed == 0 && l.retry != nil && l.retry[i].Cause == nil {
		l.retry[i].Cause = cause
	}
}

// Verdict decides message i by what was called so far, without an outcome to fall
// back on. It reports false when nothing was called that concerns it.
func (l *Ledger) Verdict(i int) (v Verdict, decided bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own, all, retry := Call(l.own[i].Load()), Call(l.all.Load()&^sealed), Retry{}
	if own != Acked && own != Retried {
		own = None
	}
	if own == Retried {
		retry = l.retry[i]
	}
	if own == None && all == None {
		return Verdict{}, false
	}
	return Decide(own, retry, all, l.retry0, nil), true
}

// AckAll records an acknowledgement of all messages without a call of their
// own.
func (l *Ledger) AckAll() Effect {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch all := l.all.Load(); {
	case all&sealed != 0:
		return Late
	case all == uint32(Retried):
		return Ignored
	case all == uint32(Acked):
		return Redundant
	}
	l.all.Store(uint32(Acked))
	return Recorded
}

// RetryAll records a retry of all messages without a call of their own. A later
// call replaces what it says anew.
func (l *Ledger) RetryAll(r Retry) Effect {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch all := l.all.Load(); {
	case all&sealed != 0:
		return Late
	case all == uint32(Acked):
		return Ignored
	}
	l.all.Store(uint32(Retried))
	if r.HasDelay {
		l.retry0.Delay, l.retry0.HasDelay = r.Delay, true
	}
	if r.Cause != nil {
		l.retry0.Cause = r.Cause
	}
	return Recorded
}

// Seal ends the recording: later calls do nothing. It reports whether this call
// was the one that sealed. An Ack that looked at all before it and has not
// written yet finds its message closed.
func (l *Ledger) Seal() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all.Load()
	l.all.Store(all | sealed)
	for i := range l.own {
		if own := &l.own[i]; own.Load() == uint32(None) {
			own.CompareAndSwap(uint32(None), uint32(closed))
		}
	}
	return all&sealed == 0
}

// Sealed reports whether the ledger is sealed.
func (l *Ledger) Sealed() bool { return l.all.Load()&sealed != 0 }

// A Record is what a sealed ledger holds.
type Record struct {
	own   []atomic.Uint32
	retry []Retry
	all   Call
	all0  Retry
}

// Record returns what was called. The ledger must be sealed.
func (l *Ledger) Record() Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Record{own: l.own, retry: l.retry, all: Call(l.all.Load() &^ sealed), all0: l.retry0}
}

// Acked reports whether message i is acknowledged; it is the quick form of
// Verdict for what happens to most.
func (r *Record) Acked(i int, outcome error) bool {
	switch Call(r.own[i].Load()) {
	case Acked:
		return true
	case closed:
		return r.all == Acked || r.all == None && outcome == nil
	}
	return false
}

// AllAcked reports whether all messages are acknowledged.
func (r *Record) AllAcked(outcome error) bool {
	for i := range r.own {
		if !r.Acked(i, outcome) {
			return false
		}
	}
	return true
}

// Verdict decides message i, given how the invocation ended.
func (r *Record) Verdict(i int, outcome error) Verdict {
	own, retry := r.Own(i)
	return Decide(own, retry, r.all, r.all0, outcome)
}

// Own returns what was called for message i.
func (r *Record) Own(i int) (Call, Retry) {
	switch call := Call(r.own[i].Load()); call {
	case Acked:
		return call, Retry{}
	case Retried:
		return call, r.retry[i]
	}
	return None, Retry{}
}

// All returns what was called for the batch.
func (r *Record) All() (Call, Retry) { return r.all, r.all0 }
