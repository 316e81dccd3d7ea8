package storetest

import (
	"math"
	"strings"

	"github.com/inproq/inproq/store"
)

var forgeryChecks = []check{
	{
		name:        "Garbage",
		explanation: "Settle reports an outcome whose lease does not hold as lost, whatever was given as a lease",
		run: func(t *trial) {
			t.create("q", "other")
			t.send("q", msgs("a", "b")...)
			held := t.one("q")
			forged := []store.Lease{
				"", " ", "0", "1", "-1", "x", "\x00", "\xff", "../..", "'; --", "%s", "18446744073709551616",
				"00000000-0000-0000-0000-000000000000", "no such lease",
				store.Lease(strings.Repeat("\x00", 16)), store.Lease(strings.Repeat("\xff", 24)),
				store.Lease(strings.Repeat("A", 32)), store.Lease(strings.Repeat("f", 64)), store.Lease(strings.Repeat("x", 10_000)),
				store.Lease(held.ID[:]), store.Lease(held.Body),
			}
			if t.promised.Fenced {
				forged = append(forged, held.Lease+"x", held.Lease[:len(held.Lease)-1], "x"+held.Lease, held.Lease[1:], held.Lease+held.Lease)
			}
			for _, lease := range forged {
				for _, verb := range []store.Verb{store.Ack, store.Retry, store.Move, store.Extend, store.Release} {
					o := store.Outcome{Lease: lease, Verb: verb, To: "other", Delay: t.unit}
					if t.promised.Fenced {
						t.loses("q", []int{0}, o)
					} else {
						_, err := t.store.Settle(t.ctx, "q", []store.Outcome{o})
						t.ok("Settle of an invented lease", err)
					}
				}
			}
			t.nothing("other")
			t.one("q")
			t.nothing("q")
			t.ack("q", held)
		},
	},
	{
		name:        "Tampered",
		explanation: "a lease is opaque and unguessable: what differs from it in one byte is not it",
		needs:       needsFenced,
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("a", "b", "c")...)
			for range 3 { // one by one: the leases of one batch may share what is random
				d := t.one("q")
				// Of the last byte an encoding may ignore some bits.
				for i := range len(d.Lease) - 1 {
					forged := []byte(d.Lease)
					forged[i] ^= 1
					t.loses("q", []int{0}, store.Outcome{Lease: store.Lease(forged), Verb: store.Ack})
				}
				t.ack("q", d)
			}
		},
	},
	{
		name:        "Unguessable",
		explanation: "leases are unguessable: those of different calls differ in at least 8 bytes that look random",
		run: func(t *trial) {
			const calls = 256
			t.create("q")
			t.sendAll("q", numbered(calls), 100)
			leases := make([]store.Lease, calls)
			seen := map[store.Lease]bool{}
			for i := range leases {
				leases[i] = t.one("q").Lease
				if seen[leases[i]] {
					t.Fatalf("two messages have lease %q", leases[i])
				}
				seen[leases[i]] = true
			}
			// 8 random bytes show as 58 bits or more, however they are encoded; a
			// counter of 256 values shows as 8, a clock as 25.
			if bits := entropy(leases); bits < 50 {
				t.Fatalf("%d leases like %q differ by no more than %.0f bits", calls, leases[0], bits)
			}
		},
	},
	{
		name:        "Distinct",
		explanation: "a lease names one delivery of one message",
		run: func(t *trial) {
			t.create("q", "other")
			seen := map[store.Lease]bool{}
			for range 5 {
				t.send("q", numbered(20)...)
				t.send("other", numbered(20)...)
			}
			for range 5 {
				for _, queue := range []string{"q", "other"} {
					got := t.take(queue, 50)
					for _, d := range got {
						if seen[d.Lease] {
							t.Fatalf("two deliveries have lease %q", d.Lease)
						}
						seen[d.Lease] = true
					}
					t.retry(queue, 0, got...)
				}
			}
		},
	},
	{
		name:        "OfDeletedQueue",
		explanation: "a queue that is created again under the name of a deleted one starts empty: old leases are lost",
		needs:       needsFenced,
		run: func(t *trial) {
			t.create("q")
			t.send("q", msgs("a", "b")...)
			old := t.take("q", 2)
			ref := t.peekAfterSend("q")
			t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "q"))
			t.create("q")
			t.send("q", msgs("c", "d", "e")...)
			held := t.take("q", 2)
			t.loses("q", []int{0, 1, 2}, append(outcomes(store.Outcome{Verb: store.Ack}, old...),
				store.Outcome{Lease: ref, Verb: store.Ack})...)
			t.ack("q", held...)
			t.take("q", 1)
			t.nothing("q")
		},
	},
}

// peekAfterSend is a reference to a new message.
func (t *trial) peekAfterSend(queue string) store.Lease {
	t.Helper()
	t.send(queue, msg("referenced"))
	return t.peek(queue)[0].Lease
}

// entropy estimates how many bits tell the leases apart, position by position.
func entropy(leases []store.Lease) float64 {
	shortest := len(leases[0])
	for _, l := range leases {
		shortest = min(shortest, len(l))
	}
	var bits float64
	for i := range shortest {
		var count [256]int
		for _, l := range leases {
			count[l[i]]++
		}
		for _, n := range count {
			if n > 0 {
				p := float64(n) / float64(len(leases))
				bits -= p * math.Log2(p)
			}
		}
	}
	return bits
}
