package sqlite_test

import (
	"fmt"
	"time"

	"github.com/inproq/inproq/store"
)

// newClerk returns what changes records: of the queues with messages, which it also
// pauses, and of one that it creates, fills and deletes. There is one clerk, so no
// revision is ever out of date.
func newClerk(s store.Store) func(*hand) {
	var recs map[string]store.Queue
	return func(h *hand) {
		if recs == nil {
			recs = map[string]store.Queue{}
			all, _, err := s.Queues(background, 0, 0)
			h.must(err, "Queues")
			for _, rec := range all {
				recs[rec.Name] = rec
			}
		}
		// Pauses are short: the next step ends them.
		for _, rec := range recs {
			if rec.Paused {
				rec.Paused = false
				recs[rec.Name] = h.put(rec)
			}
		}
		if _, there := recs[brief]; h.chance(3) {
			if there {
				h.drop(brief)
				delete(recs, brief)
				return
			}
			recs[brief] = h.put(store.Queue{Name: brief, Settings: []byte(`{"brief":true}`)})
			h.send(brief, 30)
			return
		}
		rec := recs[h.one(work, side, dead)]
		rec.Paused = h.chance(2)
		rec.Retention = time.Duration(h.rand.IntN(1000)) * 24 * time.Hour // zero, once in a while: for ever
		rec.Settings = fmt.Appendf(nil, `{"n":%d}`, h.rand.Int())
		recs[rec.Name] = h.put(rec)
		h.send(side, 1)
	}
}

func (h *hand) put(rec store.Queue) store.Queue {
	done := h.j.begin(entry{What: callPut, Queue: rec.Name, Record: rec})
	kept, err := h.s.PutQueue(background, rec)
	h.must(err, "PutQueue")
	done(entry{Record: kept})
	return kept
}

func (h *hand) drop(queue string) {
	done := h.j.begin(entry{What: callDrop, Queue: queue})
	h.must(h.s.DeleteQueue(background, queue), "DeleteQueue")
	done(entry{})
}
