package inproq

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// EventKind says what an Event tells.
type EventKind string

// What happens to messages. Queue, Message and Attempts are set where one message is
// meant.
const (
	EventSent         EventKind = "sent"          // accepted, in a transaction by that; Delay: until its first delivery
	EventDelivered    EventKind = "delivered"     // handed to a handler or a pull
	EventAcked        EventKind = "acked"         // acknowledged
	EventRetried      EventKind = "retried"       // to be delivered again after Delay; Err: why, if known
	EventDeadLettered EventKind = "dead_lettered" // moved to the queue To; Err: why
	EventDropped      EventKind = "dropped"       // deleted, with no attempt and no dead-letter queue left; Err: why
	EventRedriven     EventKind = "redriven"      // moved back to the queue To by Redrive
	EventLeaseLost    EventKind = "lease_lost"    // settled too late: it is delivered again, or gone
	EventExpired      EventKind = "expired"       // Count messages past their retention
	EventPurged       EventKind = "purged"        // Count messages, by Purge or PurgeMessages
)

// What happens to consumers.
const (
	EventFailed      EventKind = "failed"       // an invocation with Count messages; Err: why
	EventStuck       EventKind = "stuck"        // a handler with Count messages has outlived its time and does not return
	EventCallIgnored EventKind = "call_ignored" // an Ack or Retry had no effect; Err: why
	EventScaled      EventKind = "scaled"       // the number of handlers that may run; After: the ScaleDecision as JSON
	EventWarning     EventKind = "warning"      // what Lint has found when the broker began to run; Err: what
)

// EventStoreFailed says that the store accepts no writes any more, until it is opened anew;
// Err: why. What it has confirmed is not lost. It comes once, from a store that implements
// store.Reporter.
const EventStoreFailed EventKind = "store_failed"

// Changes of configuration, under the names of Cloudflare's audit log. Before and After
// hold a QueueInfo or ConsumerInfo as JSON, empty where there was or is none. A change
// that another process made on the same store is told when this broker learns of it.
const (
	EventCreateQueue    EventKind = "CreateQueue"
	EventUpdateQueue    EventKind = "UpdateQueue"
	EventDeleteQueue    EventKind = "DeleteQueue"
	EventAttachConsumer EventKind = "AttachConsumer"
	EventUpdateConsumer EventKind = "UpdateConsumerSettings"
	EventRemoveConsumer EventKind = "RemoveConsumer"
)

// EventLost says that Count events came faster than they were read, and are lost.
const EventLost EventKind = "lost"

// Event is one thing that has happened.
type Event struct {
	Kind     EventKind
	Time     time.Time
	Queue    string
	Message  MessageID     // zero: it concerns no single message
	Attempts int           // deliveries of the message so far
	Delay    time.Duration // of a send or a retry
	To       string        // where the message was moved to
	Count    int64         // of messages or events, where there are several
	Err      error         // why
	Before   json.RawMessage
	After    json.RawMessage
}

// The kinds as bits.
const (
	bitSent uint64 = 1 << iota
	bitDelivered
	bitAcked
	bitRetried
	bitDeadLettered
	bitDropped
	bitRedriven
	bitLeaseLost
	bitExpired
	bitPurged
	bitFailed
	bitStuck
	bitCallIgnored
	bitScaled
	bitWarning
	bitCreateQueue
	bitUpdateQueue
	bitDeleteQueue
	bitAttachConsumer
	bitUpdateConsumer
	bitRemoveConsumer
	bitStoreFailed

	allKinds = 1<<iota - 1
	// Those that arise where batches are delivered and settled.
	consumingKinds = bitDelivered | bitAcked | bitRetried | bitDeadLettered | bitDropped | bitLeaseLost | bitExpired |
		bitFailed | bitStuck | bitCallIgnored | bitScaled
	auditKinds = bitCreateQueue | bitUpdateQueue | bitDeleteQueue | bitAttachConsumer | bitUpdateConsumer | bitRemoveConsumer
)

// bit is the kind's; zero: unknown, or EventLost, which comes unasked.
func (k EventKind) bit() uint64 {
	switch k {
	case EventSent:
		return bitSent
	case EventDelivered:
		return bitDelivered
	case EventAcked:
		return bitAcked
	case EventRetried:
		return bitRetried
	case EventDeadLettered:
		return bitDeadLettered
	case EventDropped:
		return bitDropped
	case EventRedriven:
		return bitRedriven
	case EventLeaseLost:
		return bitLeaseLost
	case EventExpired:
		return bitExpired
	case EventPurged:
		return bitPurged
	case EventFailed:
		return bitFailed
	case EventStuck:
		return bitStuck
	case EventCallIgnored:
		return bitCallIgnored
	case EventScaled:
		return bitScaled
	case EventWarning:
		return bitWarning
	case EventCreateQueue:
		return bitCreateQueue
	case EventUpdateQueue:
		return bitUpdateQueue
	case EventDeleteQueue:
		return bitDeleteQueue
	case EventAttachConsumer:
		return bitAttachConsumer
	case EventUpdateConsumer:
		return bitUpdateConsumer
	case EventRemoveConsumer:
		return bitRemoveConsumer
	case EventStoreFailed:
		return bitStoreFailed
	}
	return 0
}

// Events tells what happens in this process, from the call on: all kinds, or those
// given. It ends with ctx, or when the broker is shut down, after what has happened
// until then. The iterator can be used once; one that is not used takes memory until ctx
// ends.
//
//	for e := range broker.Events(ctx, inproq.EventDeadLettered) {
//		alert(e.Queue, e.Message, e.Err)
//	}
//
// A reader may be 4,096 events behind those that it has fetched. What comes beyond that
// is lost, for this reader, and it gets one EventLost with the number in its place.
// Events of one message come in their order, except that what lets it be delivered (a
// send, a retry, a move to another queue) is told when the store has it: a delivery that
// follows at once, in another goroutine, may be told before. Their Times are in order.
// Messages that expire are told of when the broker hears of them: after a batch of their
// queue, and when somebody asks for its Stats, Metrics or Backlog.
//
// While nobody reads, events cost one atomic load for each send and each batch.
func (b *Broker) Events(ctx context.Context, kinds ...EventKind) iter.Seq[Event] {
	wanted := uint64(allKinds)
	if len(kinds) > 0 {
		wanted = 0
		for _, k := range kinds {
			if wanted |= k.bit(); k.bit() == 0 && k != EventLost {
				b.log.Warn("unknown kind of event: it is never told", "kind", string(k))
			}
		}
	}
	r := b.events.subscribe(wanted)
	stop := context.AfterFunc(ctx, func() { b.events.unsubscribe(r) })
	return func(yield func(Event) bool) {
		defer b.events.unsubscribe(r)
		defer stop()
		var buf []Event
		for {
			events, lost, ok := r.take(ctx, buf)
			if !ok {
				return
			}
			for i := range events {
				if ctx.Err() != nil || !yield(events[i]) {
					return
				}
			}
			if lost > 0 && !yield(Event{Kind: EventLost, Time: time.Now(), Count: lost}) {
				return
			}
			clear(events)
			buf = events
		}
	}
}
