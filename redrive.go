package inproq

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
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
	// [PeekedMessage.DeadLetter], is called once for each letter, up to 100 letters
	// ahead of the move, and must not change what it gets.
	Filter func(PeekedMessage) bool
	// Max is the largest number of messages to move. 0: no bound.
	Max int
	// PerSecond is how many messages to move in a second, evenly, or fewer: time that was
	// lost is not made up for. 0: no bound; at most 2,147,483,647.
	PerSecond int
	// DryRun counts what would be moved, and moves nothing.
	DryRun bool
}

// redrivePage is the number of messages that are looked at at once, and the largest number
// that are moved at once.
const redrivePage = 100

// Redrive moves messages from a dead-letter queue back to where they can be delivered
// again: to the queue to, or, if that is "", each to the queue it died in. It returns how
// many it has moved. They keep ID, timestamp, body and headers, begin with the first
// attempt, are dead letters no more, and their retention counts from now.
//
// It moves what is in the queue when it begins: letters that die, again or for the first
// time, while it runs stay for the next call. So do messages that are with a consumer of
// the dead-letter queue or come back from one meanwhile, and, with to "", messages that
// are no dead letters. Each is moved at once or not at all (see [store.Guarantee],
// AtomicMove), so when ctx ends or an error comes nothing is lost, and calling it again
// goes on. After an error of the store a few more may have been moved than it says.
//
// While it runs it takes about 20 bytes of memory for each letter.
//
// Errors: [ErrInvalidQueueName], [ErrInvalidConfig], [ErrQueueNotFound] for from or to;
// with to "" also, after all others are moved, when letters stay because their queue is
// gone; a panic of Filter, [ErrBrokerClosed], ctx's and the store's.
func (b *Broker) Redrive(ctx context.Context, from, to string, cfg RedriveConfig) (int, error) {
	if err := b.mayChange(from); err != nil {
		return 0, err
	}
	var v violations
	within(&v, "Max", cfg.Max, 0, math.MaxInt)
	within(&v, "PerSecond", cfg.PerSecond, 0, math.MaxInt32)
	if to == from {
		v.add("to", fmt.Sprintf("%q", to), "any other queue than the dead-letter queue")
	}
	if err := v.err(ErrInvalidConfig); err != nil {
		return 0, err
	}
	x := redrive{broker: b, from: from, to: to, cfg: cfg, began: time.Now(), seen: make(map[uint64]struct{}), gone: make(map[string]int)}
	if to != "" {
		if _, err := b.lookUp(ctx, to); err != nil {
			return 0, err
		}
	}
	if b.local != nil {
		x.beganThere = b.local.Now()
	}
	st, err := b.stats(ctx, from)
	if err != nil {
		return 0, err
	}
	x.most = st.Messages
	err = x.run(ctx)
	return x.moved, errors.Join(err, x.left())
}

// A redrive is one call of Redrive.
type redrive struct {
	broker   *Broker
	from, to string
	cfg      RedriveConfig
	began    time.Time
	// The same on the store's clock, and how many messages there were: no more are
	// looked at, whatever others send. Negative: the store cannot tell.
	beganThere, most int64
	next             time.Time // when a message may be moved, if there is a rate; zero: at once
	moved            int
	// The letters that were looked at, by the random halves of their IDs. One may come
	// up again: it dies once more within the same tick of the clock, or on a machine
	// whose clock is behind; or a consumer of the dead-letter queue gives it back.
	seen map[uint64]struct{}
	gone map[string]int // letters whose queue does not exist, by its name
}

// run goes through the dead-letter queue once, page by page.
func (x *redrive) run(ctx context.Context) error {
	ref := ""
	for {
		if err := x.broker.mayChange(x.from); err != nil {
			return err // shut down meanwhile
		}
		page, err := x.broker.PeekAfter(ctx, x.from, ref, redrivePage)
		if err != nil || len(page) == 0 {
			return err
		}
		list, looked, err := x.choose(ctx, page)
		if err != nil {
			return err
		}
		for step := range slices.Chunk(list, x.step()) {
			if err := x.move(ctx, step); err != nil {
				return err
			}
		}
		if x.cfg.Max > 0 && x.moved >= x.cfg.Max || x.most >= 0 && int64(len(x.seen)) >= x.most {
			return nil
		}
		ref = page[looked-1].Ref // behind which the next page begins, though that message may be gone
	}
}

// step is how many messages to move at once: ten times a second, or one by one, so that a
// slow rate is an even one.
func (x *redrive) step() int {
	if x.cfg.PerSecond > 0 {
		return min(redrivePage, max(1, x.cfg.PerSecond/10))
	}
	return redrivePage
}

// A transfer is a letter that is to be moved.
type transfer struct {
	letter *PeekedMessage
	to     string
}

// choose picks the letters of a page that are to be moved. It looks at as many as that
// takes.
func (x *redrive) choose(ctx context.Context, page []PeekedMessage) (list []transfer, looked int, err error) {
	exists := make(map[string]bool)
	for i := range page {
		m := &page[i]
		if x.cfg.Max > 0 && x.moved+len(list) == x.cfg.Max {
			break
		}
		looked++
		if !x.isNew(m.ID) {
			continue
		}
		letter, dead := m.DeadLetter()
		if dead && letter.Time.After(x.began) || !dead && x.isLater(m) {
			continue // it died again, or has just come
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
			err := dispatch.Protect(func() error { wanted = x.cfg.Filter(*m); return nil })
			if p, ok := errors.AsType[*dispatch.PanicError](err); ok {
				return nil, 0, fmt.Errorf("inproq: the filter of a redrive panicked: %v", p.Value)
			}
		}
		if !wanted {
			continue
		}
		if x.to == "" {
			switch there, err := x.exists(ctx, to, exists); {
			case err != nil:
				return nil, 0, err
			case !there:
				x.gone[to]++
				continue
			}
		}
		list = append(list, transfer{m, to})
	}
	return list, looked, nil
}

// exists reports whether a queue is there. It asks once for each page.
func (x *redrive) exists(ctx context.Context, name string, asked map[string]bool) (bool, error) {
	there, ok := asked[name]
	if ok {
		return there, nil
	}
	_, err := x.broker.catalog.get(ctx, name)
	if err != nil && !errors.Is(err, store.ErrQueueNotFound) {
		return false, fromStore(err, name)
	}
	asked[name] = err == nil
	return err == nil, nil
}

// isLater reports whether a message that is no letter was sent after the redrive began,
// by the store's clock, if that can be read.
func (x *redrive) isLater(m *PeekedMessage) bool {
	return x.broker.local != nil && m.Timestamp.UnixNano() > x.beganThere
}

// isNew reports whether a message has not been looked at before.
func (x *redrive) isNew(id MessageID) bool {
	key := binary.LittleEndian.Uint64(id[8:])
	if _, ok := x.seen[key]; ok {
		return false
	}
	x.seen[key] = struct{}{}
	return true
}

// move moves letters in one call of the store, when their time has come.
func (x *redrive) move(ctx context.Context, list []transfer) error {
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
	at := time.Now()
	lost, unsure, err := x.broker.settle(ctx, x.from, outcomes)
	switch {
	case errors.Is(err, store.ErrQueueNotFound) && x.to == "":
		return x.moveOneByOne(ctx, list, outcomes) // one of their queues has just been deleted
	case errors.Is(err, store.ErrQueueNotFound):
		_, gone := x.broker.lookUp(ctx, x.from)
		return cmp.Or(gone, fromStore(err, x.to))
	case err != nil:
		return fromStore(err, x.from)
	}
	for i := range list {
		if !slices.Contains(lost, i) {
			x.note(&list[i], at)
		}
	}
	if unsure && len(lost) > 0 {
		return fmt.Errorf("inproq: queue %q: the answer about %d letters was lost: %w", x.from, len(lost), store.ErrUnavailable)
	}
	return nil
}

// moveOneByOne finds the letters that can still be moved.
func (x *redrive) moveOneByOne(ctx context.Context, list []transfer, outcomes []store.Outcome) error {
	for i := range list {
		at := time.Now()
		lost, unsure, err := x.broker.settle(ctx, x.from, outcomes[i:i+1])
		switch {
		case errors.Is(err, store.ErrQueueNotFound):
			if _, err := x.broker.lookUp(ctx, x.from); err != nil {
				return err
			}
			x.gone[list[i].to]++
		case err != nil:
			return fromStore(err, x.from)
		case len(lost) > 0 && unsure:
			return fmt.Errorf("inproq: queue %q: the answer about a letter was lost: %w", x.from, store.ErrUnavailable)
		case len(lost) == 0:
			x.note(&list[i], at)
		}
	}
	return nil
}

// note does the books of a message that was moved, in a call of the store that began at a
// time.
func (x *redrive) note(t *transfer, at time.Time) {
	b := x.broker
	x.moved++
	b.endpoint(x.from).consumption().WriteOps.Add(dispatch.OpUnits(len(t.letter.Body)))
	if b.events.wants(bitRedriven) {
		b.events.tell(&note{
			Event:   Event{Kind: EventRedriven, Time: at, Queue: x.from, Message: t.letter.ID, Attempts: t.letter.Attempts, To: t.to},
			message: &store.Message{ID: store.ID(t.letter.ID), Body: t.letter.Body, ContentType: string(t.letter.ContentType)},
		})
	}
}

// pace waits until n more messages may be moved. The time counts from the last ones, not
// from the beginning: after a delay there is no burst.
func (x *redrive) pace(ctx context.Context, n int) error {
	if x.cfg.PerSecond == 0 {
		return nil
	}
	if wait := time.Until(x.next); wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-x.broker.done:
			return ErrBrokerClosed
		}
	}
	rate := time.Duration(x.cfg.PerSecond)
	x.next = time.Now().Add((time.Duration(n)*time.Second + rate - 1) / rate)
	return x.broker.mayChange(x.from)
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

// withoutDeath encodes the message's headers without those of a dead letter. It is nil,
// which keeps them as they are, if the message is none.
func (m *PeekedMessage) withoutDeath() []byte {
	if _, dead := m.DeadLetter(); !dead {
		return nil
	}
	if h := headers.Encode(headers.WithoutDeadLetter(m.Headers)); h != nil {
		return h
	}
	return []byte{}
}
