package faulttest

import (
	"fmt"
	"maps"
	"sync"

	"github.com/inproq/inproq/store"
)

// ledger is what the users of a store know: what they have begun, and what was confirmed
// to them. It never touches the disk, so a crash can read it in its moment.
type ledger struct {
	mu       sync.Mutex
	entries  map[store.ID]entry
	batches  int
	purging  bool
	created  map[string]bool // queues
	confirms int             // calls that were confirmed
}

// entry is what is known of a message.
type entry struct {
	queue    string // where it is, by the last confirmation
	batch    int    // of the messages that were sent together
	sent     bool   // Enqueue has returned
	leaving  bool   // what takes it away has begun
	gone     bool   // and was confirmed
	moving   bool   // it may be in another queue
	held     bool   // its delay is longer than any test
	attempts int    // deliveries that a confirmed outcome has written down
	version  int    // counts outcomes that have begun
	out      bool   // somebody has a lease that does not run out
}

func newLedger() *ledger {
	return &ledger{entries: map[store.ID]entry{}, created: map[string]bool{}}
}

// change changes what is known of some messages.
func (l *ledger) change(ids []store.ID, f func(e *entry)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		e := l.entries[id]
		f(&e)
		l.entries[id] = e
	}
}

// confirm is change after a call has returned.
func (l *ledger) confirm(ids []store.ID, f func(e *entry)) {
	l.change(ids, f)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.confirms++
}

// begin is change before an outcome. It returns the versions for end.
func (l *ledger) begin(ids []store.ID, f func(e *entry)) (versions []int) {
	l.change(ids, func(e *entry) {
		f(e)
		e.out = false // it may be over any moment
		e.version++
		versions = append(versions, e.version)
	})
	return versions
}

// taken notes deliveries, with leases that hold or may run out. Nobody else may have them.
func (l *ledger) taken(ds []store.Delivery, hold bool) (err error) {
	l.change(idsOf(ds), func(e *entry) {
		if e.out {
			err = fmt.Errorf("leased twice: %+v", *e)
		}
		e.out = hold
	})
	return err
}

// end is confirm after an outcome. If another has begun since, that one was after this,
// and tells more, even if this one's caller comes later to say so.
func (l *ledger) end(id store.ID, version int, f func(e *entry)) {
	l.confirm([]store.ID{id}, func(e *entry) {
		if e.version == version {
			f(e)
		}
	})
}

// create notes a queue that is there.
func (l *ledger) create(queue string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.created[queue] = true
	l.confirms++
}

// sending notes messages that are about to be sent together.
func (l *ledger) sending(queue string, msgs []store.Message) []store.ID {
	ids := make([]store.ID, 0, len(msgs))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches++
	for _, m := range msgs {
		ids = append(ids, m.ID)
		l.entries[m.ID] = entry{queue: queue, batch: l.batches, leaving: queue == scratch && l.purging, held: m.Delay >= forever}
	}
	return ids
}

// purge notes that scratch is about to be purged, and returns what must be gone then.
func (l *ledger) purge() []store.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.purging = true
	var there []store.ID
	for id, e := range l.entries {
		if e.queue != scratch || e.gone {
			continue
		}
		if e.sent {
			there = append(there, id)
		}
		e.leaving = true
		l.entries[id] = e
	}
	return there
}

// purged notes that the purge is over, and that these messages are gone.
func (l *ledger) purged(ids []store.ID) {
	l.confirm(ids, func(e *entry) { e.gone = true })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.purging = false
}

// copy returns the ledger as it is now.
func (l *ledger) copy() *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &ledger{entries: maps.Clone(l.entries), created: maps.Clone(l.created), batches: l.batches, confirms: l.confirms}
}

// audit compares what a store has with the ledger, and returns what must not be.
func (l *ledger) audit(found map[store.ID]finding, missing []string) (wrong []string) {
	for _, queue := range missing {
		if l.created[queue] {
			wrong = append(wrong, "there is no queue "+queue)
		}
	}
	add := func(id store.ID, e entry, format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("%x: %s: %+v", id, fmt.Sprintf(format, args...), e))
	}
	whole := map[int][2]int{} // batch → found and not found
	for id, e := range l.entries {
		f, ok := found[id]
		n := whole[e.batch]
		switch {
		case ok:
			n[0]++
		case !e.leaving:
			n[1]++
		}
		whole[e.batch] = n
		switch {
		case ok && e.gone:
			add(id, e, "it is back in %s", f.queue)
		case !ok && e.sent && !e.leaving:
			add(id, e, "it was confirmed and is lost")
		case ok && !e.moving && f.queue != e.queue:
			add(id, e, "it is in %s", f.queue)
		case ok && e.sent && !e.leaving && e.held && f.ready:
			add(id, e, "its delay is forgotten")
		case ok && !e.moving && f.attempts < e.attempts:
			add(id, e, "it has %d attempts", f.attempts)
		}
	}
	for batch, n := range whole {
		if n[0] > 0 && n[1] > 0 {
			wrong = append(wrong, fmt.Sprintf("batch %d: %d messages are there, %d are not", batch, n[0], n[1]))
		}
	}
	for id, f := range found {
		if _, ok := l.entries[id]; !ok {
			wrong = append(wrong, fmt.Sprintf("%x: nobody has sent it to %s", id, f.queue))
		}
	}
	return wrong
}

// adopt makes a ledger of what was found, for those who go on from there.
func adopt(found map[store.ID]finding) *ledger {
	l := newLedger()
	for id, f := range found {
		l.batches++
		l.entries[id] = entry{queue: f.queue, batch: l.batches, sent: true, held: !f.ready && f.held, attempts: f.attempts}
	}
	return l
}
