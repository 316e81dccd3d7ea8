package storetest

import (
	"time"

	"github.com/inproq/inproq/store"
)

// The steps of Model that are about Peek and its references.

// settleReference settles one message by its reference.
func (m *model) settleReference(queue string, q *shadow) {
	now := time.Now()
	shown, err := m.store.Peek(m.ctx, queue, "", 1+m.src.Intn("shown", 4))
	m.ok("Peek", err)
	if len(shown) == 0 {
		return
	}
	d := shown[m.src.Intn("reference", len(shown))]
	w := q.messages[d.ID]
	if w == nil || w.leased(now) {
		if w != nil && !m.promised.Fenced {
			return
		}
		m.fail("Peek shows %q, which is gone or leased", d.Body)
	}
	o := store.Outcome{Lease: d.Lease, Verb: store.Ack}
	if m.chance("move", 2) {
		o = m.drawMove(o)
	}
	m.note("Settle %s: %s of %q by reference, to %q", queue, o.Verb, d.Body, o.To)
	lost, err := m.store.Settle(m.ctx, queue, []store.Outcome{o})
	if o.Verb == store.Move && m.queues[o.To] == nil {
		m.fails("Settle with a Move to "+o.To, err, store.ErrQueueNotFound)
		return
	}
	m.ok("Settle", err)
	if len(lost) > 0 {
		m.fail("Settle: the reference to %q is lost, want it taken", d.Body)
	}
	if o.Verb == store.Move {
		q.move(w, o, m.queues[o.To], now)
	} else {
		delete(q.messages, w.ID)
	}
}

// peek reads the queue page by page, or from an old reference on.
func (m *model) peek(queue string, q *shadow) {
	now := time.Now()
	limit := 1 + m.src.Intn("limit", 5)
	after := store.Lease("")
	if len(m.refs) > 0 && m.chance("cursor", 3) {
		after = m.refs[m.src.Intn("reference", len(m.refs))].lease
	}
	m.note("Peek %s: %d at a time, after %q", queue, limit, after)
	seen := map[store.ID]bool{}
	delayed := false
	for cursor, pages := after, 0; ; pages++ {
		got, err := m.store.Peek(m.ctx, queue, cursor, limit)
		m.ok("Peek", err)
		if len(got) > limit || pages > 10_000 {
			m.fail("Peek with limit %d: got %d messages on page %d", limit, len(got), pages)
		}
		if len(got) == 0 {
			break
		}
		for _, d := range got {
			w := q.messages[d.ID]
			if w == nil || m.promised.Fenced && w.leased(now) || seen[d.ID] && after == "" {
				m.fail("Peek shows %q, which is gone, leased or was shown before", d.Body)
			}
			if seen[d.ID] {
				return // behind a reference that the store cannot place
			}
			m.compare("Peek", w, d, w.attempts)
			if delayed && !w.delayed(now) && !w.leased(now) && after == "" {
				m.fail("Peek shows %q, which is ready, after a delayed message", d.Body)
			}
			delayed = delayed || w.delayed(now)
			seen[d.ID] = true
		}
		cursor = got[len(got)-1].Lease
		m.refs = append(m.refs, held{queue, cursor})
	}
	for _, w := range q.messages {
		if after == "" && !w.leased(now) && !seen[w.ID] {
			m.fail("Peek does not show %q", w.Body)
		}
	}
}
