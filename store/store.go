// Package store is the seam between the queue runtime and the engines that
// keep its messages.
//
// A [Store] holds named queues. Each method does one thing to one queue, and
// every durable fact of inproq passes through the eleven of them: the runtime
// keeps no message of its own between calls. Application code has no reason to
// call a Store; it passes one to inproq.Config and from then on talks to the
// Broker. This package is for authors of stores, and imports nothing of
// inproq's.
//
// # Who owns what
//
// The store owns time, leases, attempts, retention and Paused. The runtime owns
// batch sizes, concurrency, which message is acknowledged or retried, when a
// message is dead-lettered and to which queue, limits, and everything inside
// [Queue.Settings]. Durations go down, timestamps never do: the store's clock
// alone decides what is due, so hosts whose clocks disagree do not.
//
// # Ownership of memory
//
// A store keeps none of its arguments after it returns (slices, bodies,
// headers): it copies what it needs. What [Store.Lease] and [Store.Peek] return
// belongs to the caller; bodies and headers are immutable, are never recycled,
// and have cap == len, so that an append cannot reach a neighbour.
//
// # Concurrency, blocking and failure
//
// All methods are safe for concurrent use. Only Lease and Queues block, and
// both end when ctx does. When a method returns an error it has done nothing,
// with two exceptions: after [ErrUnavailable] nobody knows, and a failed Settle
// may have applied any subset of its outcomes, so that repeating the whole call is
// safe. Every method answers [ErrQueueNotFound] for a queue that does not exist
// and [ErrClosed] after Close.
//
// # Optional interfaces
//
// A store that can enlist in the application's own database transaction
// implements [TxEnqueuer], one in this process [Local], and one that may come to accept no
// writes any more [Reporter].
package store

import (
	"context"
	"time"
)

// ID names a message: the 16 bytes of a UUIDv7 that the runtime mints before
// the send, so that a store whose [Guarantee] says Idempotent treats a second
// Enqueue of the same ID as done, and an ambiguous send can be repeated.
type ID [16]byte

// Lease names one delivery of one message. It is opaque, minted by the store,
// unguessable, and valid in any process that uses the same store. The leases of
// one batch may share a backing string.
//
// The references that [Store.Peek] hands out have the same type and are
// guessable; Settle accepts them as it says there.
type Lease string

// Message is what a producer hands to [Store.Enqueue].
type Message struct {
	ID          ID
	Body        []byte
	ContentType string
	// Headers is an encoded block the store keeps beside the body and never
	// reads. It does not count in [Stats.Bytes].
	Headers []byte
	// Delay keeps the message invisible for that long after its acceptance.
	// Zero and less mean none.
	Delay time.Duration
}

// Delivery is a message as it leaves the store. In one that [Store.Peek]
// returns, Lease is a reference and Attempts counts the deliveries so far,
// possibly none. Delay is always zero.
type Delivery struct {
	Message
	Lease Lease
	// Attempts numbers this delivery: 1 for the first. It was counted when the
	// message was leased, so a process that dies has used its attempt.
	Attempts int
	// Sent is the time of acceptance on the store's clock. A Move keeps it.
	Sent time.Time
}

// Claim says which messages a Lease wants, and how long it will wait for them.
type Claim struct {
	// Lease returns once Min messages are leasable or Linger is over, and then
	// takes up to Max of them. Min below 1 means 1, Max below Min means Min.
	Min, Max int
	// Bytes bounds the sum of the bodies; the first message always fits. Zero:
	// no bound.
	Bytes int
	// Visibility is how long the leases hold, counted from the return.
	Visibility time.Duration
	// Wait bounds the wait for the first message. Zero: do not wait. Negative:
	// until ctx ends. A wait of any length costs nothing while nothing happens.
	Wait time.Duration
	// Linger bounds the wait for Min messages, once there is one. It counts
	// from the moment the first of them became leasable, or from the end of
	// this process's previous Lease that returned messages if that was later.
	// No lease is held meanwhile.
	Linger time.Duration
}

// Verb is what becomes of a leased message.
type Verb uint8

// The verbs of Settle.
const (
	// Ack removes the message.
	Ack Verb = iota
	// Retry makes it visible again after Delay.
	Retry
	// Move puts it into the queue To, ready at once, with its attempts at zero,
	// and the same ID and Sent.
	Move
	// Extend keeps the lease for Delay from now.
	Extend
	// Release makes it visible again at once. No handler has seen it, so the
	// attempt is uncounted where the engine can do that; one that is Fenced can,
	// unless the lease has run out.
	Release
)

// String returns the verb in lower case.
func (v Verb) String() string {
	switch v {
	case Ack:
		return "ack"
	case Retry:
		return "retry"
	case Move:
		return "move"
	case Extend:
		return "extend"
	case Release:
		return "release"
	}
	return "invalid"
}

// Outcome is one line of a Settle: what becomes of the message that Lease names.
type Outcome struct {
	Lease Lease
	Verb  Verb
	Delay time.Duration // Retry and Extend; zero and less mean none
	To    string        // Move: the destination
	// Headers replace the message's on a Move, unless nil.
	Headers []byte
	// Renew lets retention count from the Move rather than from Sent. A later Move
	// without it leaves that as it is.
	Renew bool
}

// Queue is the record of a queue, changed by compare-and-set.
type Queue struct {
	Name string
	// Paused stops deliveries: no Lease that starts after PutQueue returned
	// hands out a message. Sends and settlements go on.
	Paused bool
	// Deleted marks a tombstone. It appears only in what Queues returns.
	Deleted bool
	// Retention is how long after Sent a message is kept; then it is deleted
	// silently and counted in [Stats.Expired]. Zero and less: for ever.
	Retention time.Duration
	// Settings belong to the runtime. The store keeps the bytes and never reads
	// them.
	Settings []byte
	// Revision comes from one counter for the whole store, in commit order.
	Revision uint64
}

// Stats counts what a queue holds. A number that the engine cannot tell exactly
// and cheaply is -1, a time zero.
type Stats struct {
	// Messages are all that are not yet acknowledged, dead or expired: ready,
	// delayed and leased. Bytes is the sum of their bodies.
	Messages, Bytes int64
	// Delayed wait for a delay or a retry delay to pass; Leased are out.
	Delayed, Leased int64
	// Oldest is the earliest Sent among Messages; zero when there are none.
	Oldest time.Time
	// Expired and ExpiredBytes count what retention has deleted, since the
	// queue was created or the store was opened.
	Expired, ExpiredBytes int64
}

// Store keeps queues. See the package documentation for what holds for every
// method.
type Store interface {
	// Enqueue accepts all of msgs or none. Messages without a delay are leasable
	// in the order of acceptance as far as the engine can tell it. It returns
	// the queue's Stats from before; Delayed, Leased and Oldest are best effort.
	Enqueue(ctx context.Context, queue string, msgs []Message) (before Stats, err error)

	// Lease hides messages from other callers for c.Visibility, counts an
	// attempt for each, and appends them to buf. A lease that runs out makes its
	// message leasable again, with the attempt counted.
	//
	// It returns as c says; without an error and without messages when c.Wait
	// passed. When ctx ends first it returns ctx's error and leases nothing. A
	// Lease that waits sits a pause out; with c.Wait == 0 it answers ErrPaused.
	// A queue that is deleted meanwhile ends the wait with ErrQueueNotFound.
	//
	// A store whose Guarantee says Partial may return early with fewer messages
	// than c.Min; the runtime then asks for the rest itself.
	Lease(ctx context.Context, queue string, c Claim, buf []Delivery) ([]Delivery, error)

	// Settle applies outcomes to leased messages of one queue, in their order. It
	// returns the indexes of those whose lease no longer held, which it left
	// alone: the message is gone, or leased to another by now, or an earlier
	// outcome other than Extend has settled it. A lease that has run out holds
	// until somebody else leases the message.
	//
	// A reference from Peek is taken with Ack and Move while the message is not
	// leased; with another verb, or when it is leased, it is reported as lost.
	//
	// If the destination of any Move does not exist, Settle applies nothing and
	// returns ErrQueueNotFound.
	Settle(ctx context.Context, queue string, outcomes []Outcome) (lost []int, err error)

	// Peek returns up to limit messages that are not leased, without leasing
	// them: the ready ones first, about in the order of delivery, then the
	// delayed ones. Where an engine is not Fenced, leased messages may appear too. It
	// starts behind the reference after; "" is the beginning. References stay
	// valid cursors while messages come and go; one that the store cannot place
	// any more may let messages be skipped or seen twice.
	Peek(ctx context.Context, queue string, after Lease, limit int) ([]Delivery, error)

	// Purge deletes ready and delayed messages. Leased ones are not in the queue
	// just then: they stay with their holders, and a retry brings them back.
	Purge(ctx context.Context, queue string) error

	// Stats counts what the queue holds now.
	Stats(ctx context.Context, queue string) (Stats, error)

	// PutQueue creates the queue when q.Revision is zero, and otherwise replaces
	// the record with exactly that revision. It returns the record as stored, or
	// ErrConflict: the name is taken, or the revision of the queue, which exists,
	// is another.
	PutQueue(ctx context.Context, q Queue) (Queue, error)

	// DeleteQueue deletes the queue with its messages.
	DeleteQueue(ctx context.Context, name string) error

	// Queues lists the records with a revision above after, in the order of
	// revisions, and the newest revision of the store. With after zero that is a
	// list of all queues and no tombstones; with the revision of an earlier call
	// it is what changed since, deletions as tombstones. When nothing has, it
	// waits up to wait (negative: until ctx ends) for the first change.
	Queues(ctx context.Context, after uint64, wait time.Duration) ([]Queue, uint64, error)

	// Guarantee says what this store promises. It never changes.
	Guarantee() Guarantee

	// Close releases what the store holds and ends every blocked call with
	// ErrClosed. Closing twice is fine.
	Close() error
}

// TxEnqueuer is implemented by a store that can enqueue inside a transaction of
// the application's: the messages are there exactly when it commits. It keeps msgs no longer
// than any other method: they are used again before the commit.
type TxEnqueuer interface {
	EnqueueTx(ctx context.Context, tx any, queue string, msgs []Message) error
}

// Reporter is implemented by a store that may fail for good: it then answers every write with
// [ErrReadOnly] until it is opened anew.
type Reporter interface {
	// OnFailure has f called once, with the reason, when that happens, or at once if it
	// has happened. f must return soon and not call the store. forget ends that; it may
	// be called at any time.
	OnFailure(f func(reason error)) (forget func())
}

// Local is implemented by a store that lives in this process, where what a call
// costs matters more than what crosses a network. The runtime then sends plain single
// messages through an Inlet, and delivers through an Outlet: a type that embeds such
// a store and overrides Enqueue, Lease or Settle must override Inlet and Outlet too, or
// embed the interface Store instead of it.
type Local interface {
	// Now is the time on the store's clock, in nanoseconds since 1970. The runtime
	// needs it for a message's ID, and passes it on, so that a send reads the clock
	// once.
	Now() int64
	// Inlet returns a new inlet of a queue.
	Inlet(queue string) (Inlet, error)
	// Outlet returns an outlet of a queue.
	Outlet(queue string) (Outlet, error)
}

// Inlet accepts single messages for one queue, until that is deleted; it stays
// useless when the name is taken anew.
type Inlet interface {
	// Send is Enqueue for one message without a delay and headers, at a time that Now
	// has just returned.
	Send(ctx context.Context, id ID, body []byte, contentType string, now int64) (Receipt, error)
	// Sent is the number of messages that this inlet has accepted.
	Sent() int64
	// SentBytes is the sum of the sizes of their bodies.
	SentBytes() int64
	// Gone reports whether the queue was deleted, or the store closed.
	Gone() bool
}

// Receipt is what an Inlet returns: the queue's Messages and Bytes from before, and
// the time of the oldest message in nanoseconds since 1970, zero if there was none.
// All are best effort while others send too.
type Receipt struct{ Messages, Bytes, Oldest int64 }

// Outlet is the way out of one queue, until that is deleted; it stays useless when
// the name is taken anew. Its calls return the queue's Stats too, as they are at
// their end, which whoever delivers needs each time.
type Outlet interface {
	// Lease is that of the Store. It may adjust the claim. It fills in st unless it
	// returns an error.
	Lease(ctx context.Context, c *Claim, buf []Delivery, st *Stats) ([]Delivery, error)
	// Ack is Settle with an Ack of each message, by what Lease has returned. It is
	// quickest for all messages of one Lease, in their order.
	Ack(ctx context.Context, ds []Delivery) (lost []int, st Stats, err error)
}
