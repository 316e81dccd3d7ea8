package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/inproq/inproq/internal/headers"
	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/store"
)

// settleTime is how long a settlement is tried, whatever has been cancelled.
// Leases outlast it.
const settleTime = 10 * time.Second

// The reasons of dead letters.
const (
	RetriesExhausted = "retries_exhausted"
	Undecodable      = "undecodable"
	Crashed          = "crashed"
)

// A Settler carries out what was decided for messages of one queue, however they
// were delivered: it knows the retry policy, settles with the store in one call, and
// keeps the books.
type Settler struct {
	Store store.Store
	Queue string
	// EnsureQueue creates a dead-letter queue that does not exist. Nil: that is an error.
	EnsureQueue func(ctx context.Context, name string) error
	Log         *slog.Logger
	Counters    *Counters
	Observer    Observer
	Way         Way // of the messages that it settles
}

// A ruling is what is to be settled for a batch: an outcome for each message, and
// the reasons of those that are not acknowledged.
type ruling struct {
	list     []store.Outcome
	dead     []spent  // in the order of their messages
	acked    int      // of list
	sum      *survey  // of all messages; nil: not known
	sizes    []uint64 // bytes of each message; nil: their bodies tell
	causes   []error  // of retries, if watched, by message
	implicit []bool   // acknowledged by the outcome, if watched
	watched  Kinds
	at       time.Time // when it began, if watched
	now      time.Time // for the minutes
	outs     Outs      // what account has found to have ended
	returned bool      // the caller is told of leases that were lost, so the log is not
	unsure   bool      // the store was asked again because its answer was lost
}

// A spent message has no attempt left.
type spent struct {
	i      int // in its batch
	reason string
	cause  error // may be nil
}

// ack appends an acknowledgement.
func (r *ruling) ack(l store.Lease) {
	r.list = append(r.list, store.Outcome{Lease: l, Verb: store.Ack})
	r.acked++
}

// retry appends a retry, or the last outcome of a message that has no attempt left.
func (s *Settler) retry(r *ruling, p *Settings, d *store.Delivery, v settlement.Verdict) {
	o := store.Outcome{Lease: d.Lease, Verb: store.Retry}
	if d.Attempts <= p.MaxRetries {
		o.Delay = s.retryDelay(p, v, d.Attempts)
		if r.watched.Has(Retried) {
			r.explain(len(r.list), v.Cause)
		}
	} else {
		x := spent{i: len(r.list), reason: RetriesExhausted, cause: v.Cause}
		if v.Undecodable {
			x.reason = Undecodable
		}
		r.dead = append(r.dead, x)
		s.last(&o, p, d, &x)
	}
	r.list = append(r.list, o)
}

// explain keeps the cause of a retry for the observer.
func (r *ruling) explain(i int, cause error) {
	if cause == nil {
		return
	}
	for len(r.causes) <= i {
		r.causes = append(r.causes, nil)
	}
	r.causes[i] = cause
}

func (r *ruling) cause(i int) error {
	if i < len(r.causes) {
		return r.causes[i]
	}
	return nil
}

// last makes the outcome of a spent message: a move to the dead-letter queue, with
// the cause, or deletion if there is none.
func (s *Settler) last(o *store.Outcome, p *Settings, d *store.Delivery, x *spent) {
	o.Verb = store.Ack
	if p.DeadLetterQueue == "" {
		return
	}
	h, err := headers.Decode(d.Headers)
	if err != nil {
		s.Log.Warn("headers of a dead letter are malformed and dropped", "message_id", idText(d.ID), "err", err)
	}
	letter := headers.DeadLetter{Queue: s.Queue, Attempts: d.Attempts, Reason: x.reason, Time: time.Now()}
	if x.cause != nil {
		letter.Error = fmt.Sprint(x.cause) // which survives an Error that panics, as that of a typed nil
	}
	o.Verb, o.To, o.Headers = store.Move, p.DeadLetterQueue, headers.Encode(letter.With(h))
}

// retryDelay is how long a message waits for its next delivery: what was said
// with the retry, else what the consumer's policy says.
func (s *Settler) retryDelay(p *Settings, v settlement.Verdict, attempts int) (delay time.Duration) {
	if v.HasDelay {
		return v.Delay
	}
	if p.Backoff == nil {
		return p.RetryDelay
	}
	if err := Protect(func() error { delay = p.Backoff(attempts); return nil }); err != nil {
		s.Log.Error("backoff failed, using the retry delay", "attempts", attempts, "err", err)
		return p.RetryDelay
	}
	return min(max(delay, 0), p.MaxDelay)
}

// bury takes the messages out of what was leased that have been delivered as often
// as they may, before anybody sees them: their last delivery ended without a
// settlement, by a crash or because the lease ran out. It returns the others.
func (s *Settler) bury(base context.Context, p *Settings, found []store.Delivery) ([]store.Delivery, Tally) {
	most := p.MaxRetries + 1
	if !anySpent(found, most) {
		return found, Tally{}
	}
	watched := s.Observer.Watched()
	r := ruling{watched: watched, at: beginning(watched), now: time.Now()}
	var buried []store.Delivery
	alive := found[:0]
	for _, d := range found {
		if d.Attempts <= most {
			alive = append(alive, d)
			continue
		}
		d.Attempts-- // this one is no delivery
		x := spent{i: len(buried), reason: Crashed}
		o := store.Outcome{Lease: d.Lease}
		s.last(&o, p, &d, &x)
		r.dead, r.list, buried = append(r.dead, x), append(r.list, o), append(buried, d)
	}
	clear(found[len(alive):])
	ctx := new(invocation)
	ctx.begin(base, settleTime)
	defer ctx.end()
	lost, unsure, err := s.apply(ctx, r.list)
	if err != nil {
		return alive, Tally{}
	}
	r.unsure = unsure
	t := s.account(buried, &r, lost)
	s.Counters.Minutes.Add(&Activity{Now: r.now, Way: s.Way, Outs: r.outs})
	return alive, t
}

func anySpent(found []store.Delivery, most int) bool {
	for i := range found {
		if found[i].Attempts > most {
			return true
		}
	}
	return false
}

// apply settles with the store, and logs what happens next when that fails: the
// leases run out and the messages come again.
func (s *Settler) apply(ctx context.Context, list []store.Outcome) (lost []int, unsure bool, err error) {
	lost, unsure, err = s.try(ctx, list)
	switch {
	case err == nil:
	case errors.Is(err, store.ErrQueueNotFound):
		s.Log.Info("batch not settled: its queue was deleted", "messages", len(list))
	default:
		s.Log.Error("batch not settled: its messages will be delivered again", "messages", len(list), "err", err)
	}
	return lost, unsure, err
}

// try settles with the store. It tries again while the store is unavailable and ctx
// lasts, and creates the dead-letter queue if it is missing. It reports unsure when
// the store did not answer before it did: what is lost then may have been settled.
func (s *Settler) try(ctx context.Context, list []store.Outcome) (lost []int, unsure bool, err error) {
	trouble := outage{most: settleTime / 10} // the last attempt is close to the end
	ensured := false
	for {
		lost, err = s.Store.Settle(ctx, s.Queue, list)
		switch {
		case err == nil:
			trouble.over(s.Log, "Settle")
			return lost, unsure, nil
		case errors.Is(err, store.ErrQueueNotFound) && !ensured && s.EnsureQueue != nil && s.exists(ctx):
			ensured = true
			s.ensureDestinations(ctx, list)
		case !errors.Is(err, store.ErrUnavailable) || !trouble.pause(ctx, s.Log, "Settle", err):
			return nil, unsure, err
		default:
			unsure = true
		}
	}
}

// exists reports whether the queue has not been deleted: then nobody misses a
// destination.
func (s *Settler) exists(ctx context.Context) bool {
	_, err := s.Store.Stats(ctx, s.Queue)
	return !errors.Is(err, store.ErrQueueNotFound)
}

// ensureDestinations creates the queues that messages are to be moved to.
func (s *Settler) ensureDestinations(ctx context.Context, list []store.Outcome) {
	done := ""
	for i := range list {
		to := list[i].To
		if list[i].Verb != store.Move || to == done {
			continue
		}
		if err := s.EnsureQueue(ctx, to); err != nil {
			s.Log.Error("dead-letter queue not created", "dead_letter_queue", to, "err", err)
		}
		done = to
	}
}
