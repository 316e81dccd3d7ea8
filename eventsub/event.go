package eventsub

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Event is something that has happened.
type Event struct {
	Source  Source
	Name    string    // without the source's type, such as "bucket.created"
	Payload any       // encoded as JSON, into an object; nil: {}
	Time    time.Time // when it happened; zero: now
}

// Type is what messages call the event: cf.<source>.<event>.
func (e *Event) Type() string { return typeOf(e.Source.Type, e.Name) }

func typeOf(source, event string) string { return "cf." + source + "." + event }

// Message is an event as a queue has it, in Cloudflare's common schema.
type Message struct {
	Type     string            `json:"type"`
	Source   map[string]string `json:"source"` // its type, and the arguments, such as workerName
	Payload  json.RawMessage   `json:"payload"`
	Metadata Metadata          `json:"metadata"`
}

// Metadata says of a Message where it comes from.
type Metadata struct {
	AccountID           string    `json:"accountId"`
	EventSubscriptionID string    `json:"eventSubscriptionId"`
	EventSchemaVersion  int       `json:"eventSchemaVersion"`
	EventTimestamp      Timestamp `json:"eventTimestamp"`
}

// schemaVersion is that of the common schema.
const schemaVersion = 1

// Timestamp is a time that is ISO 8601 with milliseconds as JSON, in UTC.
type Timestamp struct{ time.Time }

// MarshalJSON encodes it.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"2006-01-02T15:04:05.000Z"`)), nil
}

// payloadOf encodes a payload, which has to be an object.
func payloadOf(payload any) (json.RawMessage, error) {
	if payload == nil {
		return json.RawMessage("{}"), nil
	}
	raw, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: payload: %w", ErrInvalid, err)
	}
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, fmt.Errorf("%w: the payload is no object as JSON", ErrInvalid)
	}
	return raw, nil
}
