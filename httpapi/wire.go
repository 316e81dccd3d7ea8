package httpapi

import (
	"encoding/base64"
	"maps"
	"time"

	"github.com/inproq/inproq"
)

// The objects of the API as clients expect them. Where versions of clients disagree on a
// name, there are both.

type wireQueue struct {
	ID         string    `json:"queue_id"`
	Name       string    `json:"queue_name"`
	CreatedOn  time.Time `json:"created_on"`
	ModifiedOn time.Time `json:"modified_on"`
	// Without the two counts "wrangler queues list" crashes.
	Producers      []struct{}        `json:"producers"` // whoever has the broker; nobody keeps a list
	ProducersTotal int               `json:"producers_total_count"`
	Consumers      []wireConsumer    `json:"consumers"`
	ConsumersTotal int               `json:"consumers_total_count"`
	Settings       wireQueueSettings `json:"settings"`
}

type wireQueueSettings struct {
	DeliveryDelay          int64 `json:"delivery_delay"` // seconds
	DeliveryPaused         bool  `json:"delivery_paused"`
	MessageRetentionPeriod int64 `json:"message_retention_period"` // seconds
}

// wireConsumer has the fields that wrangler reads (script) and those that the SDK does
// (script_name). Not "service": wrangler would ask the Workers API about it.
type wireConsumer struct {
	ID              string              `json:"consumer_id"`
	Type            inproq.ConsumerKind `json:"type"`
	CreatedOn       time.Time           `json:"created_on"`
	QueueID         string              `json:"queue_id"`
	QueueName       string              `json:"queue_name"`
	Script          string              `json:"script,omitempty"`
	ScriptName      string              `json:"script_name,omitempty"`
	DeadLetterQueue string              `json:"dead_letter_queue"` // "": none
	Settings        any                 `json:"settings"`
}

type wireWorkerSettings struct {
	BatchSize      int   `json:"batch_size"`
	MaxRetries     int   `json:"max_retries"`
	MaxWaitTimeMS  int64 `json:"max_wait_time_ms"`
	MaxConcurrency *int  `json:"max_concurrency"` // null: as the load wants
	RetryDelay     int64 `json:"retry_delay"`     // seconds
}

type wirePullSettings struct {
	BatchSize           int   `json:"batch_size"`
	MaxRetries          int   `json:"max_retries"`
	VisibilityTimeoutMS int64 `json:"visibility_timeout_ms"`
	RetryDelay          int64 `json:"retry_delay"` // seconds
}

type wireMetrics struct {
	BacklogCount             int64 `json:"backlog_count"`
	BacklogBytes             int64 `json:"backlog_bytes"`
	OldestMessageTimestampMS int64 `json:"oldest_message_timestamp_ms"` // 0: none, or unknown
}

// withMetrics is the result of a send.
type withMetrics struct {
	Metadata wireMetadata `json:"metadata"`
}

type wireMetadata struct {
	Metrics wireMetrics `json:"metrics"`
}

// wireMessage is a message that was pulled or peeked at.
type wireMessage struct {
	ID          inproq.MessageID  `json:"id"`
	Body        string            `json:"body"`
	TimestampMS int64             `json:"timestamp_ms"`
	Attempts    int               `json:"attempts"`
	LeaseID     string            `json:"lease_id,omitempty"`
	Ref         string            `json:"ref,omitempty"`
	Metadata    map[string]string `json:"metadata"`
}

func queueOnWire(q *inproq.QueueInfo) wireQueue {
	w := wireQueue{
		ID: q.ID, Name: q.Name, CreatedOn: onWire(q.CreatedAt), ModifiedOn: onWire(q.ModifiedAt),
		Producers: []struct{}{}, Consumers: []wireConsumer{},
		Settings: wireQueueSettings{
			DeliveryDelay:          seconds(q.Settings.DeliveryDelay),
			DeliveryPaused:         q.DeliveryPaused,
			MessageRetentionPeriod: seconds(q.Settings.MessageRetentionPeriod),
		},
	}
	if q.Consumer != nil {
		w.Consumers = append(w.Consumers, consumerOnWire(q.ID, q.Consumer))
	}
	w.ConsumersTotal = len(w.Consumers)
	return w
}

func consumerOnWire(queueID string, c *inproq.ConsumerInfo) wireConsumer {
	s := &c.Settings
	w := wireConsumer{
		ID: c.ID, Type: c.Kind, CreatedOn: onWire(c.CreatedAt), QueueID: queueID, QueueName: c.Queue,
		Script: c.Script, ScriptName: c.Script, DeadLetterQueue: s.DeadLetterQueue,
	}
	if c.Kind == inproq.HTTPPull {
		w.Settings = wirePullSettings{s.MaxBatchSize, max(s.MaxRetries, 0), millis(s.VisibilityTimeout), seconds(s.RetryDelay)}
		return w
	}
	settings := wireWorkerSettings{s.MaxBatchSize, max(s.MaxRetries, 0), millis(s.MaxBatchTimeout), nil, seconds(s.RetryDelay)}
	if s.MaxConcurrency > 0 {
		settings.MaxConcurrency = &s.MaxConcurrency
	}
	w.Settings = settings
	return w
}

func metricsOnWire(m inproq.Metrics) wireMetrics {
	w := wireMetrics{BacklogCount: m.BacklogCount, BacklogBytes: m.BacklogBytes}
	if !m.OldestMessageTimestamp.IsZero() {
		w.OldestMessageTimestampMS = m.OldestMessageTimestamp.UnixMilli()
	}
	return w
}

// bodyOnWire is a stored body as pull consumers get it: text plainly, everything else in
// base64, JSON too.
func bodyOnWire(body []byte, ct inproq.ContentType) string {
	if ct == inproq.Text {
		return string(body)
	}
	return base64.StdEncoding.EncodeToString(body)
}

// metadataOnWire is what goes with a body: its headers, and Cloudflare's own keys.
func metadataOnWire(headers map[string]string, ct inproq.ContentType) map[string]string {
	m := make(map[string]string, len(headers)+2)
	maps.Copy(m, headers)
	m["CF-Content-Type"] = string(ct)
	m["CF-sourceMessageSource"] = "inproq"
	return m
}

// onWire is a time as exact as Cloudflare tells it.
func onWire(t time.Time) time.Time { return t.Truncate(time.Microsecond) }

// seconds rounds up, so that only what is none is shown as none. NoDelay is 0.
func seconds(d time.Duration) int64 { return ceil(max(d, 0), time.Second) }

func millis(d time.Duration) int64 { return ceil(max(d, 0), time.Millisecond) }
