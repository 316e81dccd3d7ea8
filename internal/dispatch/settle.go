package dispatch

import (
	"context"
	"errors"
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

// settle gives every message of a batch its verdict, in one call of the store.
func (e *Engine) settle(b *Batch, outcome error) {
	var dead []spent
	record, list := b.Record(), b.scratch.list
	for i := range b.Deliveries {
		d := &b.Deliveries[i]
		list = append(list, store.Outcome{Lease: d.Lease, Verb: store.Ack})
		if record.Acked(i, outcome) {
			continue
		}
		v := record.Verdict(i, outcome)
		if d.Attempts <= b.settings.MaxRetries {
			list[i].Verb, list[i].Delay = store.Retry, e.retryDelay(&b.settings, v, d.Attempts)
			continue
		}
		x := spent{i: i, reason: RetriesExhausted, cause: v.Cause}
		if v.Undecodable {
			x.reason = Undecodable
		}
		dead = append(dead, x)
		e.last(&list[i], &b.settings, d, &x)
	}
	b.scratch.list = list
	b.settling.begin(e.base, settleTime)
	defer b.settling.end()
	if lost, err := e.apply(&b.settling, list); err == nil {
		e.account(b.Deliveries, list, dead, lost)
	}
}

// A spent message has no attempt left.
type spent struct {
	i      int // in its batch
	reason string
	cause  error // may be nil
}

// bury takes the messages out of a batch that have been delivered as often as
// they may, before a handler sees them: their last delivery ended without a
// settlement, by a crash or because the lease ran out. It returns the others.
func (e *Engine) bury(s *Settings, found []store.Delivery) []store.Delivery {
	most := s.MaxRetries + 1
	if !anySpent(found, most) {
		return found
	}
	var buried []store.Delivery
	var dead []spent
	alive := found[:0]
	for _, d := range found {
		if d.Attempts <= most {
			alive = append(alive, d)
			continue
		}
		d.Attempts-- // this one is no delivery
		dead = append(dead, spent{i: len(buried), reason: Crashed})
		buried = append(buried, d)
	}
	list := make([]store.Outcome, len(buried))
	for i := range buried {
		list[i] = store.Outcome{Lease: buried[i].Lease, Verb: store.Ack}
		e.last(&list[i], s, &buried[i], &dead[i])
	}
	ctx := new(invocation)
	ctx.begin(e.base, settleTime)
	defer ctx.end()
	if lost, err := e.apply(ctx, list); err == nil {
		e.account(buried, list, dead, lost)
	}
	return alive
}

func anySpent(found []store.Delivery, most int) bool {
	for i := range found {
		if found[i].Attempts > most {
			return true
		}
	}
	return false
}

// last turns the outcome of a spent message from deletion into a move to the
// dead-letter queue, with the cause, if there is one.
func (e *Engine) last(o *store.Outcome, s *Settings, d *store.Delivery, x *spent) {
	if s.DeadLetterQueue == "" {
		return
	}
	h, err := headers.Decode(d.Headers)
	if err != nil {
		e.log.Warn("headers of a dead letter are malformed and dropped", "message_id", idText(d.ID), "err", err)
	}
	letter := headers.DeadLetter{Queue: e.cfg.Queue, Attempts: d.Attempts, Reason: x.reason, Time: time.Now()}
	if x.cause != nil {
		letter.Error = x.cause.Error()
	}
	o.Verb, o.To, o.Headers = store.Move, s.DeadLetterQueue, headers.Encode(letter.With(h))
}

// retryDelay is how long a message waits for its next delivery: what was said
// with the retry, else what the consumer's policy says.
func (e *Engine) retryDelay(s *Settings, v settlement.Verdict, attempts int) (delay time.Duration) {
	if v.HasDelay {
		return v.Delay
	}
	if s.Backoff == nil {
		return s.RetryDelay
	}
	if err := Protect(func() error { delay = s.Backoff(attempts); return nil }); err != nil {
		e.log.Error("backoff failed, using the retry delay", "attempts", attempts, "err", err)
		return s.RetryDelay
	}
	return min(max(delay, 0), s.MaxDelay)
}

// apply settles with the store. It tries again while the store is unavailable and
// ctx lasts, and creates the dead-letter queue if it is missing. When that fails too it
// logs what happens next: the leases run out and the messages come again.
func (e *Engine) apply(ctx context.Context, list []store.Outcome) (lost []int, err error) {
	trouble := outage{most: settleTime / 10} // the last attempt is close to the end
	ensured := false
	for {
		lost, err = e.cfg.Store.Settle(ctx, e.cfg.Queue, list)
		switch {
		case err == nil:
			trouble.over(e.log, "Settle")
			return lost, nil
		case errors.Is(err, store.ErrQueueNotFound) && !ensured:
			ensured = true
			e.ensureDestinations(ctx, list)
		case errors.Is(err, store.ErrQueueNotFound):
			e.log.Info("batch not settled: its queue was deleted", "messages", len(list))
			return nil, err
		case !errors.Is(err, store.ErrUnavailable) || !trouble.pause(ctx, e.log, "Settle", err):
			e.log.Error("batch not settled: its messages will be delivered again", "messages", len(list), "err", err)
			return nil, err
		}
	}
}

// ensureDestinations creates the queues that messages are to be moved to.
func (e *Engine) ensureDestinations(ctx context.Context, list []store.Outcome) {
	done := ""
	for i := range list {
		to := list[i].To
		if list[i].Verb != store.Move || to == done {
			continue
		}
		if err := e.cfg.EnsureQueue(ctx, to); err != nil {
			e.log.Error("dead-letter queue not created", "dead_letter_queue", to, "err", err)
		}
		done = to
	}
}
