package dispatch

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/store"
)

// A Batch is one invocation of the handler: the messages, the calls made on
// them, and the functions it started.
type Batch struct {
	settlement.Ledger
	// Deliveries are valid until the handler returns.
	Deliveries []store.Delivery
	// Backlog is what the queue holds without the batch.
	Backlog store.Stats

	scratch  *scratch // Deliveries belong to it
	sum      survey
	settings *Settings       // as they were when it was leased
	ctx      invocation      // of the handler
	detached context.Context // instead, in a batch without an engine
	log      *slog.Logger
	counters *Counters
	observer Observer
	watched  Kinds            // what somebody is told of it
	group    *sync.WaitGroup  // that the goroutines of Spawn belong to
	place    int              // in the engine's live
	settled  bool             // being settled: leases are not renewed any more; guarded by the engine's mu
	over     func(i int) bool // that message i of a batch settled piece by piece is settled; nil: it is settled at once

	mu      sync.Mutex
	pending int           // functions started and not finished
	idle    chan struct{} // closed when pending becomes 0; nil: nobody waits
	closed  bool
	errs    []error // of the functions
}

// newBatch makes a batch that begins now.
func (e *Engine) newBatch(s *Settings, x *scratch) *Batch {
	b := &Batch{
		Deliveries: x.found, scratch: x, settings: s, log: e.log, counters: e.Counters, group: &e.wg,
		observer: e.Observer,
	}
	b.sum = surveyOf(x.found)
	if x.counted {
		b.Backlog = remaining(x.after, len(x.found), &b.sum)
	} else {
		b.Backlog = e.backlog(len(x.found), &b.sum)
	}
	b.Init(len(x.found))
	b.ctx.begin(e.work, s.MaxDuration)
	return b
}

// NewDetached makes a batch of n messages that belongs to no engine, for calling
// a handler in a test. Its settlement is read from the ledger.
func NewDetached(ctx context.Context, n int, maxDelay time.Duration, log *slog.Logger) *Batch {
	b := &Batch{log: log, counters: new(Counters), group: new(sync.WaitGroup), settings: &Settings{MaxDelay: maxDelay}}
	b.Init(n)
	b.detached = ctx
	return b
}

// SetContext sets the context that functions of a detached batch get.
func (b *Batch) SetContext(ctx context.Context) { b.detached = ctx }

// context is what the handler and the functions of the batch get.
func (b *Batch) context() context.Context {
	if b.detached != nil {
		return b.detached
	}
	return &b.ctx
}

// Withhold takes message i out of the handler's hands: its body does not decode.
func (b *Batch) Withhold(i int, cause error) {
	b.Retry(i, settlement.Retry{Cause: cause, Undecodable: true})
	b.counters.Undecodable.Add(1)
	d := &b.Deliveries[i]
	b.log.Warn("message does not decode", "message_id", idText(d.ID), "attempts", d.Attempts, "err", cause)
}

// ClampDelay brings the delay of a retry, which cannot return an error, into its
// range.
func (b *Batch) ClampDelay(d time.Duration) time.Duration {
	allowed := min(max(d, 0), b.settings.MaxDelay)
	if allowed != d {
		b.log.Warn("retry delay out of range", "delay", d, "allowed", allowed)
	}
	return allowed
}

// Retry records a retry of message i, as the ledger does, unless the message is
// settled.
func (b *Batch) Retry(i int, r settlement.Retry) settlement.Effect {
	if b.over != nil && b.over(i) {
		return settlement.Late
	}
	return b.Ledger.Retry(i, r)
}

// Remark logs a call that had no effect because of an earlier one, or because
// the batch was settled. A call on the batch has no message: i is -1.
func (b *Batch) Remark(call string, i int, id store.ID, effect settlement.Effect) {
	if b.watched.Has(CallIgnored) {
		b.observeCall(call, i, id, effect)
	}
	attrs := []any{"call", call}
	if i >= 0 {
		attrs = append(attrs, "message_id", idText(id))
	}
	switch effect {
	case settlement.Ignored:
		b.log.Warn("call ignored: an earlier one has decided otherwise", attrs...)
	case settlement.Late:
		b.log.Warn("call ignored: the batch is settled", attrs...)
	}
}

// observeCall tells of a call without an effect. An Ack after AckAll is none that
// anybody need know of.
func (b *Batch) observeCall(call string, i int, id store.ID, effect settlement.Effect) {
	if effect == settlement.Redundant && (i < 0 || !b.Called(i)) {
		return
	}
	h := Happening{Kind: CallIgnored, Call: call, Effect: effect}
	if i >= 0 {
		h.Delivery = &store.Delivery{Message: store.Message{ID: id}} // the batch's may be gone
	}
	b.observer.Observe(h)
}

// Spawn runs fn, with the invocation's context, as a part of the invocation: the
// batch is settled when it has returned too, and its error or panic fails the
// invocation. It does nothing when the batch is settled already.
func (b *Batch) Spawn(fn func(ctx context.Context) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		b.log.Warn("call ignored: the batch is settled", "call", "Go")
		return
	}
	b.pending++
	b.group.Go(func() {
		err := errGoexit
		defer func() { b.finished(err) }()
		err = Protect(func() error { return fn(b.context()) })
	})
}

// finished notes that one function is over.
func (b *Batch) finished(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.errs = append(b.errs, err)
	}
	if b.pending--; b.pending == 0 && b.idle != nil {
		close(b.idle)
		b.idle = nil
	}
}

// close refuses further functions.
func (b *Batch) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

// Join waits for the functions, also for those that they start, and returns the
// outcome of the invocation: the handler's error with theirs.
func (b *Batch) Join(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.pending > 0 {
		idle := make(chan struct{})
		b.idle = idle
		b.mu.Unlock()
		<-idle
		b.mu.Lock()
	}
	b.closed = true
	if len(b.errs) == 0 {
		return err
	}
	return errors.Join(append([]error{err}, b.errs...)...)
}

// A PanicError is what a handler panicked with.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("handler panicked: %v", e.Value) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// errGoexit is the outcome of a handler that ended its goroutine, as
// testing.T.FailNow does.
var errGoexit = errors.New("handler called runtime.Goexit")

// Protect calls fn and turns a panic into a *PanicError.
func Protect(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return fn()
}

// idText is a message's ID as people see it.
func idText(id store.ID) string { return hex.EncodeToString(id[:]) }
