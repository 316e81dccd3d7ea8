package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/inproq/inproq/store"
)

var concurrentChecks = []check{
	{
		name:        "Mixed",
		explanation: "at least once, and each lease settled once: of many messages under concurrent senders and lessees none is lost, and none is acknowledged or moved twice",
		run:         func(t *trial) { t.crowd(t.unit) },
	},
	{
		name:        "ShortLeases",
		explanation: "at least once, and each lease settled once, also when leases run out all the time",
		run:         func(t *trial) { t.crowd(t.unit / 20) },
	},
	{
		name:        "Pipeline",
		explanation: "all methods are safe for concurrent use: messages that pass through several queues arrive once each",
		run: func(t *trial) {
			const total, stages = 120, 4
			queue := func(stage int) string { return "stage-" + strconv.Itoa(stage) }
			for stage := range stages + 1 {
				t.create(queue(stage))
			}
			errs := make([]error, stages)
			var all sync.WaitGroup
			for stage := range stages {
				all.Go(func() {
					for moved := 0; moved < total && errs[stage] == nil; {
						var n int
						n, errs[stage] = t.pump(queue(stage), queue(stage+1))
						moved += n
					}
				})
			}
			t.sendAll(queue(0), numbered(total), 7)
			all.Wait()
			for _, err := range errs {
				t.ok("a stage", err)
			}
			var want []string
			for _, m := range numbered(total) {
				want = append(want, string(m.Body))
			}
			t.expect(queue(stages), want...)
		},
	},
	{
		name:        "Everything",
		explanation: "all methods are safe for concurrent use",
		run: func(t *trial) {
			t.create("q", "other")
			const each = 60
			calls := []func() error{
				func() error { return t.roundTrip("q") },
				func() error { return t.roundTrip("q") },
				func() error { return t.shovel("q", "other") },
				func() error { return t.shovel("other", "q") },
				func() error { _, err := t.store.Stats(t.ctx, "q"); return err },
				func() error { _, err := t.store.Peek(t.ctx, "q", "", 10); return err },
				func() error { _, _, err := t.store.Queues(t.ctx, 0, 0); return err },
				func() error { return churn(t.ctx, t.store, "churned", 1) },
				func() error {
					if err := t.store.Purge(t.ctx, "other"); err != nil {
						return err
					}
					return t.store.DeleteQueue(t.ctx, "churned")
				},
			}
			errs := make([]error, len(calls))
			var all sync.WaitGroup
			for i, call := range calls {
				all.Go(func() {
					for n := 0; n < each && errs[i] == nil; n++ {
						errs[i] = call()
						// The last two meet: one deletes what the other creates.
						if errors.Is(errs[i], store.ErrConflict) || errors.Is(errs[i], store.ErrQueueNotFound) {
							errs[i] = nil
						}
					}
				})
			}
			all.Wait()
			for _, err := range errs {
				t.ok("a concurrent call", err)
			}
		},
	},
}

// pump moves what it can lease within a while from one queue to the next.
func (t *trial) pump(from, to string) (moved int, err error) {
	got, err := t.store.Lease(t.ctx, from, store.Claim{Max: 5, Visibility: t.hold, Wait: -1}, nil)
	if err != nil {
		return 0, err
	}
	lost, err := t.store.Settle(t.ctx, from, outcomes(store.Outcome{Verb: store.Move, To: to}, got...))
	return len(got) - len(lost), err
}

// A ledger notes what became of each message.
type ledger struct {
	mu    sync.Mutex
	acked map[store.ID]int
	moved map[store.ID]int
	left  int    // messages without a fate
	done  func() // called when there are none
}

// note says that these outcomes were applied to these deliveries, lost ones excepted.
func (l *ledger) note(ds []store.Delivery, applied []store.Outcome, lost []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, o := range applied {
		if slices.Contains(lost, i) {
			continue
		}
		id := ds[i].ID
		before := l.acked[id] + l.moved[id]
		switch o.Verb {
		case store.Ack:
			l.acked[id]++
		case store.Move:
			l.moved[id]++
		default:
			continue
		}
		if before == 0 {
			if l.left--; l.left == 0 {
				l.done()
			}
		}
	}
}

// crowd lets 16 senders and 8 lessees work on one queue until every message was
// acknowledged or moved away.
func (t *trial) crowd(visibility time.Duration) {
	const senders, lessees, each = 16, 8, 48
	t.create("q", "away")
	ctx, done := context.WithCancel(t.ctx)
	defer done()
	book := &ledger{acked: map[store.ID]int{}, moved: map[store.ID]int{}, left: senders * each, done: done}
	errs := make([]error, senders+lessees)
	var all sync.WaitGroup
	for i := range senders {
		all.Go(func() { errs[i] = t.sender(Seeded(uint64(i)), i, each) })
	}
	for i := range lessees {
		all.Go(func() { errs[senders+i] = t.lessee(ctx, Seeded(uint64(100+i)), book, visibility) })
	}
	all.Wait()
	for _, err := range errs {
		t.ok("a sender or lessee", err)
	}
	if !t.promised.Fenced {
		return // each message has a fate, and may have had several
	}
	t.counts("q", store.Stats{})
	away := map[store.ID]bool{}
	for _, d := range t.take("away", len(book.moved)) {
		away[d.ID] = true
	}
	t.nothing("away")
	if fates := len(book.acked) + len(book.moved); fates != senders*each {
		t.Fatalf("of %d messages %d were acknowledged and %d moved", senders*each, len(book.acked), len(book.moved))
	}
	for id, n := range book.acked {
		if n != 1 || away[id] {
			t.Fatalf("message %x was acknowledged %d times, and is it among those that were moved: %v", id, n, away[id])
		}
	}
	for id, n := range book.moved {
		if n != 1 || !away[id] {
			t.Fatalf("message %x was moved %d times, and is it there: %v", id, n, away[id])
		}
	}
}

// sender sends n messages: singly or in batches, at once or delayed.
func (t *trial) sender(src Source, number, n int) error {
	for sent := 0; sent < n; {
		batch := make([]store.Message, min(t.batch(1+number%4*2), n-sent))
		for i := range batch {
			batch[i] = msg(fmt.Sprintf("%d/%d", number, sent+i))
			if src.Intn("delayed", 4) == 0 {
				batch[i].Delay = time.Duration(src.Intn("delay", 20)) * t.unit / 100
			}
		}
		if _, err := t.store.Enqueue(t.ctx, "q", batch); err != nil {
			return err
		}
		sent += len(batch)
		if src.Intn("pause", 3) == 0 {
			time.Sleep(t.unit / 50)
		}
	}
	return nil
}

// lessee leases and settles, this way or that, until ctx ends.
func (t *trial) lessee(ctx context.Context, src Source, book *ledger, visibility time.Duration) error {
	var buf []store.Delivery
	for {
		got, err := t.store.Lease(ctx, "q", store.Claim{
			Min: 1 + src.Intn("min", 3), Max: 7, Visibility: visibility, Wait: -1, Linger: t.unit / 40,
		}, buf[:0])
		if errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(got) == 0 {
			return errors.New("a Lease with a negative Wait returned nothing")
		}
		var ds []store.Delivery
		var fate []store.Outcome
		for _, d := range got {
			o := store.Outcome{Lease: d.Lease, Delay: time.Duration(src.Intn("delay", 3)) * t.unit / 50, To: "away"}
			switch n := src.Intn("fate", 20); {
			case n < 11:
				o.Verb = store.Ack
			case n < 13:
				o.Verb = store.Move
			case n < 15:
				o.Verb = store.Retry
			case n < 16:
				o.Verb = store.Release
			case n < 18:
				o.Verb = store.Extend
			default:
				continue // abandoned
			}
			ds, fate = append(ds, d), append(fate, o)
		}
		if src.Intn("slow", 8) == 0 {
			time.Sleep(visibility * 5 / 4)
		}
		lost, err := t.store.Settle(t.ctx, "q", fate)
		if err != nil {
			return err
		}
		book.note(ds, fate, lost)
		buf = got
	}
}
