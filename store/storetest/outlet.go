package storetest

import (
	"context"

	"github.com/inproq/inproq/store"
)

// outletChecks are for stores that are Local, like inletChecks.
var outletChecks = []check{
	{
		name:        "Stats",
		explanation: "the calls of an outlet return the queue's Stats as they are at their end",
		run: func(t *trial) {
			t.create("q")
			t.send("q", numbered(5)...)
			out := t.outlet("q")
			var st store.Stats
			ds, err := out.Lease(t.ctx, &store.Claim{Max: 3, Visibility: 10 * t.unit}, nil, &st)
			t.ok("Lease", err)
			t.figures("Lease", st, 5, int64(len(ds)))
			lost, st, err := out.Ack(t.ctx, ds)
			t.ok("Ack", err)
			if len(lost) > 0 {
				t.Fatalf("Ack has lost %v", lost)
			}
			t.figures("Ack", st, 5-int64(len(ds)), 0)
		},
	},
	{
		name:        "AckLost",
		explanation: "Ack returns the indexes of those whose lease holds nothing, and acknowledges the others",
		run: func(t *trial) {
			t.create("q")
			t.send("q", numbered(6)...)
			ds := t.take("q", 6)
			t.ack("q", ds[1], ds[4])
			t.retry("q", 0, ds[2])
			lost, _, err := t.outlet("q").Ack(t.ctx, ds)
			t.ok("Ack", err)
			if len(lost) != 3 || lost[0] != 1 || lost[1] != 2 || lost[2] != 4 {
				t.Fatalf("Ack has lost %v, want [1 2 4]", lost)
			}
			t.counts("q", store.Stats{Messages: 1, Bytes: int64(len(ds[2].Body))})
		},
	},
	{
		name:        "AckPart",
		explanation: "Ack acknowledges what it is given and nothing else, in any order",
		run: func(t *trial) {
			for _, part := range [][]int{{0, 1, 2}, {3, 4, 5}, {5, 4, 3, 2, 1, 0}, {0, 2, 4}, {0, 0}, {}} {
				t.create("q")
				t.send("q", numbered(6)...)
				ds := t.take("q", 6)
				var some []store.Delivery
				acked := make(map[int]bool)
				for _, i := range part {
					some = append(some, ds[i])
					acked[i] = true
				}
				lost, _, err := t.outlet("q").Ack(t.ctx, some)
				t.ok("Ack", err)
				if len(lost) != len(part)-len(acked) {
					t.Fatalf("Ack of %v has lost %v", part, lost)
				}
				for i := range ds {
					want := []int(nil)
					if acked[i] {
						want = []int{0}
					}
					t.loses("q", want, store.Outcome{Lease: ds[i].Lease, Verb: store.Release})
				}
				t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "q"))
			}
		},
	},
	{
		name:        "AckTwice",
		explanation: "Ack of what is acknowledged already loses it, and leaves its neighbours alone",
		run: func(t *trial) {
			for _, half := range []int{0, 3} {
				t.create("q")
				t.send("q", numbered(6)...)
				ds := t.take("q", 6)
				for i := range 2 {
					lost, _, err := t.outlet("q").Ack(t.ctx, ds[half:half+3])
					t.ok("Ack", err)
					if len(lost) != 3*i {
						t.Fatalf("Ack %d of the same 3 has lost %v", i+1, lost)
					}
				}
				t.release("q", ds[3-half:6-half]...)
				t.expect("q", bodies(ds[3-half:6-half])...)
				t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "q"))
			}
		},
	},
	{
		name:        "SeveralLeases",
		explanation: "Ack takes the messages of several leases",
		run: func(t *trial) {
			t.create("q")
			t.send("q", numbered(6)...)
			ds := append(t.take("q", 3), t.take("q", 3)...)
			lost, _, err := t.outlet("q").Ack(t.ctx, ds)
			t.ok("Ack", err)
			if len(lost) > 0 {
				t.Fatalf("Ack has lost %v", lost)
			}
			t.counts("q", store.Stats{})
		},
	},
	{
		name:        "DeletedQueue",
		explanation: "an outlet is good until its queue is deleted, and stays useless when the name is taken anew",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			out := t.outlet("q")
			ds := t.take("q", 1)
			t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "q"))
			for range 2 {
				_, err := out.Lease(t.ctx, &store.Claim{Max: 1}, nil, new(store.Stats))
				t.fails("Lease", err, store.ErrQueueNotFound)
				_, _, err = out.Ack(t.ctx, ds)
				t.fails("Ack", err, store.ErrQueueNotFound)
				t.create("q")
				t.send("q", msg("other"))
				_, err = out.Lease(t.ctx, &store.Claim{Max: 1}, nil, new(store.Stats))
				t.fails("Lease of a queue with the old one's name", err, store.ErrQueueNotFound)
				_, _, err = out.Ack(t.ctx, t.take("q", 1))
				t.fails("Ack in a queue with the old one's name", err, store.ErrQueueNotFound)
				t.ok("DeleteQueue", t.store.DeleteQueue(t.ctx, "q"))
			}
			_, err := t.store.(store.Local).Outlet("q")
			t.fails("Outlet", err, store.ErrQueueNotFound)
		},
	},
	{
		name:        "Cancelled",
		explanation: "a call with a context that has ended does nothing and returns its error",
		run: func(t *trial) {
			t.create("q")
			t.send("q", numbered(2)...)
			out, ds := t.outlet("q"), t.take("q", 1)
			ctx, cancel := context.WithCancel(t.ctx)
			cancel()
			_, err := out.Lease(ctx, &store.Claim{Max: 1}, nil, new(store.Stats))
			t.fails("Lease", err, context.Canceled)
			_, _, err = out.Ack(ctx, ds)
			t.fails("Ack", err, context.Canceled)
			t.counts("q", store.Stats{Messages: 2, Bytes: 2 * int64(len(ds[0].Body)), Leased: 1})
		},
	},
}

func (t *trial) outlet(queue string) store.Outlet {
	t.Helper()
	out, err := t.store.(store.Local).Outlet(queue)
	t.ok("Outlet", err)
	return out
}

// figures compares what a call returned.
func (t *trial) figures(call string, st store.Stats, messages, leased int64) {
	t.Helper()
	if st.Messages != messages || st.Leased != leased {
		t.Fatalf("%s returned %d messages, %d leased, want %d and %d", call, st.Messages, st.Leased, messages, leased)
	}
}
