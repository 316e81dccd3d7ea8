package storetest

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/inproq/inproq/store"
)

// The steps of Model that are about the records of queues, and how it writes
// things down.

// missing does something to a queue that does not exist, or creates it.
func (m *model) missing(queue string) {
	var err error
	switch m.src.Intn("missing", 8) {
	case 1:
		_, err = m.store.Enqueue(m.ctx, queue, msgs("x"))
	case 2:
		_, err = m.store.Lease(m.ctx, queue, store.Claim{Visibility: time.Hour, Wait: -1}, nil)
	case 3:
		_, err = m.store.Settle(m.ctx, queue, nil)
	case 4:
		_, err = m.store.Peek(m.ctx, queue, "", 1)
	case 5:
		_, err = m.store.PutQueue(m.ctx, store.Queue{Name: queue, Revision: m.seen + 1})
	default:
		record := store.Queue{Name: queue, Settings: []byte(fmt.Sprint(len(m.trace)))}
		m.note("PutQueue %s: create", queue)
		stored, err := m.store.PutQueue(m.ctx, record)
		m.ok("PutQueue", err)
		m.stored(record, stored)
		m.queues[queue] = newShadow(stored, m.promised.TimerGrain)
		return
	}
	m.fails("a call for a missing queue", err, store.ErrQueueNotFound)
}

// stored checks what PutQueue returns.
func (m *model) stored(given, stored store.Queue) {
	m.tb.Helper()
	for _, q := range m.queues {
		if stored.Revision <= q.record.Revision {
			m.fail("PutQueue returned revision %d, and %s has %d", stored.Revision, q.record.Name, q.record.Revision)
		}
	}
	if given.Revision = stored.Revision; !sameRecord(given, stored) {
		m.fail("PutQueue returned %s, want %s", describe(stored), describe(given))
	}
}

func sameRecord(a, b store.Queue) bool {
	return a.Name == b.Name && a.Paused == b.Paused && a.Deleted == b.Deleted && a.Retention == b.Retention &&
		a.Revision == b.Revision && bytes.Equal(a.Settings, b.Settings)
}

// put pauses or resumes a queue, changes its retention, or fails to.
func (m *model) put(queue string, q *shadow) {
	record := q.record
	switch m.src.Intn("change", 6) {
	case 0, 1:
		record.Paused = !record.Paused
	case 2, 3:
		record.Retention = 0
		if m.chance("retention", 2) {
			record.Retention = m.duration("retention")*2 + m.beat/8
		}
	case 4:
		record.Settings = []byte(fmt.Sprint(len(m.trace)))
	case 5:
		record.Revision = []uint64{0, record.Revision - 1, record.Revision + 1}[m.src.Intn("revision", 3)]
		m.note("PutQueue %s: revision %d, where it is %d", queue, record.Revision, q.record.Revision)
		_, err := m.store.PutQueue(m.ctx, record)
		m.fails("PutQueue", err, store.ErrConflict)
		return
	}
	m.note("PutQueue %s: paused %v, retention %v, settings %q", queue, record.Paused, record.Retention, record.Settings)
	stored, err := m.store.PutQueue(m.ctx, record)
	m.ok("PutQueue", err)
	m.stored(record, stored)
	if q.record.Paused && !stored.Paused {
		q.resumed = time.Now()
	}
	q.record = stored
}

func (m *model) remove(queue string, _ *shadow) {
	if !m.chance("delete", 3) {
		return
	}
	m.note("DeleteQueue %s", queue)
	m.ok("DeleteQueue", m.store.DeleteQueue(m.ctx, queue))
	delete(m.queues, queue)
}

// feed applies what changed to what was replayed so far.
func (m *model) feed(string, *shadow) {
	m.note("Queues after %d", m.seen)
	changes, newest, err := m.store.Queues(m.ctx, m.seen, 0)
	m.ok("Queues", err)
	last := m.seen
	for _, q := range changes {
		if q.Revision <= last || q.Revision > newest {
			m.fail("Queues lists revision %d after %d, and %d is the newest", q.Revision, last, newest)
		}
		last = q.Revision
		if q.Deleted {
			delete(m.replayed, q.Name)
		} else {
			m.replayed[q.Name] = q
		}
	}
	m.seen = newest
	if len(m.replayed) != len(m.queues) {
		m.fail("what Queues listed adds up to %d queues, want %d", len(m.replayed), len(m.queues))
	}
	for name, q := range m.queues {
		if !sameRecord(m.replayed[name], q.record) {
			m.fail("what Queues listed adds up to %s, want %s", describe(m.replayed[name]), describe(q.record))
		}
	}
}

func compareIDs(a, b store.ID) int { return bytes.Compare(a[:], b[:]) }

func describeMessages(all []store.Message) string {
	var b strings.Builder
	for _, m := range all {
		fmt.Fprintf(&b, "%q delay %v; ", m.Body, m.Delay)
	}
	return b.String()
}

func (m *model) describeOutcomes(all []store.Outcome) string {
	var b strings.Builder
	for _, o := range all {
		of := "a stale lease"
		for _, q := range m.queues {
			if w := q.holder(o.Lease); w != nil {
				of = fmt.Sprintf("%q", w.Body)
			}
		}
		fmt.Fprintf(&b, "%s of %s", o.Verb, of)
		switch o.Verb {
		case store.Move:
			fmt.Fprintf(&b, " to %s, headers %q, renew %v", o.To, o.Headers, o.Renew)
		case store.Retry, store.Extend:
			fmt.Fprintf(&b, " for %v", o.Delay)
		}
		b.WriteString("; ")
	}
	return b.String()
}
