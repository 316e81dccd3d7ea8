package storetest

import (
	"maps"
	"slices"
	"time"

	"github.com/inproq/inproq/store"
)

// A shadow is what a queue should be: a plain map and the clock. It is given the
// time, and knows nothing of a store but its TimerGrain.
type shadow struct {
	record   store.Queue
	messages map[store.ID]*twin
	grain    time.Duration

	lastLease time.Time // end of the last Lease that returned messages
	resumed   time.Time // end of the last pause

	expired, expiredBytes int64
}

// A twin is what a message should be.
type twin struct {
	store.Message
	sent     time.Time   // as the store said; zero: it has not yet
	born     time.Time   // from when retention counts
	due      time.Time   // end of the delay, or of the lease
	since    time.Time   // the same, or earlier if one may say that it was leasable all along
	sure     time.Time   // when the store must know that: a grain later, or at once
	lease    store.Lease // the newest, unless settled
	attempts int
	vague    bool // one attempt more is right too
}

func newShadow(record store.Queue, grain time.Duration) *shadow {
	return &shadow{record: record, messages: map[store.ID]*twin{}, grain: grain}
}

// schedule makes the message leasable after d.
func (w *twin) schedule(now time.Time, d, grain time.Duration) {
	if d > 0 || w.due.IsZero() || now.Before(w.due) {
		w.since = now.Add(max(d, 0))
	}
	w.due = now.Add(max(d, 0))
	if w.sure = w.due; d > 0 {
		w.sure = w.due.Add(grain)
	}
}

func (w *twin) leased(now time.Time) bool  { return w.lease != "" && now.Before(w.due) }
func (w *twin) delayed(now time.Time) bool { return w.lease == "" && now.Before(w.due) }

// end is when retention is over; ok is false if that never is.
func (q *shadow) end(w *twin) (at time.Time, ok bool) {
	return w.born.Add(q.record.Retention), q.record.Retention > 0
}

// over says whether retention is.
func (q *shadow) over(w *twin, now time.Time) bool {
	end, ok := q.end(w)
	return ok && !now.Before(end)
}

// expire drops what retention has ended, unless it is leased.
func (q *shadow) expire(now time.Time) {
	for id, w := range q.messages {
		if !w.leased(now) && q.over(w, now) {
			delete(q.messages, id)
			q.expired++
			q.expiredBytes += int64(len(w.Body))
		}
	}
}

// unsure says whether something is due that the store may notice a little later.
func (q *shadow) unsure(now time.Time) bool {
	for _, w := range q.messages {
		if !now.Before(w.due) && now.Before(w.sure) {
			return true
		}
		if end, ok := q.end(w); ok && q.over(w, now) && now.Before(end.Add(q.grain)) {
			return true
		}
	}
	return false
}

// next is the first time after now at which a delay or lease ends.
func (q *shadow) next(now time.Time) (at time.Time, ok bool) {
	for _, w := range q.messages {
		if w.due.After(now) && (!ok || w.due.Before(at)) {
			at, ok = w.due, true
		}
	}
	return at, ok
}

func (q *shadow) stats(now time.Time) store.Stats {
	s := store.Stats{Expired: q.expired, ExpiredBytes: q.expiredBytes}
	unknown := false
	for _, w := range q.messages {
		s.Messages++
		s.Bytes += int64(len(w.Body))
		if w.leased(now) {
			s.Leased++
		} else if w.delayed(now) {
			s.Delayed++
		}
		unknown = unknown || w.sent.IsZero()
		if s.Oldest.IsZero() || w.sent.Before(s.Oldest) {
			s.Oldest = w.sent
		}
	}
	if unknown {
		s.Oldest = time.Time{}
	}
	return s
}

// holder is the message that this lease names.
func (q *shadow) holder(lease store.Lease) *twin {
	for _, w := range q.messages {
		if w.lease != "" && w.lease == lease {
			return w
		}
	}
	return nil
}

// purge drops what is not leased.
func (q *shadow) purge(now time.Time) {
	maps.DeleteFunc(q.messages, func(_ store.ID, w *twin) bool { return !w.leased(now) })
}

// settle applies one outcome, and says whether its lease held.
func (q *shadow) settle(o store.Outcome, queues map[string]*shadow, now time.Time, fenced bool) bool {
	w := q.holder(o.Lease)
	if w == nil {
		return false
	}
	switch o.Verb {
	case store.Ack:
		delete(q.messages, w.ID)
	case store.Retry:
		w.lease = ""
		w.schedule(now, o.Delay, q.grain)
	case store.Release:
		// One that ran out was counted, and nobody has seen it: either is right.
		w.vague = !fenced || !w.leased(now)
		w.lease = ""
		w.schedule(now, 0, q.grain)
		w.since = q.lastLease // as though it had never been away
		w.attempts--
	case store.Extend:
		w.schedule(now, o.Delay, q.grain)
		w.sure = w.due.Add(q.grain)
	case store.Move:
		q.move(w, o, queues[o.To], now)
	}
	return true
}

func (q *shadow) move(w *twin, o store.Outcome, to *shadow, now time.Time) {
	delete(q.messages, w.ID)
	w.lease, w.attempts, w.vague = "", 0, false
	w.schedule(now, 0, q.grain)
	if to != q {
		w.since = now
	}
	if o.Headers != nil {
		w.Headers = o.Headers
	}
	if o.Renew {
		w.born = now
	}
	to.messages[w.ID] = w
}

// A forecast is when a Lease should return, and whether without messages.
type forecast struct {
	at, until time.Time
	empty     bool
}

// foresee says what a Lease that starts now may do if nobody does anything
// meanwhile. Where the contract leaves something open there are several answers:
// whether a message that waits through a pause is leasable, and whether one that is
// released, or settled after its lease has run out, becomes so again.
func (q *shadow) foresee(c store.Claim, now time.Time) []forecast {
	var all []forecast
	for _, from := range []time.Time{q.lastLease, latest(q.lastLease, q.resumed)} {
		for _, settled := range []bool{false, true} {
			if f := q.simulate(c, now, from, settled); !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	return all
}

// simulate runs the clock from now until a Lease returns, whose Linger counts
// from the given time at the earliest.
func (q *shadow) simulate(c store.Claim, start, lingerFrom time.Time, settled bool) forecast {
	var lingered time.Time
	for now := start; ; {
		leasable, first, next := q.look(now, settled)
		switch {
		case leasable >= max(c.Min, 1):
			return forecast{now, now, false}
		case leasable > 0:
			lingered = latest(first, lingerFrom).Add(max(c.Linger, 0))
			if !now.Before(lingered) {
				return forecast{now, now, false}
			}
			next = earliest(next, lingered)
		default:
			end := start.Add(c.Wait)
			if !now.Before(end) {
				// What it lingered for has expired: it may linger to the end.
				return forecast{now, latest(now, lingered), true}
			}
			next = earliest(next, end)
		}
		now = next
	}
}

// look counts what is leasable, and says since when the first is, and when that
// changes by itself.
func (q *shadow) look(now time.Time, settled bool) (leasable int, first, next time.Time) {
	if q.record.Paused {
		return 0, first, next
	}
	for _, w := range q.messages {
		end, mortal := q.end(w)
		switch {
		case w.due.After(now):
			next = earliest(next, w.due)
		case mortal && !now.Before(end):
		default:
			leasable++
			if settled {
				first = earliest(first, w.due)
			} else {
				first = earliest(first, w.since)
			}
			if mortal {
				next = earliest(next, end)
			}
		}
	}
	return leasable, first, next
}

// earliest and latest take a zero time for none.

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
