package sqlite_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

// A model is what the parent knows: for certain what it saw in the file at its last
// look, and, by the journal, what a child has done since, or may have done.
type model struct {
	t        *testing.T
	messages map[string]*message // by ID
	gone     map[string]bool     // IDs that are never to be seen again
	recs     map[string]store.Queue
	revision uint64 // of the store

	// Of the child.
	entries int           // read
	calls   map[int]*call // by number
	leases  map[string][]*call
	purges  map[string][]*call // and drops
	records *call              // the clerk's that has not returned
	stale   []note             // leases that the child had, by queue work
}

// A call is one of the child's. Its start and end are places in the journal.
type call struct {
	entry
	start, end int
	endAt      int64 // on the clock
	outcomes   []*outcome
}

const never = math.MaxInt64

func (c *call) returned() bool { return c.end > 0 }

// accepted takes in when a message was accepted, from where its delay counts.
func (x *message) accepted(at int64) {
	x.sent = span{at, at}
	if st := x.stays[x.at]; st.delay > 0 {
		st.due.from = at + st.delay
	}
}

// A message is one that was sent, or may have been.
type message struct {
	id    store.ID
	send  *call // nil: it was there at the last look
	at    string
	sent  span
	stays map[string]*stay // by queue: that which it was in at first, and dead
}

// A stay is what happens to a message in one queue.
type stay struct {
	attempts   int   // at the last look
	deliveries int   // since
	short      bool  // a lease may have run out since
	due        span  // at the last look, or by the send
	delay      int64 // of the send, if it was since
	outcomes   []*outcome
}

// An outcome is of a Settle.
type outcome struct {
	note
	call *call
	lost bool
}

// A span is between when something happened and when it had, on the clock.
type span struct{ from, to int64 }

func (s span) has(at int64) bool { return s.from <= at && at <= s.to }

func newModel(t *testing.T) *model {
	return &model{t: t, messages: map[string]*message{}, gone: map[string]bool{}, recs: map[string]store.Queue{}}
}

// begin starts on the journal of a new child.
func (m *model) begin() {
	m.entries, m.calls = 0, map[int]*call{}
	m.leases, m.purges, m.records, m.stale = map[string][]*call{}, map[string][]*call{}, nil, nil
}

// read takes an entry in.
func (m *model) read(e entry) {
	m.t.Helper()
	m.entries++
	if e.What == callFailed {
		m.t.Fatalf("the child says: %s", e.Text)
	}
	if e.Done {
		c := m.calls[e.Call]
		c.end, c.endAt = m.entries, e.At
		m.done(c, &e)
		return
	}
	c := &call{entry: e, start: m.entries, endAt: never}
	m.calls[e.Call] = c
	switch e.What {
	case callSend:
		for _, n := range e.Notes {
			m.add(c, n)
		}
	case callLease:
		m.leases[e.Queue] = append(m.leases[e.Queue], c)
	case callSettle:
		for _, n := range e.Notes {
			m.settles(c, n)
		}
	case callPurge:
		m.purges[e.Queue] = append(m.purges[e.Queue], c)
	case callDrop:
		m.purges[e.Queue] = append(m.purges[e.Queue], c)
		m.records = c
	case callPut:
		m.records = c
	}
}

// add adds a message that is about to be sent.
func (m *model) add(c *call, n note) {
	st := &stay{delay: int64(n.Delay)}
	if n.Delay > 0 {
		st.due = span{c.At + int64(n.Delay), never}
	}
	m.messages[n.ID] = &message{
		id: store.ID([]byte(n.ID)), send: c, at: c.Queue, sent: span{c.At, never}, stays: map[string]*stay{c.Queue: st},
	}
}

// settles notes an outcome that is about to be asked for.
func (m *model) settles(c *call, n note) {
	m.t.Helper()
	x := m.messages[n.ID]
	if x == nil || x.stays[c.Queue] == nil {
		m.t.Fatalf("message %x was met in %s, where it was never sent to", n.ID, c.Queue)
	}
	o := &outcome{note: n, call: c}
	c.outcomes = append(c.outcomes, o)
	st := x.stays[c.Queue]
	st.outcomes = append(st.outcomes, o)
	if n.Verb == store.Move && x.stays[dead] == nil {
		x.stays[dead] = &stay{}
	}
}

// done takes in that a call has returned.
func (m *model) done(c *call, e *entry) {
	m.t.Helper()
	switch c.What {
	case callSend:
		for _, n := range c.Notes {
			x := m.messages[n.ID]
			x.sent.to = min(x.sent.to, c.endAt)
			if st := x.stays[c.Queue]; n.Delay > 0 {
				st.due.to = c.endAt + int64(n.Delay)
			}
		}
	case callLease:
		c.Ended = e.Ended
		for _, n := range e.Notes {
			m.delivered(c, n)
		}
		if c.Queue == work {
			m.stale = append(m.stale, e.Notes...)
		}
	case callSettle:
		for _, i := range e.Lost {
			c.outcomes[i].lost = true
		}
	case callPut:
		m.records = nil
		m.keep(c.Record, e.Record)
	case callDrop:
		m.records = nil
		m.revision++
		delete(m.recs, c.Queue)
	}
}

// keep takes in that the store has kept a record.
func (m *model) keep(asked, kept store.Queue) {
	m.t.Helper()
	m.revision++
	asked.Revision = m.revision
	require.Equal(m.t, asked, kept, "what PutQueue returned")
	m.recs[kept.Name] = kept
}

// String tells what is known of a message.
func (x *message) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "message %x", x.id)
	if x.send != nil {
		fmt.Fprintf(&b, ", sent at %d-%d (%v)", x.send.start, x.send.end, x.sent)
	}
	for queue, st := range x.stays {
		fmt.Fprintf(&b, "\n  in %s: %d attempts before, %d deliveries since, short %v, due %v", queue, st.attempts, st.deliveries, st.short, st.due)
		for _, o := range st.outcomes {
			fmt.Fprintf(&b, "\n    %v(%v) at %d-%d, lost %v", o.Verb, o.Delay, o.call.start, o.call.end, o.lost)
		}
	}
	return b.String()
}
