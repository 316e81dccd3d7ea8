package sqlite_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/sqlite"
)

// The queues of the crash test. Messages are sent to work and side, and die in dead;
// side is purged now and then; brief is created, filled and deleted again and again.
const (
	work  = "work"
	side  = "side"
	dead  = "dead"
	brief = "brief"
)

// A loader is a child under load: it does to the store all that there is to do.
type loader struct {
	s    store.Store
	j    *journal
	seed uint64
	ids  atomic.Int64
}

// ballastEvery is how many seeds there are to one of a child that sends ballast.
const ballastEvery = 6

// A hand is one goroutine of it.
type hand struct {
	*loader
	rand *rand.Rand
}

func crashLoad(path string) error {
	seed, err := strconv.ParseUint(os.Getenv(childSeed), 10, 64)
	if err != nil {
		return err
	}
	s, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		return err
	}
	l := &loader{s: s, j: newJournal(os.Stdout), seed: seed}
	heavy := int(seed % ballastEvery / (ballastEvery - 1)) // 1 or 0
	for range 6 * heavy {
		h := l.hand()
		h.sendOf(side, 8, ballast)
		h.purge()
	}
	l.j.begin(entry{What: callReady})
	var all sync.WaitGroup
	for _, w := range []struct {
		n  int
		do func(*hand)
	}{
		{12, func(h *hand) { h.send(work, h.some(1, 1, 1, 20)) }},
		{4, func(h *hand) { h.sendOrPurge() }},
		{4, func(h *hand) { h.consume(work) }},
		{2, func(h *hand) { h.consume(side) }},
		{1, func(h *hand) { h.consume(dead) }},
		{1, func(h *hand) { h.pickOut(h.one(work, dead)) }},
		{1, newClerk(s)},
		{heavy, func(h *hand) { h.sendBallast() }},
	} {
		for range w.n {
			h := l.hand()
			all.Go(func() {
				for {
					w.do(h)
				}
			})
		}
	}
	all.Wait() // until it is killed
	return nil
}

func (l *loader) hand() *hand { return &hand{l, rand.New(rand.NewPCG(l.seed, l.next()))} }

func (l *loader) next() uint64 { return uint64(l.ids.Add(1)) }

// must ends the child, and the test, unless the store did what it should.
func (l *loader) must(err error, call string) {
	if err != nil {
		l.j.fail("%s: %v", call, err)
	}
}

// chance is true once in n times.
func (h *hand) chance(n int) bool { return h.rand.IntN(n) == 0 }

// some is a number up to one of the given.
func (h *hand) some(most ...int) int { return 1 + h.rand.IntN(most[h.rand.IntN(len(most))]) }

func (h *hand) one(of ...string) string { return of[h.rand.IntN(len(of))] }

// delay is short for most, so that it ends within a few rounds, and for some of a
// length that memory has only a number of.
func (h *hand) delay() time.Duration {
	if h.chance(10) {
		return time.Duration(h.some(60)) * time.Minute
	}
	return time.Duration(h.some(100, 1000)) * time.Millisecond
}

// enough is the backlog at which senders help to consume.
const enough = 800

func (h *hand) send(queue string, n int) { h.sendOf(queue, n, 0) }

// sendOf sends n messages whose IDs are of a kind, zero or ballast.
func (h *hand) sendOf(queue string, n int, kind uint64) {
	msgs, notes := make([]store.Message, n), make([]note, n)
	for i := range msgs {
		id := newID(h.seed, kind|h.next(), h.rand)
		msgs[i] = messageOf(id)
		if h.chance(8) {
			msgs[i].Delay = h.delay()
		}
		notes[i] = note{ID: string(id[:]), Delay: msgs[i].Delay}
	}
	done := h.j.begin(entry{What: callSend, Queue: queue, Notes: notes})
	before, err := h.s.Enqueue(background, queue, msgs)
	h.must(err, "Enqueue")
	done(entry{})
	if before.Messages > enough && queue != brief {
		for _, d := range h.lease(queue, store.Claim{Max: 40, Visibility: long}) {
			h.settle(queue, store.Outcome{Lease: d.Lease, Verb: store.Ack}, d)
		}
	}
}

func (h *hand) sendOrPurge() {
	if !h.chance(60) {
		h.send(side, h.some(1, 1, 10))
		return
	}
	h.purge()
}

// sendBallast works in some processes only, since it leaves the others little of the
// disk. These begin with so much ballast that they are likely to be killed while the
// log is copied into the file.
func (h *hand) sendBallast() {
	h.sendOf(side, h.some(8), ballast)
	if h.chance(3) {
		h.purge()
	}
}

func (h *hand) purge() {
	done := h.j.begin(entry{What: callPurge, Queue: side})
	h.must(h.s.Purge(background, side), "Purge")
	done(entry{})
}

// long leases do not run out while a child lives; any shorter than that may.
const long = time.Hour

// lease leases messages, and looks at them.
func (h *hand) lease(queue string, c store.Claim) []store.Delivery {
	ctx := background
	if h.chance(20) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(h.rand.IntN(3000))*time.Microsecond)
		defer cancel()
	}
	done := h.j.begin(entry{What: callLease, Queue: queue, Short: c.Visibility < long})
	ds, err := h.s.Lease(ctx, queue, c, nil)
	switch {
	case err == nil, errors.Is(err, store.ErrPaused) && c.Wait == 0 && len(ds) == 0:
	case ctx.Err() != nil && errors.Is(err, ctx.Err()) && len(ds) == 0:
		done(entry{Ended: true})
		return nil
	default:
		h.j.fail("Lease: %d messages, %v", len(ds), err)
	}
	notes := make([]note, len(ds))
	for i := range ds {
		d := &ds[i]
		if is := wrong(d, queue == dead); is != "" {
			h.j.fail("Lease of %s: message %x has %s", queue, d.ID, is)
		}
		notes[i] = note{ID: string(d.ID[:]), Lease: d.Lease, Attempts: d.Attempts, Sent: d.Sent.UnixNano()}
	}
	done(entry{Notes: notes})
	return ds
}
