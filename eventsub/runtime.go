package eventsub

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/inproq/inproq"
)

// The sources of what Run publishes.
const (
	sourceQueues = "queues"
	sourceQueue  = "queues.queue"
)

// argQueue is the argument of sourceQueue.
const argQueue = "queue_name"

// The events that Run publishes, of the source "queues.queue"; for "queues" they begin
// with "queue.".
const (
	EventQueueCreated     = "created"
	EventQueueUpdated     = "updated" // its settings; payload.previous has those from before
	EventQueueDeleted     = "deleted"
	EventConsumerAttached = "consumer.attached"
	EventConsumerUpdated  = "consumer.updated"
	EventConsumerRemoved  = "consumer.removed"
	EventDeadLettered     = "message.deadLettered" // a message of the queue was moved to its dead-letter queue
)

// QueuePayload is that of events of queues and their consumers.
type QueuePayload struct {
	// EventID is the same for a change in every process that publishes it.
	EventID   string           `json:"eventId"`
	QueueID   string           `json:"queueId,omitempty"` // not with consumers
	QueueName string           `json:"queueName"`
	Settings  *QueueSettings   `json:"settings,omitempty"`
	Previous  *QueueSettings   `json:"previous,omitempty"`
	Consumer  *ConsumerPayload `json:"consumer,omitempty"`
}

// QueueSettings are those of a queue, in the units of the REST API.
type QueueSettings struct {
	DeliveryDelay          int64 `json:"deliveryDelay"` // seconds
	DeliveryPaused         bool  `json:"deliveryPaused"`
	MessageRetentionPeriod int64 `json:"messageRetentionPeriod"` // seconds
}

// ConsumerPayload describes a consumer, in the units of the REST API.
type ConsumerPayload struct {
	ID                  string `json:"consumerId"`
	Type                string `json:"type"` // "worker" or "http_pull"
	ScriptName          string `json:"scriptName,omitempty"`
	BatchSize           int    `json:"batchSize"`
	MaxRetries          int    `json:"maxRetries"`
	RetryDelay          int64  `json:"retryDelay"` // seconds
	MaxWaitTimeMs       int64  `json:"maxWaitTimeMs,omitempty"`
	MaxConcurrency      int    `json:"maxConcurrency,omitempty"` // 0: as the load wants
	VisibilityTimeoutMs int64  `json:"visibilityTimeoutMs,omitempty"`
	DeadLetterQueue     string `json:"deadLetterQueue,omitempty"`
}

// DeadLetterPayload is that of EventDeadLettered.
type DeadLetterPayload struct {
	QueueName       string `json:"queueName"`
	MessageID       string `json:"messageId"`
	Attempts        int    `json:"attempts"`
	DeadLetterQueue string `json:"deadLetterQueue"`
	Error           string `json:"error,omitempty"` // up to 1,000 bytes
}

// maxError bounds the bytes of an error in a payload.
const maxError = 1000

// Run publishes what happens to the broker's queues, from the call on until ctx ends or
// the broker is shut down: changes of queues and of consumers, and dead letters. It
// returns nil; an event that a queue does not accept is logged, and lost.
//
// Dead letters are those of handlers and pulls in this process. Of changes a process that
// shares its store hears too when another makes them, so one of them should run this: or
// consumers, by payload.eventId, leave out what they have had. An update is one of what
// the payload has, so annotations, and with them subscriptions, are none. What happens
// while the broker shuts down may find it closed.
//
// A subscription is not told of dead letters of its own queue, of the dead-letter queues
// behind that, however many, and of queues whose subscriptions lead there: a message that
// tells of a death and dies itself would make the next one, for ever. This goes by queues,
// so it also hides what else dies there. Other subscriptions are told.
//
// Without a call of Run these events do not exist: a subscription to the source "queues"
// or "queues.queue" is created all the same, and gets nothing.
//
// A burst of more than 4,096 events loses some, with a line in the log.
func (s *Service) Run(ctx context.Context) error {
	for e := range s.broker.Events(ctx,
		inproq.EventCreateQueue, inproq.EventUpdateQueue, inproq.EventDeleteQueue,
		inproq.EventAttachConsumer, inproq.EventUpdateConsumer, inproq.EventRemoveConsumer,
		inproq.EventDeadLettered,
	) {
		if e.Kind == inproq.EventLost {
			s.log.Warn("events of queues came faster than they could be published, and are lost", "events", e.Count)
			continue
		}
		name, payload := tell(&e)
		if name == "" {
			continue
		}
		err := s.publish(ctx, Event{
			Source: Source{Type: sourceQueue, Args: map[string]string{argQueue: e.Queue}},
			Name:   name, Payload: payload, Time: e.Time,
		}, func(sub *Subscription) bool {
			return name != EventDeadLettered || !s.index.leads(sub.Queue, e.Queue)
		})
		if err != nil && ctx.Err() == nil {
			s.log.Error("event of a queue not published", "queue", e.Queue, "event", name, "err", err)
		}
	}
	return nil
}

// tell returns the event that an event of the broker's becomes, "" if none.
func tell(e *inproq.Event) (name string, payload any) {
	if e.Kind == inproq.EventDeadLettered {
		p := DeadLetterPayload{QueueName: e.Queue, MessageID: e.Message.String(), Attempts: e.Attempts, DeadLetterQueue: e.To}
		if e.Err != nil {
			p.Error = fmt.Sprint(e.Err) // which survives an Error that panics
			if len(p.Error) > maxError {
				p.Error = strings.ToValidUTF8(p.Error[:maxError], "")
			}
		}
		return EventDeadLettered, p
	}
	var q, before inproq.QueueInfo
	var c inproq.ConsumerInfo
	switch e.Kind {
	case inproq.EventCreateQueue:
		unpack(e.After, &q)
		return EventQueueCreated, queuePayload(EventQueueCreated, &q, settingsOf(&q), nil)
	case inproq.EventUpdateQueue:
		unpack(e.Before, &before)
		unpack(e.After, &q)
		was, is := settingsOf(&before), settingsOf(&q)
		if *was == *is { // an annotation has changed, or what nobody would see
			return "", nil
		}
		return EventQueueUpdated, queuePayload(EventQueueUpdated, &q, is, was)
	case inproq.EventDeleteQueue:
		unpack(e.Before, &q)
		return EventQueueDeleted, queuePayload(EventQueueDeleted, &q, nil, nil)
	case inproq.EventAttachConsumer:
		unpack(e.After, &c)
		return EventConsumerAttached, consumerPayload(EventConsumerAttached, &c)
	case inproq.EventUpdateConsumer:
		unpack(e.After, &c)
		return EventConsumerUpdated, consumerPayload(EventConsumerUpdated, &c)
	case inproq.EventRemoveConsumer:
		unpack(e.Before, &c)
		return EventConsumerRemoved, consumerPayload(EventConsumerRemoved, &c)
	}
	return "", nil
}

// unpack decodes what the broker has encoded.
func unpack(raw json.RawMessage, v any) { _ = json.Unmarshal(raw, v) }

func queuePayload(event string, q *inproq.QueueInfo, now, before *QueueSettings) QueuePayload {
	return QueuePayload{
		EventID: fmt.Sprintf("%s-%s-%d", q.ID, event, q.Revision), QueueID: q.ID, QueueName: q.Name,
		Settings: now, Previous: before,
	}
}

func settingsOf(q *inproq.QueueInfo) *QueueSettings {
	return &QueueSettings{
		DeliveryDelay: seconds(q.Settings.DeliveryDelay), DeliveryPaused: q.DeliveryPaused,
		MessageRetentionPeriod: seconds(q.Settings.MessageRetentionPeriod),
	}
}

func consumerPayload(event string, c *inproq.ConsumerInfo) QueuePayload {
	set := &c.Settings
	p := QueuePayload{QueueName: c.Queue, Consumer: &ConsumerPayload{
		ID: c.ID, Type: string(c.Kind), ScriptName: c.Script, BatchSize: set.MaxBatchSize, MaxRetries: max(set.MaxRetries, 0),
		RetryDelay: seconds(set.RetryDelay), MaxWaitTimeMs: max(set.MaxBatchTimeout, 0).Milliseconds(),
		MaxConcurrency: set.MaxConcurrency, VisibilityTimeoutMs: set.VisibilityTimeout.Milliseconds(),
		DeadLetterQueue: set.DeadLetterQueue,
	}}
	// A consumer has no revision: what it is now tells one change from another, but for
	// one back and forth.
	raw, _ := json.Marshal(p.Consumer)
	p.EventID = fmt.Sprintf("%s-%s-%s", c.ID, event, digest(raw))
	return p
}

// seconds rounds up, as the REST API does; the named constants for zero are zero.
func seconds(d time.Duration) int64 { return int64((max(d, 0) + time.Second - 1) / time.Second) }
