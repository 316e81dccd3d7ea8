package store

import (
	"errors"
	"time"
)

// Guarantee is what a store promises, as data: the runtime adapts to it, the
// conformance suite chooses its assertions by it, and the documentation prints
// it.
type Guarantee struct {
	// Survives names the worst failure after which a confirmed send is still
	// there.
	Survives Survival
	// Fenced: an outcome for a lease that somebody else has taken over is
	// refused and reported as lost.
	Fenced bool
	// AtomicMove: a Move is seen whole or not at all. Otherwise a failure in
	// between leaves a duplicate, never a gap.
	AtomicMove bool
	// Idempotent: enqueueing an ID that the queue holds is a no-op, so a send
	// whose result is unknown is safely repeated.
	Idempotent bool
	// AtomicSend is the largest number of messages that one Enqueue takes. Zero:
	// no bound.
	AtomicSend int
	// TimerGrain is how much later than asked a delay, a retry delay or a lease
	// may end. Never earlier.
	TimerGrain time.Duration
	// Shared: several processes may use the store at once. The runtime then
	// renews leases while handlers run.
	Shared bool
	// Partial: Lease may return fewer than Claim.Min messages before Claim.Linger
	// is over. The runtime then holds them and asks for the rest.
	Partial bool
}

// Survival orders failures by their severity.
type Survival uint8

// What a confirmed send can survive.
const (
	Nothing Survival = iota
	ProcessCrash
	PowerLoss
	HostLoss
)

// String returns the name of the failure in words.
func (s Survival) String() string {
	switch s {
	case Nothing:
		return "nothing"
	case ProcessCrash:
		return "process crash"
	case PowerLoss:
		return "power loss"
	case HostLoss:
		return "host loss"
	}
	return "invalid"
}

// The errors of stores. The runtime translates them; application code meets
// inproq's own.
var (
	// ErrQueueNotFound: no queue has that name.
	ErrQueueNotFound = errors.New("store: queue not found")
	// ErrConflict: a record has changed since its revision was read, or the
	// name is taken.
	ErrConflict = errors.New("store: conflicting revision")
	// ErrPaused: deliveries are paused, and the Lease was not to wait.
	ErrPaused = errors.New("store: queue is paused")
	// ErrFull: the engine has no room for the messages.
	ErrFull = errors.New("store: no room left")
	// ErrUnavailable: the engine is out of reach for now, and it is unknown
	// whether the call took effect. The runtime retries for at least ten
	// seconds, sends only where Guarantee.Idempotent.
	ErrUnavailable = errors.New("store: unavailable")
	// ErrReadOnly: the engine accepts no writes any more.
	ErrReadOnly = errors.New("store: read-only")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("store: closed")
)
