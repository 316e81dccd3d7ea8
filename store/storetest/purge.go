package storetest

import (
	"github.com/inproq/inproq/store"
)

var purgeChecks = []check{
	{
		name:        "Ready",
		explanation: "Purge deletes ready messages",
		run: func(t *trial) {
			t.create("q")
			t.send("q", numbered(20)...)
			t.retry("q", 0, t.take("q", 2)...)
			t.purge("q")
			t.nothing("q")
			t.shows("q")
			t.counts("q", store.Stats{})
		},
	},
	{
		name:        "Delayed",
		explanation: "Purge deletes delayed messages, and those that wait for a retry",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("retried"), delayed("delayed", t.unit), delayed("long", 50*t.unit))
			t.retry("q", t.unit, t.one("q"))
			t.purge("q")
			t.counts("q", store.Stats{})
			t.shows("q")
			t.pass(2 * t.unit)
			t.nothing("q")
			if t.harness.Virtual {
				t.pass(50 * t.unit)
				t.nothing("q")
			}
		},
	},
	{
		name:        "LeasedStay",
		explanation: "leased messages are not in the queue when it is purged: they stay with their holders, and a retry brings them back",
		run: func(t *trial) {
			t.create("q", "other")
			t.send("q", msgs("a", "b", "c", "d", "e", "f")...)
			got := t.take("q", 4)
			t.purge("q")
			t.counts("q", store.Stats{Messages: 4, Bytes: 4, Leased: 4})
			t.nothing("q")
			t.ack("q", got[0])
			t.retry("q", 0, got[1])
			t.release("q", got[2])
			t.move("q", "other", got[3])
			t.expect("q", string(got[1].Body), string(got[2].Body))
			t.expect("other", string(got[3].Body))
			t.counts("q", store.Stats{Messages: 2, Bytes: 2, Leased: 2})
		},
	},
	{
		name:        "LeasedRunOut",
		explanation: "a leased message stays when the queue is purged, and comes back when its lease runs out",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("m"))
			t.takeFor("q", 1, 4*t.unit)
			t.purge("q")
			t.pass(4 * t.unit)
			t.attempt(2, t.expect("q", "m")[0])
		},
	},
	{
		name:        "RunOut",
		explanation: "a lease that has run out makes its message leasable: it is in the queue, and Purge deletes it",
		run: func(t *trial) {
			d := t.runOut()
			t.purge("q")
			t.nothing("q")
			t.counts("q", store.Stats{})
			if t.promised.Fenced {
				t.loses("q", []int{0}, store.Outcome{Lease: d.Lease, Verb: store.Retry})
				t.nothing("q")
			}
		},
	},
	{
		name:        "NewMessages",
		explanation: "a purged queue goes on: what is sent afterwards is delivered",
		run: func(t *trial) {
			t.create("q")
			for range 3 {
				t.send("q", msg("old"), delayed("old and delayed", t.unit))
				t.purge("q")
				t.send("q", msg("new"))
				t.ack("q", t.expect("q", "new")...)
			}
			t.counts("q", store.Stats{})
		},
	},
	{
		name:        "OtherQueues",
		explanation: "each method does one thing to one queue",
		run: func(t *trial) {
			t.create("q", "other")
			t.send("q", msg("gone"))
			t.send("other", msg("kept"))
			t.purge("q")
			t.nothing("q")
			t.expect("other", "kept")
		},
	},
	{
		name:        "IsNotExpiry",
		explanation: "Expired counts what retention has deleted, and Purge is not retention",
		run: func(t *trial) {
			t.create("q")
			t.retain("q", t.hold)
			t.send("q", msgs("a", "b")...)
			t.purge("q")
			t.counts("q", store.Stats{})
		},
	},
	{
		name:        "WhilePaused",
		explanation: "a pause stops deliveries only",
		run: func(t *trial) {
			t.create("q")
			t.send("q", msg("a"))
			t.pause("q")
			t.purge("q")
			t.resume("q")
			t.nothing("q")
		},
	},
	{
		name:        "UnknownQueue",
		explanation: "every method answers ErrQueueNotFound for a queue that does not exist",
		run: func(t *trial) {
			t.fails("Purge", t.store.Purge(t.ctx, "q"), store.ErrQueueNotFound)
		},
	},
}

func (t *trial) purge(queue string) {
	t.Helper()
	t.ok("Purge", t.store.Purge(t.ctx, queue))
}
