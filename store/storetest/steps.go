package storetest

import (
	"slices"
	"time"

	"github.com/inproq/inproq/store"
)

// The steps that cases are written in: calls of the store that must succeed, and
// what must come of them.

// create makes queues that keep everything for ever.
func (t *trial) create(names ...string) {
	t.Helper()
	for _, name := range names {
		t.put(store.Queue{Name: name})
	}
}

func (t *trial) put(q store.Queue) store.Queue {
	t.Helper()
	stored, err := t.store.PutQueue(t.ctx, q)
	t.ok("PutQueue", err)
	t.records[q.Name] = stored
	return stored
}

// edit changes the record of a queue.
func (t *trial) edit(name string, change func(*store.Queue)) {
	t.Helper()
	q := t.records[name]
	change(&q)
	t.put(q)
}

func (t *trial) pause(name string) {
	t.Helper()
	t.edit(name, func(q *store.Queue) { q.Paused = true })
}
func (t *trial) resume(name string) {
	t.Helper()
	t.edit(name, func(q *store.Queue) { q.Paused = false })
}

func (t *trial) retain(name string, d time.Duration) {
	t.Helper()
	t.edit(name, func(q *store.Queue) { q.Retention = d })
}

// send sends messages, at once if the store takes so many, and returns the Stats
// from before the first of them.
func (t *trial) send(queue string, msgs ...store.Message) store.Stats {
	t.Helper()
	n := t.batch(len(msgs))
	before, err := t.store.Enqueue(t.ctx, queue, msgs[:n])
	t.ok("Enqueue", err)
	if n < len(msgs) {
		t.send(queue, msgs[n:]...)
	}
	return before
}

// lease is a Lease that must not fail. Without a Visibility it takes hold.
func (t *trial) lease(queue string, c store.Claim) []store.Delivery {
	t.Helper()
	if c.Visibility == 0 {
		c.Visibility = t.hold
	}
	got, err := t.store.Lease(t.ctx, queue, c, nil)
	t.ok("Lease", err)
	return got
}

// takeFor leases n messages that are leasable now, for visibility.
func (t *trial) takeFor(queue string, n int, visibility time.Duration) []store.Delivery {
	t.Helper()
	var all []store.Delivery
	for len(all) < n {
		got := t.lease(queue, store.Claim{Max: n - len(all), Wait: t.late, Visibility: visibility})
		if len(got) == 0 {
			t.Fatalf("Lease: got %q, want %d messages at once", bodies(all), n)
		}
		all = append(all, got...)
	}
	return all
}

func (t *trial) take(queue string, n int) []store.Delivery {
	t.Helper()
	return t.takeFor(queue, n, t.hold)
}

// one leases the message that is leasable now.
func (t *trial) one(queue string) store.Delivery { t.Helper(); return t.take(queue, 1)[0] }

// expect leases what is leasable now, which must have these bodies in any order.
func (t *trial) expect(queue string, want ...string) []store.Delivery {
	t.Helper()
	got := t.take(queue, len(want))
	t.same("the leased messages", got, want...)
	t.nothing(queue)
	return got
}

// nothing checks that no message is leasable now.
func (t *trial) nothing(queue string) {
	t.Helper()
	if got := t.lease(queue, store.Claim{Max: 100}); len(got) > 0 {
		t.Fatalf("Lease: got %q, want no message now", bodies(got))
	}
}

// due waits for a message, which must be body and must come d after from: never
// earlier, and later by the store's grain at most.
func (t *trial) due(queue, body string, from time.Time, d time.Duration) store.Delivery {
	t.Helper()
	got := t.lease(queue, store.Claim{Wait: max(d, 0) + t.late + t.unit})
	after := time.Since(from)
	if len(got) == 0 {
		t.Fatalf("Lease: no message came within %v, want %q after %v", after, body, d)
	}
	t.same("the message that came", got, body)
	if after < d {
		t.Fatalf("%q came after %v, want not before %v", body, after, d)
	}
	if after > d+t.late {
		t.Fatalf("%q came after %v, want after %v and at most %v later", body, after, d, t.late)
	}
	return got[0]
}

// settle applies outcomes, none of which may be lost.
func (t *trial) settle(queue string, outcomes ...store.Outcome) {
	t.Helper()
	t.loses(queue, nil, outcomes...)
}

// loses applies outcomes, of which exactly those of these indexes must be lost.
func (t *trial) loses(queue string, want []int, outcomes ...store.Outcome) {
	t.Helper()
	lost, err := t.store.Settle(t.ctx, queue, outcomes)
	t.ok("Settle", err)
	slices.Sort(lost)
	if !slices.Equal(lost, want) {
		t.Fatalf("Settle of %v: lost are %v, want %v", verbs(outcomes), lost, want)
	}
}

func (t *trial) ack(queue string, ds ...store.Delivery) {
	t.Helper()
	t.settle(queue, outcomes(store.Outcome{Verb: store.Ack}, ds...)...)
}

func (t *trial) retry(queue string, delay time.Duration, ds ...store.Delivery) {
	t.Helper()
	t.settle(queue, outcomes(store.Outcome{Verb: store.Retry, Delay: delay}, ds...)...)
}

func (t *trial) release(queue string, ds ...store.Delivery) {
	t.Helper()
	t.settle(queue, outcomes(store.Outcome{Verb: store.Release}, ds...)...)
}

func (t *trial) extend(queue string, d time.Duration, ds ...store.Delivery) {
	t.Helper()
	t.settle(queue, outcomes(store.Outcome{Verb: store.Extend, Delay: d}, ds...)...)
}

func (t *trial) move(from, to string, ds ...store.Delivery) {
	t.Helper()
	t.settle(from, outcomes(store.Outcome{Verb: store.Move, To: to}, ds...)...)
}

// peek returns all that Peek shows.
func (t *trial) peek(queue string) []store.Delivery {
	t.Helper()
	return t.page(queue, "", 100)
}

// page reads to the end of the queue, from after on and limit at a time.
func (t *trial) page(queue string, after store.Lease, limit int) []store.Delivery {
	t.Helper()
	var all []store.Delivery
	for range 10_000 {
		got, err := t.store.Peek(t.ctx, queue, after, limit)
		t.ok("Peek", err)
		if len(got) == 0 {
			return all
		}
		if len(got) > limit {
			t.Fatalf("Peek with limit %d: got %d messages", limit, len(got))
		}
		all = append(all, got...)
		after = got[len(got)-1].Lease
	}
	t.Fatalf("Peek: no end after %d messages", len(all))
	return nil
}

// shows checks that Peek shows exactly these messages, in any order.
func (t *trial) shows(queue string, want ...string) {
	t.Helper()
	t.same("what Peek shows", t.peek(queue), want...)
}

// counts checks the Stats of a queue, as far as the store can tell them. In real
// time it allows them to be late.
func (t *trial) counts(queue string, want store.Stats) store.Stats {
	t.Helper()
	for deadline := time.Now().Add(t.late); ; time.Sleep(time.Millisecond) {
		got, err := t.store.Stats(t.ctx, queue)
		t.ok("Stats", err)
		diff := diffStats(got, want)
		if diff == "" {
			return got
		}
		if !time.Now().Before(deadline) {
			t.Fatalf("Stats: %s", diff)
		}
	}
}
