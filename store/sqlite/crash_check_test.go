package sqlite_test

import (
	"slices"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

// check compares what is in the file with what may be there, and takes it for what is
// known from now on.
func (m *model) check(l *look) {
	m.t.Helper()
	m.checkRecords(l)
	there := map[string]string{} // ID → queue
	for queue, all := range l.found {
		for _, s := range all {
			id := string(s.ID[:])
			require.Empty(m.t, there[id], "message %x is in two queues", s.ID)
			there[id] = queue
			require.False(m.t, m.gone[id], "message %x has come back to %s", s.ID, queue)
			require.NotNil(m.t, m.messages[id], "message %x, in %s, was never sent", s.ID, queue)
			m.checkMessage(m.messages[id], queue, s)
		}
	}
	for id, x := range m.messages {
		if there[id] == "" {
			m.checkAbsent(x, there)
		}
	}
	for id, x := range m.messages {
		if there[id] == "" {
			m.gone[id] = true
			delete(m.messages, id)
			continue
		}
		x.send, x.at = nil, there[id]
	}
	for queue, all := range l.found {
		for _, s := range all {
			x := m.messages[string(s.ID[:])]
			x.stays = map[string]*stay{queue: {attempts: s.Attempts, due: span{s.due, s.due}}}
		}
	}
}

// checkMessage checks a message that is in a queue.
func (m *model) checkMessage(x *message, queue string, s *sighting) {
	m.t.Helper()
	moved := queue == dead
	require.Empty(m.t, wrong(&s.Delivery, moved), "%v, found in %s", x, queue)
	require.True(m.t, x.sent.has(s.Sent.UnixNano()), "%v has Sent %d", x, s.Sent.UnixNano())
	x.accepted(s.Sent.UnixNano())
	st := x.stays[queue]
	require.NotNil(m.t, st, "%v was found in %s", x, queue)
	require.NotEqual(m.t, sure, st.settled(store.Ack), "%v was acknowledged, and is in %s", x, queue)
	switch {
	case queue != x.at:
		require.NotEqual(m.t, no, x.stays[x.at].settled(store.Move), "%v was found in %s", x, queue)
		require.NotEqual(m.t, sure, x.stays[x.at].settled(store.Ack), "%v was acknowledged, and is in %s", x, queue)
	default:
		require.NotEqual(m.t, sure, st.settled(store.Move), "%v was moved, and is in %s", x, queue)
		require.NotEqual(m.t, sure, m.purged(x), "%v was purged, and is in %s", x, queue)
	}
	m.checkRetention(x, queue, s)
	at := func(due span) bool { return due.has(s.due) }
	require.True(m.t, slices.ContainsFunc(st.dues(), at), "%v is due at %d, not %v", x, s.due, st.dues())
	_, inFlight := m.inFlight(queue)
	fewer, most := st.released()
	require.GreaterOrEqual(m.t, s.Attempts, max(st.attempts+st.deliveries-most, 0), "attempts in %s of %v", queue, x)
	require.LessOrEqual(m.t, s.Attempts, st.attempts+st.deliveries-fewer+inFlight, "attempts in %s of %v", queue, x)
}

// checkRetention checks when retention counts from: the send, or a Move that says so.
func (m *model) checkRetention(x *message, queue string, s *sighting) {
	m.t.Helper()
	switch {
	case queue != dead:
		require.Zero(m.t, s.since, "since of %v", x)
	case !renewedOf(x.id):
		require.Equal(m.t, s.Sent.UnixNano(), s.since, "since of %v", x)
	case x.at != dead:
		moves := func(o *outcome) bool {
			return o.Verb == store.Move && !o.lost && span{o.call.At, o.call.endAt}.has(s.since)
		}
		require.True(m.t, slices.ContainsFunc(x.stays[x.at].outcomes, moves), "since %d of %v", s.since, x)
	}
}

// checkAbsent checks that a message may be gone.
func (m *model) checkAbsent(x *message, there map[string]string) {
	m.t.Helper()
	st := x.stays[x.at]
	movedAndGone := st.settled(store.Move) != no && x.stays[dead] != nil && x.stays[dead].settled(store.Ack) != no
	switch {
	case movedAndGone, st.settled(store.Move) != sure && (st.settled(store.Ack) != no || m.purged(x) != no):
		return
	}
	require.True(m.t, x.send != nil && !x.send.returned(), "lost: %v", x)
	// A batch is accepted whole or not at all.
	for _, n := range x.send.Notes {
		other := m.messages[n.ID]
		require.True(m.t, there[n.ID] == "" && other.stays[other.at].deliveries == 0, "lost: %v, sent with %v", x, other)
	}
}

// checkRecords compares records. A call of the clerk's that had not returned was done or not.
func (m *model) checkRecords(l *look) {
	m.t.Helper()
	if c := m.records; c != nil && l.revision == m.revision+1 {
		m.revision++
		if c.What == callDrop {
			delete(m.recs, c.Queue)
		} else {
			rec := c.Record
			rec.Revision = m.revision
			m.recs[c.Queue] = rec
		}
	}
	require.Equal(m.t, m.revision, l.revision, "the revision of the store")
	recs := map[string]store.Queue{}
	for _, rec := range l.recs {
		recs[rec.Name] = rec
	}
	require.Equal(m.t, m.recs, recs)
	changed, _, err := l.s.Queues(m.t.Context(), m.revision-1, 0)
	require.NoError(m.t, err)
	require.Len(m.t, changed, 1)
	assert.Equal(m.t, m.revision, changed[0].Revision)
	_, alive := m.recs[changed[0].Name]
	assert.Equal(m.t, !alive, changed[0].Deleted)
}

// tryOut leases some messages of a look and gives them back.
func (m *model) tryOut(l *look, limit int) {
	m.t.Helper()
	var stale []store.Outcome
	for _, n := range m.stale[max(len(m.stale)-50, 0):] {
		stale = append(stale, store.Outcome{Lease: n.Lease, Verb: store.Ack})
	}
	lost, err := l.s.Settle(m.t.Context(), work, stale)
	require.NoError(m.t, err)
	require.Len(m.t, lost, len(stale), "leases of a process that is dead hold nothing")
	for queue := range l.found {
		ds, err := l.s.Lease(m.t.Context(), queue, store.Claim{Max: limit, Visibility: time.Hour}, nil)
		if m.recs[queue].Paused {
			require.ErrorIs(m.t, err, store.ErrPaused)
			continue
		}
		require.NoError(m.t, err)
		now := l.clock.now()
		var back []store.Outcome
		for i := range ds {
			st := m.messages[string(ds[i].ID[:])].stays[queue]
			require.Equal(m.t, st.attempts+1, ds[i].Attempts)
			require.LessOrEqual(m.t, st.due.from, now, "message %x is delivered early", ds[i].ID)
			st.due = span{} // which is what Release makes it
			back = append(back, store.Outcome{Lease: ds[i].Lease, Verb: store.Release})
		}
		ready := 0
		for _, s := range l.found[queue] {
			if s.due == 0 {
				ready++
			}
		}
		require.GreaterOrEqual(m.t, len(ds), min(ready, limit), "delivered from %s", queue)
		lost, err := l.s.Settle(m.t.Context(), queue, back)
		require.NoError(m.t, err)
		require.Empty(m.t, lost)
	}
}
