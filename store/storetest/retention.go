package storetest

import (
	"time"

	"github.com/inproq/inproq/store"
)

var retentionChecks = []check{
	{
		name:        "Ready",
		explanation: "Retention is how long after Sent a message is kept; then it is deleted and counted in Expired",
		run: func(t *trial) {
			t.keeping("q", 4*t.unit)
			start := time.Now()
			t.send("q", msgs("a", "bb")...)
			t.keptUntil("q", start.Add(4*t.unit), store.Stats{Messages: 2, Bytes: 3})
			t.expired("q", store.Stats{Expired: 2, ExpiredBytes: 3})
		},
	},
	{
		name:        "InTurn",
		explanation: "each message is kept for Retention after its own Sent",
		run: func(t *trial) {
			t.keeping("q", 10*t.unit)
			t.send("q", msg("first"))
			t.pass(5 * t.unit)
			t.send("q", msg("second"))
			t.pass(6 * t.unit)
			t.counts("q", store.Stats{Messages: 1, Bytes: 6, Expired: 1, ExpiredBytes: 5})
			t.expect("q", "second")
		},
	},
	{
		name:        "ForEver",
		explanation: "with a Retention of zero and less a message is kept for ever",
		needs:       needsVirtualTime,
		run: func(t *trial) {
			t.keeping("zero", 0)
			t.keeping("less", -t.unit)
			t.send("zero", msg("a"))
			t.send("less", msg("b"), delayed("c", 1<<60))
			t.pass(3 * 365 * 24 * time.Hour)
			t.expect("zero", "a")
			t.expect("less", "b")
			t.counts("less", store.Stats{Messages: 2, Bytes: 2, Delayed: 1, Leased: 1})
		},
	},
	{
		name:        "WhilePaused",
		explanation: "a pause stops deliveries only: messages expire meanwhile",
		run: func(t *trial) {
			t.keeping("q", 4*t.unit)
			t.pause("q")
			start := time.Now()
			t.send("q", msg("a"))
			t.keptUntil("q", start.Add(4*t.unit), store.Stats{Messages: 1, Bytes: 1})
			t.resume("q")
			t.expired("q", store.Stats{Expired: 1, ExpiredBytes: 1})
		},
	},
	{
		name:        "Delayed",
		explanation: "a message is kept for Retention after Sent, also when its delay is longer",
		run: func(t *trial) {
			t.keeping("q", 4*t.unit)
			start := time.Now()
			t.send("q", delayed("a", 6*t.unit))
			t.keptUntil("q", start.Add(4*t.unit), store.Stats{Messages: 1, Bytes: 1, Delayed: 1})
			t.expired("q", store.Stats{Expired: 1, ExpiredBytes: 1})
			t.pass(3 * t.unit)
			t.expired("q", store.Stats{Expired: 1, ExpiredBytes: 1})
		},
	},
	{
		name:        "DelayIsNotAdded",
		explanation: "Retention counts from Sent, not from the end of a delay",
		run: func(t *trial) {
			t.keeping("q", 6*t.unit)
			start := time.Now()
			t.send("q", delayed("a", 3*t.unit))
			t.keptUntil("q", start.Add(6*t.unit), store.Stats{Messages: 1, Bytes: 1})
			t.expired("q", store.Stats{Expired: 1, ExpiredBytes: 1})
		},
	},
	{
		name:        "WaitingForRetry",
		explanation: "Retention counts from Sent: it goes on while a message waits for its retry",
		run: func(t *trial) {
			t.keeping("q", 6*t.unit)
			start := time.Now()
			t.send("q", msgs("a", "b")...)
			got := t.take("q", 2)
			t.retry("q", 20*t.unit, got[0])
			t.retry("q", t.unit, got[1])
			t.pass(2 * t.unit)
			t.keptUntil("q", start.Add(6*t.unit), store.Stats{Messages: 2, Bytes: 2, Delayed: 1})
			t.expired("q", store.Stats{Expired: 2, ExpiredBytes: 2})
		},
	},
	{
		name:        "LeasedSurvives",
		explanation: "a leased message is with its holder: it does not expire while the lease holds, and its Ack is not lost",
		run: func(t *trial) {
			t.keeping("q", 4*t.unit)
			t.send("q", msg("a"))
			d := t.one("q")
			t.pass(6 * t.unit)
			t.counts("q", store.Stats{Messages: 1, Bytes: 1, Leased: 1})
			t.extend("q", t.hold, d)
			t.ack("q", d)
			t.expired("q", store.Stats{})
		},
	},
	{
		name:        "RetriedTooLate",
		explanation: "a message that comes back after its retention is deleted and counted in Expired",
		run: func(t *trial) {
			t.keeping("q", 4*t.unit)
			t.send("q", msgs("a", "b", "c")...)
			got := t.take("q", 3)
			t.pass(5 * t.unit)
			t.counts("q", store.Stats{Messages: 3, Bytes: 3, Leased: 3})
			t.retry("q", 0, got[0])
			t.expired("q", store.Stats{Messages: 2, Bytes: 2, Leased: 2, Expired: 1, ExpiredBytes: 1})
			t.retry("q", t.unit, got[1])
			t.release("q", got[2])
			t.expired("q", store.Stats{Expired: 3, ExpiredBytes: 3})
		},
	},
	{
		name:        "LeaseRunsOutTooLate",
		explanation: "a message whose lease runs out after its retention is deleted and counted in Expired",
		run: func(t *trial) {
			t.keeping("q", 3*t.unit)
			t.send("q", msg("a"))
			t.takeFor("q", 1, 5*t.unit)
			t.pass(5 * t.unit)
			t.expired("q", store.Stats{Expired: 1, ExpiredBytes: 1})
		},
	},
	{
		name:        "NotDelivered",
		explanation: "an expired message is never leased, by a Lease that waited for it either",
		run: func(t *trial) {
			t.keeping("q", 2*t.unit)
			t.send("q", delayed("a", 4*t.unit))
			start := time.Now()
			got := t.lease("q", store.Claim{Wait: 6 * t.unit})
			if took := time.Since(start); len(got) > 0 || took < 6*t.unit {
				t.Fatalf("Lease got %q after %v, want nothing after %v", bodies(got), took, 6*t.unit)
			}
		},
	},
	{
		name:        "Shortened",
		explanation: "a Retention that PutQueue shortens reaches stored messages",
		run: func(t *trial) {
			t.keeping("q", t.hold)
			t.send("q", msg("old"), delayed("old too", t.hold))
			t.pass(4 * t.unit)
			t.send("q", msg("new"))
			t.retain("q", 3*t.unit)
			t.counts("q", store.Stats{Messages: 1, Bytes: 3, Expired: 2, ExpiredBytes: 10})
			t.pass(3 * t.unit)
			t.expired("q", store.Stats{Expired: 3, ExpiredBytes: 13})
		},
	},
	{
		name:        "Introduced",
		explanation: "a Retention that PutQueue introduces reaches stored messages",
		run: func(t *trial) {
			t.create("q")
			start := time.Now()
			t.send("q", msg("a"), delayed("b", t.hold))
			t.retain("q", 4*t.unit)
			t.keptUntil("q", start.Add(4*t.unit), store.Stats{Messages: 2, Bytes: 2, Delayed: 1})
			t.expired("q", store.Stats{Expired: 2, ExpiredBytes: 2})
		},
	},
	{
		name:        "Lengthened",
		explanation: "a Retention that PutQueue lengthens reaches stored messages, and brings none back",
		run: func(t *trial) {
			t.keeping("q", 3*t.unit)
			t.send("q", msg("gone"))
			t.pass(4 * t.unit)
			t.expired("q", store.Stats{Expired: 1, ExpiredBytes: 4})
			t.send("q", msg("a"), delayed("b", 4*t.unit))
			t.retain("q", t.hold)
			t.pass(5 * t.unit)
			t.expect("q", "a", "b")
			t.counts("q", store.Stats{Messages: 2, Bytes: 2, Leased: 2, Expired: 1, ExpiredBytes: 4})
		},
	},
	{
		name:        "Moved",
		explanation: "in the destination of a Move retention counts from Sent",
		run: func(t *trial) {
			t.create("q")
			t.keeping("other", 6*t.unit)
			start := time.Now()
			t.send("q", msg("a"))
			t.pass(3 * t.unit)
			t.move("q", "other", t.one("q"))
			t.keptUntil("other", start.Add(6*t.unit), store.Stats{Messages: 1, Bytes: 1})
			t.expired("other", store.Stats{Expired: 1, ExpiredBytes: 1})
		},
	},
	{
		name:        "MovedTooLate",
		explanation: "in the destination of a Move retention counts from Sent, and may be over already",
		run: func(t *trial) {
			t.create("q")
			t.keeping("other", 3*t.unit)
			t.send("q", msg("a"))
			t.pass(4 * t.unit)
			t.move("q", "other", t.one("q"))
			t.expired("other", store.Stats{Expired: 1, ExpiredBytes: 1})
			t.expired("q", store.Stats{})
		},
	},
	{
		name:        "MovedOut",
		explanation: "a moved message is kept for as long as its new queue says, not its old one",
		run: func(t *trial) {
			t.keeping("q", 3*t.unit)
			t.create("other")
			t.send("q", msg("a"))
			d := t.one("q")
			t.pass(4 * t.unit)
			t.move("q", "other", d)
			t.pass(4 * t.unit)
			t.expect("other", "a")
		},
	},
	{
		name:        "Renewed",
		explanation: "Renew lets retention count from the Move rather than from Sent, which it keeps; a later Move without it does not take that back",
		run: func(t *trial) {
			t.create("q")
			t.keeping("other", 6*t.unit)
			t.keeping("third", 6*t.unit)
			t.send("q", msgs("a", "b")...)
			t.pass(7 * t.unit)
			got := t.take("q", 2)
			moved := time.Now()
			t.settle("q", outcomes(store.Outcome{Verb: store.Move, To: "other", Renew: true}, got...)...)
			d := t.one("other")
			if !d.Sent.Equal(got[0].Sent) && !d.Sent.Equal(got[1].Sent) {
				t.Fatalf("Sent is %v after a Move with Renew, want %v as before", d.Sent, got[0].Sent)
			}
			t.move("other", "third", d)
			t.keptUntil("third", moved.Add(6*t.unit), store.Stats{Messages: 1, Bytes: 1})
			t.expired("third", store.Stats{Expired: 1, ExpiredBytes: 1})
			t.expired("other", store.Stats{Expired: 1, ExpiredBytes: 1})
		},
	},
}

// keeping creates a queue with this retention.
func (t *trial) keeping(name string, retention time.Duration) {
	t.Helper()
	t.put(store.Queue{Name: name, Retention: retention})
}

// keptUntil lets time pass until end, when retention is over, and checks that
// shortly before the queue still holds what it should.
func (t *trial) keptUntil(queue string, end time.Time, want store.Stats) {
	t.Helper()
	margin := 2 * time.Millisecond // a store may round Sent to milliseconds
	if !t.harness.Virtual {
		margin = t.unit
	}
	time.Sleep(time.Until(end.Add(-margin)))
	got, err := t.store.Stats(t.ctx, queue)
	t.ok("Stats", err)
	shown := t.peek(queue)
	if time.Now().Before(end) { // else the machine was too busy to tell
		if diff := diffStats(got, want); diff != "" {
			t.Fatalf("%v before the end of retention: %s", margin, diff)
		}
		if len(shown) != int(want.Messages) {
			t.Fatalf("%v before the end of retention Peek shows %q, want %d messages", margin, bodies(shown), want.Messages)
		}
	}
	if !t.harness.Virtual {
		end = end.Add(margin) // what was sent after the start ends later
	}
	t.pass(time.Until(end))
}

// expired checks the counts of a queue of which retention has left nothing to
// lease or show.
func (t *trial) expired(queue string, want store.Stats) {
	t.Helper()
	t.nothing(queue)
	if want.Leased == 0 {
		t.shows(queue)
	}
	t.counts(queue, want)
}
