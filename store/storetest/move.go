package storetest

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/inproq/inproq/store"
)

var moveChecks = []check{
	{
		name:        "Keeps",
		explanation: "Move keeps the ID, Sent, the body and the content type, and without new headers the headers",
		run: func(t *trial) {
			t.create("q", "other")
			m := msg("the body")
			m.ContentType, m.Headers = "application/x-test", []byte("the headers")
			t.send("q", m)
			first := t.one("q")
			t.pass(t.unit)
			t.move("q", "other", first)
			t.nothing("q")
			t.again(first, t.expect("other", "the body")[0])
		},
	},
	{
		name:        "ResetsAttempts",
		explanation: "Move puts the message into its queue with its attempts at zero: the next delivery is the first",
		run: func(t *trial) {
			t.create("q", "other")
			t.send("q", msg("m"))
			for range 3 {
				t.retry("q", 0, t.one("q"))
			}
			t.move("q", "other", t.one("q"))
			t.showsAttempts("other", "m", 0)
			d := t.one("other")
			t.attempt(1, d)
			t.retry("other", 0, d)
			t.attempt(2, t.one("other"))
		},
	},
	{
		name:        "ReadyAtOnce",
		explanation: "Move makes the message ready at once, whatever it was delayed by",
		run: func(t *trial) {
			t.create("q", "other")
			start := time.Now()
			t.send("q", delayed("m", t.unit))
			d := t.due("q", "m", start, t.unit)
			t.settle("q", store.Outcome{Lease: d.Lease, Verb: store.Move, To: "other", Delay: 10 * t.unit})
			t.expect("other", "m")
		},
	},
	{
		name:        "ReplacesHeaders",
		explanation: "the outcome's headers replace the message's on a Move, unless nil; the store copies them",
		run: func(t *trial) {
			t.create("q", "other")
			for _, headers := range []string{"new headers", "x", string(pattern(10_000)), ""} {
				m := msg("body")
				m.Headers = []byte("old headers")
				t.send("q", m)
				given := append([]byte{}, headers...)
				t.settle("q", store.Outcome{Lease: t.one("q").Lease, Verb: store.Move, To: "other", Headers: given})
				scribble(given)
				m.Headers = []byte(headers)
				t.kept(m, t.peek("other")[0])
				d := t.one("other")
				t.kept(m, d)
				t.ack("other", d)
			}
		},
	},
	{
		name:        "UnknownDestination",
		explanation: "if the destination of any Move does not exist, Settle applies nothing and returns ErrQueueNotFound",
		run: func(t *trial) {
			t.create("q", "other")
			t.send("q", msgs("a", "b", "c")...)
			got := t.take("q", 3)
			_, err := t.store.Settle(t.ctx, "q", []store.Outcome{
				{Lease: got[0].Lease, Verb: store.Ack},
				{Lease: got[1].Lease, Verb: store.Move, To: "other"},
				{Lease: got[2].Lease, Verb: store.Move, To: "unknown"},
			})
			t.fails("Settle", err, store.ErrQueueNotFound)
			t.nothing("other")
			t.retry("q", 0, got...)
			t.expect("q", "a", "b", "c")
		},
	},
	{
		name:        "DeletedDestination",
		explanation: "if the destination of any Move does not exist, Settle applies nothing and returns ErrQueueNotFound",
		run: func(t *trial) {
			t.create("q", "other")
			t.send("q", msg("m"))
			d := t.one("q")
			t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "other"))
			_, err := t.store.Settle(t.ctx, "q", []store.Outcome{{Lease: d.Lease, Verb: store.Move, To: "other"}})
			t.fails("Settle", err, store.ErrQueueNotFound)
			t.create("other")
			t.nothing("other")
			t.move("q", "other", d)
			t.expect("other", "m")
		},
	},
	{
		name:        "PausedDestination",
		explanation: "a pause stops deliveries; settlements go on, into a paused queue and out of one",
		run: func(t *trial) {
			t.create("q", "other")
			t.send("q", msg("m"))
			d := t.one("q")
			t.pause("q")
			t.pause("other")
			t.move("q", "other", d)
			t.shows("other", "m")
			t.resume("other")
			t.expect("other", "m")
		},
	},
	{
		name:        "Home",
		explanation: "Move may put a message into its own queue, ready at once and with its attempts at zero",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			t.retry("q", 0, t.one("q"))
			first := t.one("q")
			t.attempt(2, first)
			t.settle("q", store.Outcome{Lease: first.Lease, Verb: store.Move, To: "q", Headers: []byte("home")})
			d := t.expect("q", "m")[0]
			t.attempt(1, d)
			if d.ID != first.ID || !d.Sent.Equal(first.Sent) || string(d.Headers) != "home" {
				t.Fatalf("moved home, %+v came as %+v", first, d)
			}
			t.counts("q", store.Stats{Messages: 1, Bytes: 1, Leased: 1})
		},
	},
	{
		name:        "ManyAtOnce",
		explanation: "one Settle may move messages to several queues",
		run: func(t *trial) {
			t.create("q", "a", "b")
			t.send("q", msgs("to a", "to b", "to a too", "to q")...)
			var o []store.Outcome
			for _, d := range t.take("q", 4) {
				o = append(o, store.Outcome{Lease: d.Lease, Verb: store.Move, To: string(d.Body[3:4])})
			}
			t.settle("q", o...)
			t.expect("a", "to a", "to a too")
			t.expect("b", "to b")
			t.expect("q", "to q")
		},
	},
	{
		name:        "Stats",
		explanation: "a moved message counts in the queue it is in, and Move keeps its Sent",
		run: func(t *trial) {
			t.create("q", "other")
			t.send("q", msg("body"))
			d := t.one("q")
			t.pass(t.unit)
			t.send("other", msg("xx"))
			t.move("q", "other", d)
			t.counts("q", store.Stats{})
			t.counts("other", store.Stats{Messages: 2, Bytes: 6, Oldest: d.Sent})
		},
	},
	{
		name:        "SeenWhole",
		explanation: "a Move is never seen as a gap, and with AtomicMove it is seen whole or not at all: no message is in both queues",
		run: func(t *trial) {
			const total = 200
			t.create("q", "other")
			t.sendAll("q", numbered(total), 100)
			moved := make(chan error, 1)
			t.background.Go(func() {
				var err error
				for n := 0; n < total && err == nil; n += 7 {
					err = t.shovel("q", "other")
				}
				moved <- err
			})
			for range 5000 { // not for ever: in virtual time a mover may wait for it to pass
				if len(moved) > 0 {
					break
				}
				t.sum(total, "q", "other")
				runtime.Gosched()
			}
			t.ok("the mover", <-moved)
			t.sum(total, "q", "other")
		},
	},
	{
		name:        "OpposedMoves",
		explanation: "all methods are safe for concurrent use: moves between two queues in both directions do not block each other, and lose nothing",
		run: func(t *trial) {
			const total, rounds, movers = 60, 40, 3
			t.create("a", "b")
			t.sendAll("a", numbered(total/2), 10)
			t.sendAll("b", numbered(total/2), 10)
			var all sync.WaitGroup
			errs := make(chan error, 2*movers)
			for i := range 2 * movers {
				from, to := "a", "b"
				if i%2 == 1 {
					from, to = to, from
				}
				all.Go(func() {
					for range rounds {
						if err := t.shovel(from, to); err != nil {
							errs <- err
							return
						}
					}
				})
			}
			all.Wait()
			close(errs)
			for err := range errs {
				t.ok("a mover", err)
			}
			a, b := t.peek("a"), t.peek("b")
			seen := map[store.ID]bool{}
			for _, d := range append(a, b...) {
				seen[d.ID] = true
			}
			if len(a)+len(b) != total || len(seen) != total {
				t.Fatalf("of %d messages %d are left in one queue and %d in the other, %d different ones", total, len(a), len(b), len(seen))
			}
		},
	},
}

// sum checks the messages of two queues while some are moved from the first to
// the second. Counted in this order none may be missing; in the other order none
// may be there twice.
func (t *trial) sum(want int64, from, to string) {
	t.Helper()
	count := func(queue string) int64 {
		st, err := t.store.Stats(t.ctx, queue)
		t.ok("Stats", err)
		return st.Messages
	}
	here, there := count(from), count(to)
	if here >= 0 && there >= 0 && here+there < want {
		t.Fatalf("while %d messages are moved, %d are in one queue and then %d in the other", want, here, there)
	}
	there, here = count(to), count(from)
	if t.promised.AtomicMove && here+there > want {
		t.Fatalf("while %d messages are moved, %d are in the other queue and then %d still in the first", want, there, here)
	}
}

// shovel moves some messages.
func (t *trial) shovel(from, to string) error {
	got, err := t.store.Lease(t.ctx, from, store.Claim{Max: 7, Visibility: t.hold}, nil)
	if err != nil {
		return err
	}
	lost, err := t.store.Settle(t.ctx, from, outcomes(store.Outcome{Verb: store.Move, To: to}, got...))
	if err == nil && len(lost) > 0 {
		err = fmt.Errorf("of %d leases just taken %v are lost", len(got), lost)
	}
	return err
}
