package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/inproq/inproq/store"
)

var leaseChecks = []check{
	{
		name:        "UpToMax",
		explanation: "Lease takes up to Max messages",
		run: func(t *trial) {
			t.create("q")
			t.send("q", numbered(10)...)
			left := 10
			for _, n := range []int{1, 3, 100} {
				got := t.lease("q", store.Claim{Max: n})
				if want := min(n, left); len(got) > want || len(got) < want && !t.promised.Partial {
					t.Fatalf("Lease with Max %d and %d messages leasable: got %q", n, left, bodies(got))
				}
				left -= len(got)
			}
		},
	},
	{
		name:        "Bounds",
		explanation: "Min below 1 means 1, Max below Min means Min",
		run: func(t *trial) {
			for i, c := range []struct {
				min, max int
				want     int
			}{
				{0, 0, 1}, {-1, -1, 1}, {0, 2, 2}, {2, 0, 2}, {3, 2, 3}, {2, -5, 2},
			} {
				q := fmt.Sprint("q", i)
				t.create(q)
				t.send(q, numbered(5)...)
				got := t.lease(q, store.Claim{Min: c.min, Max: c.max})
				if len(got) > c.want || len(got) < c.want && !t.promised.Partial || len(got) == 0 {
					t.Fatalf("Lease with Min %d and Max %d: got %d messages, want %d", c.min, c.max, len(got), c.want)
				}
			}
		},
	},
	{
		name:        "FewerThanMin",
		explanation: "Lease returns once Linger is over, which without one is at once",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("a", "b")...)
			t.same("Lease with Min 5 and no Linger", t.lease("q", store.Claim{Min: 5, Max: 10}), "a", "b")
		},
	},
	{
		name:        "Bytes",
		explanation: "Bytes bounds the sum of the bodies",
		run: func(t *trial) {
			t.create("q")
			for range 10 {
				m := msg(strings.Repeat("x", 10))
				m.Headers = pattern(100)
				t.send("q", m)
			}
			left := 10
			for _, c := range []struct{ bytes, want int }{{10, 1}, {19, 1}, {20, 2}, {29, 2}, {0, 4}} {
				got := t.lease("q", store.Claim{Max: 10, Bytes: c.bytes})
				if len(got) > c.want || len(got) < c.want && !t.promised.Partial {
					t.Fatalf("Lease with Bytes %d of bodies of 10 bytes: got %d, want %d", c.bytes, len(got), c.want)
				}
				left -= len(got)
			}
		},
	},
	{
		name:        "FirstAlwaysFits",
		explanation: "the first message always fits into Bytes",
		run: func(t *trial) {
			t.create("q")
			for range 3 {
				t.send("q", msg(strings.Repeat("x", 5000)))
			}
			for range 3 {
				if got := t.lease("q", store.Claim{Max: 10, Bytes: 1}); len(got) != 1 {
					t.Fatalf("Lease with Bytes 1 of bodies of 5000 bytes: got %d messages, want 1", len(got))
				}
			}
		},
	},
	{
		name:        "BytesLeaveTheRest",
		explanation: "messages that Bytes leaves behind are still leasable",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("aaaa", "bbbb", "cccc")...)
			first := t.lease("q", store.Claim{Max: 3, Bytes: 9})
			rest := t.take("q", 3-len(first))
			t.same("both Leases", slices.Concat(first, rest), "aaaa", "bbbb", "cccc")
		},
	},
	{
		name:        "Hides",
		explanation: "Lease hides messages from other callers",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("a", "b", "c")...)
			a := t.one("q")
			b := t.take("q", 2)
			t.same("two Leases", append(b, a), "a", "b", "c")
			t.nothing("q")
			t.pass(10 * t.unit)
			t.nothing("q")
		},
	},
	{
		name:        "AppendsToBuf",
		explanation: "Lease appends to buf",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("a", "b", "c")...)
			roomy := make([]store.Delivery, 2, 10)
			roomy[0].Lease, roomy[1].Lease = "zero", "one"
			roomy[:3][2].Body = []byte("left over from an earlier use")
			c := store.Claim{Max: 2, Visibility: t.hold, Wait: t.late}
			got, err := t.store.Lease(t.ctx, "q", c, roomy)
			t.ok("Lease", err)
			if len(got) < 3 || got[0].Lease != "zero" || got[1].Lease != "one" {
				t.Fatalf("Lease into a buffer of 2: got %d deliveries, want the two and the new", len(got))
			}
			if &got[0] != &roomy[0] {
				t.Fatalf("Lease left a buffer with room for 8 more, want it to append to it")
			}
			again, err := t.store.Lease(t.ctx, "q", c, got[:2:2])
			t.ok("Lease", err)
			if len(again) < 3 || again[0].Lease != "zero" {
				t.Fatalf("Lease into a full buffer of 2: got %d deliveries, want the two and the new", len(again))
			}
			t.same("the deliveries", slices.Concat(got[2:], again[2:]), "a", "b", "c")
			for _, d := range slices.Concat(got[2:], again[2:]) {
				if d.Attempts != 1 || d.Delay != 0 || d.ContentType != "text" || len(d.Headers) != 0 {
					t.Fatalf("delivery %+v still carries what was in the buffer", d)
				}
			}
		},
	},
	{
		name:        "EmptyAppends",
		explanation: "a Lease without messages returns buf as it was",
		run: func(t *trial) {
			t.create("q")
			buf := []store.Delivery{{Lease: "zero"}}
			got, err := t.store.Lease(t.ctx, "q", store.Claim{Max: 5, Visibility: t.hold}, buf)
			t.ok("Lease", err)
			if len(got) != 1 || got[0].Lease != "zero" {
				t.Fatalf("Lease of nothing into a buffer of 1: got %d deliveries", len(got))
			}
		},
	},
	{
		name:        "OwnVisibility",
		explanation: "Lease hides messages for the Visibility of its own claim",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("short"))
			start := time.Now()
			t.takeFor("q", 1, 2*t.unit)
			t.send("q", msg("long"))
			t.takeFor("q", 1, 6*t.unit)
			t.due("q", "short", start, 2*t.unit)
			t.due("q", "long", start, 6*t.unit)
		},
	},
	{
		name:        "UnknownQueue",
		explanation: "every method answers ErrQueueNotFound for a queue that does not exist",
		run: func(t *trial) {
			for _, wait := range []time.Duration{0, t.hold, -1} {
				_, err := t.store.Lease(t.ctx, "q", store.Claim{Visibility: t.hold, Wait: wait}, nil)
				t.fails("Lease", err, store.ErrQueueNotFound)
			}
		},
	},
	{
		name:        "Concurrently",
		explanation: "Lease hides messages from other callers: concurrent Leases are disjoint",
		run: func(t *trial) {
			t.create("q")
			const lessees, each = 8, 25
			t.sendAll("q", numbered(lessees*each), 50)
			var calls []*pending
			for range lessees {
				calls = append(calls, t.waits("q", store.Claim{Max: each, Wait: t.late}))
			}
			seen := map[store.ID]bool{}
			for _, call := range calls {
				for _, d := range t.result(call) {
					if seen[d.ID] {
						t.Fatalf("%q was leased twice", d.Body)
					}
					seen[d.ID] = true
				}
			}
			for _, d := range t.take("q", lessees*each-len(seen)) {
				if seen[d.ID] {
					t.Fatalf("%q was leased twice", d.Body)
				}
			}
			t.nothing("q")
		},
	},
}
