package inproq

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/inproq/inproq/internal/dispatch"
	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/internal/testhook"
	"github.com/inproq/inproq/store"
)

// Watched reports what anybody wants to know of delivered messages.
func (ep *endpoint) Watched() (kinds dispatch.Kinds) {
	wanted := ep.broker.events.wanted.Load()
	if wanted&consumingKinds == 0 {
		return 0
	}
	for k, event := range eventKinds {
		if wanted&event.bit() != 0 {
			kinds = kinds.With(dispatch.Kind(k))
		}
	}
	return kinds
}

// eventKinds are the events that happenings become.
var eventKinds = [...]EventKind{
	dispatch.Delivered:    EventDelivered,
	dispatch.Acked:        EventAcked,
	dispatch.Retried:      EventRetried,
	dispatch.DeadLettered: EventDeadLettered,
	dispatch.Dropped:      EventDropped,
	dispatch.LeaseLost:    EventLeaseLost,
	dispatch.CallIgnored:  EventCallIgnored,
	dispatch.Failed:       EventFailed,
	dispatch.Stuck:        EventStuck,
	dispatch.Scaled:       EventScaled,
	dispatch.Counted:      EventExpired,
}

// Observe makes an event of what has happened in dispatch.
func (ep *endpoint) Observe(h dispatch.Happening) {
	switch h.Kind {
	case dispatch.Counted:
		ep.noteExpired(h.Count, h.Size)
		return
	case dispatch.Overdue:
		ep.warnOverdue()
		return
	}
	if h.At.IsZero() {
		h.At = time.Now()
	}
	n := note{Event: Event{
		Kind: eventKinds[h.Kind], Time: h.At, Queue: ep.name, Delay: h.Delay, To: h.To, Count: h.Count, Err: h.Err,
	}, implicit: h.Implicit}
	if d := h.Delivery; d != nil {
		n.Message, n.Attempts = MessageID(d.ID), d.Attempts
		if h.Kind != dispatch.CallIgnored && d.ContentType != "" { // of a lease that was named alone only the ID is known
			n.message = &d.Message
		}
	}
	switch h.Kind {
	case dispatch.CallIgnored:
		n.Err = ignoredCall(h.Call, h.Effect)
	case dispatch.Scaled:
		n.Time, n.After = h.Scale.Time, mustJSON(ScaleDecision(h.Scale))
	}
	ep.broker.events.tell(&n)
}

// The reasons for EventCallIgnored, by the call's effect.
var (
	errCalledTwice   = errors.New("inproq: the message was acknowledged already")
	errCalledAgainst = errors.New("inproq: an earlier call has decided otherwise")
	errCalledLate    = errors.New("inproq: the batch was settled already")
)

func ignoredCall(call string, effect settlement.Effect) error {
	why := errCalledLate
	switch effect {
	case settlement.Redundant:
		why = errCalledTwice
	case settlement.Ignored:
		why = errCalledAgainst
	}
	return fmt.Errorf("%w: call of %s", why, call)
}

// mustJSON encodes what cannot fail to be encoded.
func mustJSON(v any) json.RawMessage {
	b, _ := json.Marshal(v)
	return b
}

// noteSent tells of a message that was accepted at a time in nanoseconds since 1970.
func (ep *endpoint) noteSent(m *store.Message, now int64) {
	ep.broker.events.tell(&note{Event: Event{
		Kind: EventSent, Time: time.Unix(0, now), Queue: ep.name, Message: MessageID(m.ID), Delay: m.Delay,
	}, message: m})
}

// noteExpired keeps how many messages the store says that retention has deleted, and
// tells of those that are new.
func (ep *endpoint) noteExpired(count, bytes int64) {
	news := ep.expiry.note(count, bytes)
	if c := ep.consumed.Load(); news > 0 && c != nil {
		c.Minutes.Add(&dispatch.Activity{Now: time.Now(), Way: ep.way(), Lapsed: uint64(news)})
	}
	if news > 0 && ep.broker.events.wants(bitExpired) {
		ep.broker.events.tell(&note{Event: Event{Kind: EventExpired, Time: time.Now(), Queue: ep.name, Count: news}})
	}
}

// notePurged tells of messages that an operator has deleted.
func (b *Broker) notePurged(name string, count int64) {
	if count > 0 && b.events.wants(bitPurged) {
		b.events.tell(&note{Event: Event{Kind: EventPurged, Time: time.Now(), Queue: name, Count: count}})
	}
}

func init() {
	testhook.Tap = func(broker any, f func(event any, message *store.Message, implicit bool)) (stop func()) {
		return broker.(*Broker).events.tapInto(func(n *note) { f(n.Event, n.message, n.implicit) })
	}
}
