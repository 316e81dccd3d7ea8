package sqlite_test

import (
	"cmp"
	"slices"

	"github.com/inproq/inproq/store"
)

// What may be, by the journal: a call that had not returned when its process was killed
// was done or was not.

type certainty uint8

const (
	no certainty = iota
	maybe
	sure
)

// settled says whether a message was acknowledged or moved away.
func (st *stay) settled(v store.Verb) (is certainty) {
	for _, o := range st.outcomes {
		switch {
		case o.Verb != v || o.lost:
		case o.call.returned():
			is = sure
		default:
			is = max(is, maybe)
		}
	}
	return is
}

// dues are the times that a message may be due at, zero for at once. The last outcome
// that is known to be applied counts, and all begun since; outcomes whose lease did not
// hold any more are reported as lost, and one that was begun before another lease
// cannot be applied after it.
func (st *stay) dues() []span {
	all := []span{st.due}
	for _, o := range st.outcomes {
		if o.lost || o.Verb != store.Retry && o.Verb != store.Release {
			continue
		}
		if o.call.returned() {
			all = all[:0]
		}
		all = append(all, o.due())
	}
	return all
}

func (o *outcome) due() span {
	if o.Verb != store.Retry || o.Delay == 0 {
		return span{}
	}
	if !o.call.returned() {
		return span{o.call.At + int64(o.Delay), never}
	}
	return span{o.call.At + int64(o.Delay), o.call.endAt + int64(o.Delay)}
}

// released says how many attempts were taken back, at least and at most. A lease that
// may have run out keeps its attempt.
func (st *stay) released() (least, most int) {
	for _, o := range st.outcomes {
		if o.Verb != store.Release || o.lost {
			continue
		}
		most++
		if o.call.returned() && !st.short {
			least++
		}
	}
	return least, most
}

// inFlight says how many Lease calls may have taken one message and have not returned: of the
// long leases at most one, of the short ones any.
func (m *model) inFlight(queue string) (short, all int) {
	long := 0
	for _, c := range m.leases[queue] {
		switch {
		case c.returned():
		case c.Short:
			short++
		default:
			long = 1
		}
	}
	return short, short + long
}

// delivered checks a delivery to the child.
func (m *model) delivered(c *call, n note) {
	m.t.Helper()
	x := m.messages[n.ID]
	if x == nil || x.stays[c.Queue] == nil {
		m.t.Fatalf("message %x was delivered from %s, where it was never sent to, or is gone (%v)", n.ID, c.Queue, m.gone[n.ID])
	}
	st := x.stays[c.Queue]
	for _, o := range st.outcomes {
		if (o.Verb == store.Ack || o.Verb == store.Move) && !o.lost && o.call.returned() && o.call.end < c.start {
			m.t.Fatalf("%v was delivered after it had been settled: %s", x, o.Verb)
		}
	}
	if !x.sent.has(n.Sent) {
		m.t.Fatalf("%v was delivered with Sent %d", x, n.Sent)
	}
	x.accepted(n.Sent)
	short, _ := m.inFlight(c.Queue)
	calm := !c.Short && !st.short && short == 0 // every delivery was settled before the next
	dues := st.dues()
	if calm {
		dues = dues[len(dues)-1:]
	}
	first := slices.MinFunc(dues, func(a, b span) int { return cmp.Compare(a.from, b.from) }).from
	if c.endAt < first {
		m.t.Fatalf("%v was delivered %d ns before it was due", x, first-c.endAt)
	}
	_, released := st.released()
	least, most := 1, st.attempts+st.deliveries+1+short
	if calm {
		least = st.attempts + st.deliveries + 1 - released
		most = least
	}
	if n.Attempts < least || n.Attempts > most {
		m.t.Fatalf("%v was delivered with attempt %d, not %d to %d", x, n.Attempts, least, most)
	}
	st.deliveries++
	st.short = st.short || c.Short
}

// purged says whether a message was in its queue when that was purged or deleted.
func (m *model) purged(x *message) (is certainty) {
	st := x.stays[x.at]
	for _, p := range m.purges[x.at] {
		switch {
		case p.returned() && x.send != nil && x.send.start > p.end:
		case !p.returned() || x.send != nil && (!x.send.returned() || x.send.end > p.start):
			is = max(is, maybe)
		case p.What == callPurge && (st.deliveries > 0 || m.heldDuring(p)):
			is = max(is, maybe)
		default:
			is = sure
		}
	}
	return is
}

// heldDuring reports whether a Lease of which nobody knows what it has taken may have
// held messages when the queue was purged.
func (m *model) heldDuring(p *call) bool {
	return slices.ContainsFunc(m.leases[p.Queue], func(c *call) bool {
		return c.start < p.end && (!c.returned() || c.Ended && c.end > p.start)
	})
}
