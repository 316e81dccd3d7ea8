package dispatch

import (
	"time"

	"github.com/inproq/inproq/internal/autoscale"
	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/store"
)

// An Observer is told what happens to the messages of a queue. It is called from
// the goroutines of handlers and of those who pull, with no lock held, and has to
// return soon.
type Observer interface {
	// Watched reports which kinds anybody wants to know of. It is asked once a batch, and
	// only those are told, but for Overdue, which always is.
	Watched() Kinds
	Observe(h Happening)
}

// Kinds is a set of kinds.
type Kinds uint32

// With adds a kind.
func (s Kinds) With(k Kind) Kinds { return s | 1<<k }

// Has reports whether a kind is in the set.
func (s Kinds) Has(k Kind) bool { return s&(1<<k) != 0 }

// Kind says what has happened.
type Kind uint8

// What may happen. The comments say which fields of a Happening go with it.
const (
	Delivered    Kind = iota // Delivery
	Acked                    // Delivery, Implicit
	Retried                  // Delivery, Delay, Err
	DeadLettered             // Delivery, To, Err
	Dropped                  // Delivery, Err
	LeaseLost                // Delivery
	CallIgnored              // Delivery unless it was on the batch, Call, Effect
	Failed                   // Count, Err: an invocation
	Stuck                    // Count: its handler has not returned
	Scaled                   // Scale
	Counted                  // Count, Size: messages that retention has deleted so far
	Overdue                  // an invocation has exceeded MaxDuration, or a pull its visibility
)

// A Happening is one thing that has happened. Its Delivery is valid during the call.
type Happening struct {
	Kind     Kind
	Delivery *store.Delivery
	Delay    time.Duration
	To       string
	Count    int64
	Size     int64
	Err      error
	Implicit bool // no call has decided it, but the handler's outcome
	Call     string
	Effect   settlement.Effect
	Scale    autoscale.Decision
	// At is when what it tells of began: before the store was asked for it, so before
	// what follows from it. Zero: now.
	At time.Time
}

// beginning is the time for the events of a settlement that begins, if anybody watches.
func beginning(watched Kinds) (at time.Time) {
	if watched != 0 {
		at = time.Now()
	}
	return at
}

// observeDelivered tells of each message of a batch that goes out.
func observeDelivered(o Observer, watched Kinds, ds []store.Delivery) {
	if !watched.Has(Delivered) {
		return
	}
	for i := range ds {
		o.Observe(Happening{Kind: Delivered, Delivery: &ds[i]})
	}
}
