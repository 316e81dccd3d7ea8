package inproq

import (
	"encoding/json"
	"maps"
	"time"

	"github.com/inproq/inproq/store"
)

// audit tells of a change of a queue's record: from what the broker knew, which is
// nil if that was nothing, to what it has learned.
func (b *Broker) audit(old, after *record) {
	if !b.events.wants(auditKinds) {
		return
	}
	if old == nil {
		old = &record{Queue: store.Queue{Deleted: true}}
	}
	if old.malformed {
		return // who learned of it has said so
	}
	name := after.Name
	tell := func(kind EventKind, before, after json.RawMessage) {
		if b.events.wants(kind.bit()) {
			b.events.tell(&note{Event: Event{Kind: kind, Time: time.Now(), Queue: name, Before: before, After: after}})
		}
	}
	switch {
	case after.Deleted:
		if !old.Deleted {
			tell(EventDeleteQueue, old.queueJSON(), nil)
		}
		return
	case old.Deleted || old.ID != after.ID:
		if !old.Deleted {
			tell(EventDeleteQueue, old.queueJSON(), nil) // its tombstone was not seen: the name was taken anew first
		}
		tell(EventCreateQueue, nil, after.queueJSON())
		old = new(record)
	case !old.sameQueue(after):
		tell(EventUpdateQueue, old.queueJSON(), after.queueJSON())
	}
	was, is := old.Consumer, after.Consumer
	if was != nil && (is == nil || was.ID != is.ID) {
		tell(EventRemoveConsumer, old.consumerJSON(), nil)
		was = nil
	}
	switch {
	case is == nil:
	case was == nil:
		tell(EventAttachConsumer, nil, after.consumerJSON())
	case was.Settings != is.Settings:
		tell(EventUpdateConsumer, old.consumerJSON(), after.consumerJSON())
	}
}

// sameQueue reports whether two records differ in nothing but their consumers, and
// what only the broker needs to know.
func (r *record) sameQueue(other *record) bool {
	a, b := r.info(), other.info()
	return a.Settings == b.Settings && a.DeliveryPaused == b.DeliveryPaused && maps.Equal(a.Annotations, b.Annotations)
}

// queueJSON is the QueueInfo as JSON, without the consumer, which has events of its
// own.
func (r *record) queueJSON() json.RawMessage {
	info := r.info()
	info.Consumer = nil
	return mustJSON(info)
}

func (r *record) consumerJSON() json.RawMessage { return mustJSON(r.consumerInfo()) }
