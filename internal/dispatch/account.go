package dispatch

import (
	"encoding/binary"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/store"
)

// Counters count what happened to a queue's messages on the consuming side. They
// outlive the engines of their queue. Each is added to once a batch.
type Counters struct {
	Delivered, Acked, Retried, DeadLettered, Dropped atomic.Uint64
	Undecodable, LeasesLost                          atomic.Uint64
	Batches, FailedBatches, Stuck                    atomic.Uint64
	Pulls, EmptyPulls                                atomic.Uint64
	WriteOps, ReadOps, DeleteOps                     atomic.Uint64
	SuccessOps, DeadLetterOps, FailOps               atomic.Uint64 // of ReadOps, those that were settled
	Longest                                          atomic.Int64  // invocation, in nanoseconds
	Held                                             atomic.Int64  // the longest time from a pull to its settlement without an extension, in nanoseconds
	Lag                                              atomic.Int64  // of the latest batch's oldest message, in nanoseconds
	Minutes                                          Minutes
}

// OpSize is the number of bytes that Cloudflare bills as one operation.
const OpSize = 64_000

// OpUnits is the number of operations that a body of n bytes counts for: one for
// each started 64 KB.
func OpUnits(n int) uint64 { return uint64(max(1, (n+OpSize-1)/OpSize)) }

// begin counts a batch that goes to the handler.
func (c *Counters) begin(b *Batch) {
	c.Batches.Add(1)
	c.Delivered.Add(uint64(len(b.Deliveries)))
	c.ReadOps.Add(b.sum.units)
	c.Lag.Store(int64(b.ctx.began.Sub(b.sum.first)))
}

// acked counts acknowledged messages.
func (c *Counters) acked(n int, units uint64) {
	c.Acked.Add(uint64(n))
	c.DeleteOps.Add(units)
	c.SuccessOps.Add(units)
}

// A Tally says with how many messages a settlement has done what.
type Tally struct{ Acked, Retried, Moved, Dropped, Extended, Lost int }

// account counts outcomes that were applied, which those in lost were not, and
// logs what is not delivered again.
func (s *Settler) account(ds []store.Delivery, r *ruling, lost []int) (t Tally) {
	c := s.Counters
	if r.acked == len(r.list) && len(lost) == 0 && r.sum != nil && !r.watched.Has(Acked) { // by far the most
		t.Acked = r.acked
		c.acked(t.Acked, r.sum.units)
		r.outs[Succeeded] = r.sum.ops(t.Acked, r.now)
		return t
	}
	var writes, deletes, failed uint64
	dead := r.dead
	for i := range r.list {
		o, d := &r.list[i], &ds[i]
		var x *spent
		if len(dead) > 0 && dead[0].i == i {
			x, dead = &dead[0], dead[1:]
		}
		if len(lost) > 0 && lost[0] == i {
			lost = lost[1:]
			t.Lost++
			s.logLost(r, d)
			s.observe(r, Happening{Kind: LeaseLost, Delivery: d, Err: r.lostErr()})
			continue
		}
		size := r.sizeOf(i, d)
		units := OpUnits(size)
		switch {
		case o.Verb == store.Extend:
			t.Extended++
		case o.Verb == store.Retry:
			t.Retried++
			failed += units
			s.observe(r, Happening{Kind: Retried, Delivery: d, Delay: o.Delay, Err: r.cause(i)})
		case o.Verb == store.Move:
			t.Moved++
			writes += units
			r.end(Buried, d, size, 0)
			s.Log.Warn("message dead-lettered", append(x.describe(d), "dead_letter_queue", o.To)...)
			s.observe(r, Happening{Kind: DeadLettered, Delivery: d, To: o.To, Err: x.reasonOrCause()})
		case x != nil:
			t.Dropped++
			deletes += units
			failed += units
			r.end(Discarded, d, size, units)
			s.Log.Warn("message deleted: it has no attempts left and the consumer no dead-letter queue", x.describe(d)...)
			s.observe(r, Happening{Kind: Dropped, Delivery: d, Err: x.reasonOrCause()})
		default:
			t.Acked++
			deletes += units
			r.end(Succeeded, d, size, units)
			s.observe(r, Happening{Kind: Acked, Delivery: d, Implicit: i < len(r.implicit) && r.implicit[i]})
		}
	}
	addTo(&c.Acked, uint64(t.Acked))
	addTo(&c.Retried, uint64(t.Retried))
	addTo(&c.DeadLettered, uint64(t.Moved))
	addTo(&c.Dropped, uint64(t.Dropped))
	addTo(&c.LeasesLost, uint64(t.Lost))
	addTo(&c.WriteOps, writes)
	addTo(&c.DeleteOps, deletes)
	addTo(&c.SuccessOps, r.outs[Succeeded].Units)
	addTo(&c.DeadLetterOps, writes)
	addTo(&c.FailOps, failed)
	return t
}

// errUnsure tells that the store did not answer, and then knew the lease no more: it
// has been settled before, or is lost.
var errUnsure = errors.New("inproq: the store's answer was lost, so the message may be settled")

func (r *ruling) lostErr() error {
	if r.unsure {
		return errUnsure
	}
	return nil
}

func (s *Settler) logLost(r *ruling, d *store.Delivery) {
	attrs := []any{"message_id", idText(d.ID), "attempts", d.Attempts}
	switch {
	case r.returned:
	case r.unsure:
		s.Log.Warn("the store's answer was lost: the message is settled, or delivered again", attrs...)
	default:
		s.Log.Warn("lease lost: the message is delivered again", attrs...)
	}
}

func (s *Settler) observe(r *ruling, h Happening) {
	if r.watched.Has(h.Kind) {
		h.At = r.at
		s.Observer.Observe(h)
	}
}

// sizeOf is how long the body of a message is.
func (r *ruling) sizeOf(i int, d *store.Delivery) int {
	if r.sizes != nil {
		return int(min(r.sizes[i], math.MaxInt32))
	}
	return len(d.Body)
}

// end adds a message that is delivered no more. Deleting it is billed as units.
func (r *ruling) end(as Done, d *store.Delivery, size int, units uint64) {
	r.outs[as].Add(&Ops{
		Count: 1, Units: units, Bytes: uint64(size), Retries: uint64(max(d.Attempts-1, 0)), Largest: int64(size),
		Lag: max(r.now.Sub(sentAt(d)), 0),
	})
}

// sentAt is when a message was sent, which also its ID tells: to the millisecond, where
// only its lease was named.
func sentAt(d *store.Delivery) time.Time {
	if !d.Sent.IsZero() {
		return d.Sent
	}
	var ms [8]byte
	copy(ms[2:], d.ID[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(ms[:])))
}

// markImplicit notes that no call has acknowledged message i.
func (r *ruling) markImplicit(i int, record *settlement.Record) {
	if all, _ := record.All(); all != settlement.None {
		return
	}
	if own, _ := record.Own(i); own != settlement.None {
		return
	}
	for len(r.implicit) <= i {
		r.implicit = append(r.implicit, false)
	}
	r.implicit[i] = true
}

// describe returns what the log says of a spent message.
func (x *spent) describe(d *store.Delivery) []any {
	attrs := []any{"message_id", idText(d.ID), "attempts", d.Attempts, "reason", x.reason}
	if x.cause != nil {
		attrs = append(attrs, "err", x.cause)
	}
	return attrs
}

// A ReasonError says why a message is dead when there is no error to tell: that its
// last delivery was never settled, or that nobody gave a cause.
type ReasonError struct{ Reason string }

func (e *ReasonError) Error() string { return "inproq: " + e.Reason }

func (x *spent) reasonOrCause() error {
	if x.cause != nil {
		return x.cause
	}
	return &ReasonError{x.reason}
}

func addTo(c *atomic.Uint64, n uint64) {
	if n > 0 {
		c.Add(n)
	}
}

// noteMax raises a to n.
func noteMax(a *atomic.Int64, n int64) {
	for {
		old := a.Load()
		if n <= old || a.CompareAndSwap(old, n) {
			return
		}
	}
}
