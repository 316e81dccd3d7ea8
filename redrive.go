package inproq

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/inproq/inproq/internal/dispatch"
	"github.com/inproq/inproq/internal/headers"
	"github.com/inproq/inproq/store"
)

// RedriveConfig says which dead letters a Redrive moves, and how fast. The zero value
// moves all.
type RedriveConfig struct {
	// Filter reports whether a letter is to be moved. Nil: all. It may look at
	// [PeekedMessage.DeadLetter].
	Filter func(PeekedMessage) bool
	// Max is the largest number of messages to move. 0: no bound.
	Max int
	// PerSecond is the largest number of messages to move in a second. 0: no bound.
	PerSecond int
	// DryRun counts what would be moved, and moves nothing.
	DryRun bool
}

// redrivePage is the number of messages that are looked at and moved at once.
const redrivePage = 100

// Redrive moves messages from a dead-letter queue back to where they can be delivered
// again: to the queue to, or, if that is "", each to the queue it died in. It returns how
// many it has moved. They keep ID, timestamp, body and headers, begin with the first
// attempt, are dead letters no more, and their retention counts from now.
//
// It moves what is in the queue when it begins: letters that die, again or for the first
// time, while it runs stay for the next call. So do messages that are with a consumer of the
// dead-letter queue, and, with to "", messages that are no dead letters. Each is moved at
// once or not at all (see [store.Guarantee], AtomicMove), so when ctx ends or an error comes nothing is lost,
// and calling it again goes on.
//
// Errors: [ErrInvalidQueueName], [ErrInvalidConfig], [ErrQueueNotFound] for from or to; with to "" also,
// after all others are moved, when letters stay because their queue is gone; a panic of Filter,
// [ErrBrokerClosed], ctx's and the store's.
func (b *Broker) Redrive(ctx context.Context, from, to string, cfg RedriveConfig) (int, error) {
	if err := b.mayChange(from); err != nil {
		return 0, err
	}
	var v violations
	within(&v, "Max", cfg.Max, 0, 1<<62)
	within(&v, "PerSecond", cfg.PerSecond, 0, 1<<31)
	if to == from {
		v.add("to", fmt.Sprintf("%q", to), "any other queue than the dead-letter queue")
	}
	if err := v.err(ErrInvalidConfig); err != nil {
		return 0, err
	}
	x := redrive{broker: b, from: from, to: to, cfg: cfg, began: time.Now(), gone: make(map[string]int)}
	if to != "" {
		if _, err := b.lookUp(ctx, to); err != nil {
			return 0, err
		}
	}
	err := x.run(ctx)
	return x.moved, errors.Join(err, x.left())
}

// A redrive is one call of Redrive.
type redrive struct {
	broker   *Broker
	from, to string
	cfg      RedriveConfig
	began    time.Time
	moved    int
	gone     map[string]int // letters whose queue does not exist, by its name
}

// run goes through the dead-letter queue once, page by page.
func (x *redrive) run(ctx context.Context) error {
	ref := ""
	for {
		page, err := x.broker.PeekAfter(ctx, x.from, ref, x.page())
		if err != nil || len(page) == 0 {
			return err
		}
		ref = page[len(page)-1].Ref
		list, err := x.choose(ctx, page)
		if err != nil {
			return err
		}
		if err := x.move(ctx, list); err != nil {
			return err
		}
		if x.cfg.Max > 0 && x.moved >= x.cfg.Max {
			return nil
		}
	}
}

// page is how many messages to look at, so that a slow rate is an even one.
func (x *redrive) page() int {
	if x.cfg.PerSecond > 0 {
		return min(redrivePage, x.cfg.PerSecond)
	}
	return redrivePage
}

// A transfer is a letter that is to be moved.
type transfer struct {
	letter *PeekedMessage
	to     string
}

// choose picks the letters of a page that are to be moved.
func (x *redrive) choose(ctx context.Context, page []PeekedMessage) ([]transfer, error) {
	var list []transfer
	for i := range page {
		m := &page[i]
		if x.cfg.Max > 0 && x.moved+len(list) == x.cfg.Max {
			break
		}
		letter, dead := m.DeadLetter()
		if dead && letter.Time.After(x.began) {
			continue // it died again, or just now
		}
		to := x.to
		if to == "" {
			if !dead || letter.Queue == x.from {
				continue
			}
			to = letter.Queue
		}
		wanted := true
		if x.cfg.Filter != nil {
			if err := dispatch.Protect(func() error { wanted = x.cfg.Filter(*m); return nil }); err != nil {
				return nil, fmt.Errorf("inproq: filter of a redrive: %w", err)
			}
		}
		if !wanted {
			continue
		}
		if x.to == "" {
			switch _, err := x.broker.catalog.get(ctx, to); {
			case errors.Is(err, store.ErrQueueNotFound):
				x.gone[to]++
				continue
			case err != nil:
				return nil, fromStore(err, to)
			}
		}
		list = append(list, transfer{m, to})
	}
	return list, nil
}

// move moves letters in one call of the store, when their time has come.
func (x *redrive) move(ctx context.Context, list []transfer) error {
	if len(list) == 0 {
		return nil
	}
	if x.cfg.DryRun {
		x.moved += len(list)
		return nil
	}
	if err := x.pace(ctx, len(list)); err != nil {
		return err
	}
	outcomes := make([]store.Outcome, len(list))
	for i, t := range list {
		ref, _ := parseRef(t.letter.Ref) // as Peek made it
		outcomes[i] = store.Outcome{Lease: ref, Verb: store.Move, To: t.to, Renew: true, Headers: t.letter.withoutDeath()}
	}
	lost, err := x.broker.store.Settle(ctx, x.from, outcomes)
	if errors.Is(err, store.ErrQueueNotFound) && x.to == "" {
		return x.moveOneByOne(ctx, list, outcomes) // one of their queues has just been deleted
	}
	if err != nil {
		return fromStore(err, x.from)
	}
	for i := range list {
		if !slices.Contains(lost, i) {
			x.note(&list[i])
		}
	}
	return nil
}

// moveOneByOne finds the letters that can still be moved.
func (x *redrive) moveOneByOne(ctx context.Context, list []transfer, outcomes []store.Outcome) error {
	for i := range list {
		lost, err := x.broker.store.Settle(ctx, x.from, outcomes[i:i+1])
		switch {
		case errors.Is(err, store.ErrQueueNotFound):
			if _, err := x.broker.lookUp(ctx, x.from); err != nil {
				return err
			}
			x.gone[list[i].to]++
		case err != nil:
			return fromStore(err, x.from)
		case len(lost) == 0:
			x.note(&list[i])
		}
	}
	return nil
}

// note does the books of a message that was moved.
func (x *redrive) note(t *transfer) {
	b := x.broker
	x.moved++
	b.endpoint(x.from).counters.WriteOps.Add(dispatch.OpUnits(len(t.letter.Body)))
	if b.events.wants(bitRedriven) {
		b.events.tell(&note{
			Event:   Event{Kind: EventRedriven, Time: time.Now(), Queue: x.from, Message: t.letter.ID, To: t.to},
			message: &store.Message{ID: store.ID(t.letter.ID), Body: t.letter.Body, ContentType: string(t.letter.ContentType)},
		})
	}
}

// pace waits until n more messages may be moved.
func (x *redrive) pace(ctx context.Context, n int) error {
	if x.cfg.PerSecond == 0 {
		return nil
	}
	due := x.began.Add(time.Duration(float64(x.moved+n-1) / float64(x.cfg.PerSecond) * float64(time.Second)))
	wait := time.Until(due)
	if wait <= 0 {
		return nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// left is the error about letters whose queues are gone.
func (x *redrive) left() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(x.gone)) {
		errs = append(errs, fmt.Errorf("%w: %q, %d of its dead letters stay in %q", ErrQueueNotFound, name, x.gone[name], x.from))
	}
	return errors.Join(errs...)
}

// DeadLetter returns where the message comes from, if it was moved here as a dead
// letter.
func (m *PeekedMessage) DeadLetter() (DeadLetter, bool) { return deadLetterOf(m.Headers) }

// withoutDeath encodes the message's headers without those of a dead letter. The result is
// never nil, which would keep them.
func (m *PeekedMessage) withoutDeath() []byte {
	if h := headers.Encode(headers.WithoutDeadLetter(m.Headers)); h != nil {
		return h
	}
	return []byte{}
}
