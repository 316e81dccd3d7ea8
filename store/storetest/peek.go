package storetest

import (
	"fmt"
	"time"

	"github.com/inproq/inproq/store"
)

var peekChecks = []check{
	{
		name:        "Shows",
		explanation: "Peek returns messages without leasing them",
		run: func(t *trial) {
			t.create("q")
			m := msg("m")
			m.Headers, m.ContentType = []byte("headers"), "json"
			start := time.Now()
			t.send("q", m)
			var last store.Delivery
			for range 3 {
				got := t.peek("q")
				t.same("Peek", got, "m")
				t.kept(m, got[0])
				last = got[0]
			}
			t.counts("q", store.Stats{Messages: 1, Bytes: 1, Oldest: last.Sent})
			d := t.firstDelivery("q", "m")
			t.again(last, d)
			if took := time.Since(start); t.harness.Virtual && took > t.late {
				t.Fatalf("Peek took %v, want that it does not wait", took)
			}
		},
	},
	{
		name:        "Empty",
		explanation: "Peek returns up to limit messages, of which there may be none",
		run: func(t *trial) {
			t.create("q")
			t.shows("q")
			t.send("q", msg("m"))
			got, err := t.store.Peek(t.ctx, "q", "", 0)
			t.ok("Peek with limit 0", err)
			t.same("Peek with limit 0", got)
		},
	},
	{
		name:        "SkipsLeased",
		explanation: "Peek returns messages that are not leased; where an engine cannot tell, leased ones too",
		needs:       needsFenced,
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("a", "b", "c")...)
			d := t.takeFor("q", 1, 2*t.unit)[0]
			got := t.peek("q")
			if len(got) != 2 || got[0].ID == d.ID || got[1].ID == d.ID {
				t.Fatalf("Peek with %q leased: got %q", d.Body, bodies(got))
			}
			t.pass(2 * t.unit)
			t.shows("q", "a", "b", "c")
			t.retry("q", t.unit, t.take("q", 3)...)
			t.shows("q", "a", "b", "c")
		},
	},
	{
		name:        "ReadyFirst",
		explanation: "Peek returns the ready messages first, then the delayed ones",
		run: func(t *trial) {
			t.create("q")
			unit := t.unit
			if !t.harness.Virtual {
				unit = t.hold // none may become ready on a slow machine
			}
			t.send("q", delayed("d1", 4*unit), msg("r1"), delayed("d2", 3*unit), msg("r2"))
			t.send("q", msg("r3"), delayed("d3", 5*unit), msg("retried"))
			for _, d := range t.take("q", 4) {
				if string(d.Body) == "retried" {
					t.retry("q", 2*unit, d)
				} else {
					t.release("q", d)
				}
			}
			for _, limit := range []int{100, 1, 2, 4} {
				got := t.page("q", "", limit)
				t.same(fmt.Sprintf("Peek, %d at a time,", limit), got, "r1", "r2", "r3", "d1", "d2", "d3", "retried")
				t.same(fmt.Sprintf("the first three of Peek, %d at a time,", limit), got[:3], "r1", "r2", "r3")
			}
			if t.harness.Virtual {
				t.pass(5 * unit)
				t.same("Peek when all are ready", t.peek("q"), "r1", "r2", "r3", "d1", "d2", "d3", "retried")
			}
		},
	},
	{
		name:        "InOrder",
		explanation: "Peek returns the ready messages about in the order of delivery",
		run: func(t *trial) {
			t.create("q")
			for _, m := range numbered(40) {
				t.send("q", m)
			}
			t.ordered(t.peek("q"))
			t.ordered(t.page("q", "", 7))
		},
	},
	{
		name:        "Pages",
		explanation: "Peek starts behind the reference after: page by page it returns each message of a still queue once",
		run: func(t *trial) {
			t.create("q")
			sent := numbered(57)
			want := make([]string, len(sent))
			for i := range sent {
				want[i] = string(sent[i].Body)
				sent[i].Delay = time.Duration(i%3) * 100 * t.unit
			}
			t.sendAll("q", sent, 10)
			for _, limit := range []int{1, 2, 10, 19, 57, 58, 1000} {
				t.same(fmt.Sprintf("Peek, %d at a time,", limit), t.page("q", "", limit), want...)
			}
		},
	},
	{
		name:        "CursorOfDeleted",
		explanation: "references stay valid cursors while messages go",
		run: func(t *trial) {
			t.create("q")
			t.send("q", numbered(10)...)
			first, err := t.store.Peek(t.ctx, "q", "", 4)
			t.ok("Peek", err)
			cursor := first[len(first)-1].Lease
			rest := bodies(t.page("q", cursor, 3))
			for _, d := range first {
				t.settle("q", store.Outcome{Lease: d.Lease, Verb: store.Ack})
			}
			t.same("Peek behind a message that is gone", t.page("q", cursor, 3), rest...)
		},
	},
	{
		name:        "CursorOfLeased",
		explanation: "references stay valid cursors while messages come and go: a page behind one shows nothing twice",
		run: func(t *trial) {
			t.create("q")
			t.send("q", numbered(10)...)
			first, err := t.store.Peek(t.ctx, "q", "", 4)
			t.ok("Peek", err)
			seen := map[store.ID]bool{}
			for _, d := range first {
				seen[d.ID] = true
			}
			for _, d := range t.take("q", 10) {
				if seen[d.ID] {
					t.ack("q", d)
				} else {
					t.release("q", d)
				}
			}
			t.send("q", msgs("new 1", "new 2")...)
			for _, d := range t.page("q", first[3].Lease, 3) {
				if seen[d.ID] {
					t.Fatalf("Peek shows %q, which was acknowledged or shown before", d.Body)
				}
				seen[d.ID] = true
			}
		},
	},
	{
		name:        "AnyCursor",
		explanation: "a reference that the store cannot place any more may let messages be skipped or seen twice; it is no error",
		run: func(t *trial) {
			t.create("q", "other")
			t.send("other", numbered(5)...)
			t.send("q", numbered(5)...)
			foreign := t.peek("other")[4].Lease
			t.purge("other")
			for _, after := range []store.Lease{foreign, "garbage", "\x00", "18446744073709551616"} {
				_, err := t.store.Peek(t.ctx, "q", after, 10)
				t.ok("Peek behind a foreign reference", err)
			}
		},
	},
	{
		name:        "WhilePaused",
		explanation: "a pause stops deliveries only",
		run: func(t *trial) {
			t.create("q")
			t.pause("q")
			t.send("q", msg("a"), delayed("b", t.unit))
			t.shows("q", "a", "b")
		},
	},
	{
		name:        "UnknownQueue",
		explanation: "every method answers ErrQueueNotFound for a queue that does not exist",
		run: func(t *trial) {
			_, err := t.store.Peek(t.ctx, "q", "", 10)
			t.fails("Peek", err, store.ErrQueueNotFound)
		},
	},
}
