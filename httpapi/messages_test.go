package httpapi

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

type pulled struct {
	Backlog  int64 `json:"message_backlog_count"`
	Messages []wireMessage
	Metadata struct{ Metrics wireMetrics }
}

// take pulls, and acknowledges what came.
func (c *caller) take(path string) []wireMessage {
	c.t.Helper()
	var p pulled
	c.do("POST", path+"/messages/pull", `{"batch_size":100}`).ok(&p)
	for _, m := range p.Messages {
		c.do("POST", path+"/messages/ack", fmt.Sprintf(`{"acks":[{"lease_id":%q}]}`, m.LeaseID)).ok(nil)
	}
	return p.Messages
}

func TestBodiesOfMessages(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.pulled("orders", `{}`)
	for _, x := range []struct{ body, stored, ct string }{
		{`{"body":{"a": 1}}`, `{"a":1}`, "json"},
		{`{"body":{"a":1},"content_type":"json","delay_seconds":0}`, `{"a":1}`, "json"},
		{`{"body":"{\"a\":1}"}`, `"{\"a\":1}"`, "json"},
		{`{"body":null}`, `null`, "json"},
		{`{"body":[ ]}`, `[]`, "json"},
		{`{"body":1.50}`, `1.50`, "json"},
		{`{"body":"","content_type":"text"}`, ``, "text"},
		{`{"body":"h\u00e9llo\n","content_type":"text"}`, "héllo\n", "text"},
		{`{"body":"x","content_type":"TEXT","delay_seconds":null}`, `x`, "text"},
		{`{"body":"x","content_type":null}`, `"x"`, "json"},
	} {
		c.do("POST", path+"/messages", x.body).ok(nil)
		got := c.take(path)
		require.Len(t, got, 1, x.body)
		body := got[0].Body
		if x.ct != "text" {
			raw, err := base64.StdEncoding.DecodeString(body)
			require.NoError(t, err)
			body = string(raw)
		}
		assert.Equal(t, x.stored, body, x.body)
		assert.Equal(t, x.ct, got[0].Metadata["CF-Content-Type"])
		assert.True(t, isID(got[0].ID.String()))
		assert.Equal(t, 1, got[0].Attempts)
	}
}

func TestMetricsOfASend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := call(t, inproq.Config{})
		path := c.queue("orders")
		assert.JSONEq(t, `{"metadata":{"metrics":{"backlog_count":0,"backlog_bytes":0,"oldest_message_timestamp_ms":0}}}`,
			string(c.do("POST", path+"/messages", `{"body":"x","content_type":"text"}`).ok(nil).Result))
		assert.JSONEq(t, fmt.Sprintf(`{"metadata":{"metrics":{"backlog_count":1,"backlog_bytes":1,"oldest_message_timestamp_ms":%d}}}`, time.Now().UnixMilli()),
			string(c.do("POST", path+"/messages/batch", `{"messages":[{"body":1},{"body":2}]}`).ok(nil).Result))
	})
}

func TestDelaysOfMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := call(t, inproq.Config{})
		path := c.pulled("orders", `{}`)
		c.do("PATCH", path, `{"settings":{"delivery_delay":10}}`).ok(nil)
		c.do("POST", path+"/messages", `{"body":"queue's","content_type":"text"}`).ok(nil)
		c.do("POST", path+"/messages", `{"body":"none","content_type":"text","delay_seconds":0}`).ok(nil)
		c.do("POST", path+"/messages", `{"body":"own","content_type":"text","delay_seconds":20}`).ok(nil)
		c.do("POST", path+"/messages/batch", `{"delay_seconds":30,"messages":[{"body":"batch's","content_type":"text"},
			{"body":"none","content_type":"text","delay_seconds":0},{"body":"longest","content_type":"text","delay_seconds":43200}]}`).ok(nil)
		got := map[time.Duration][]string{}
		start := time.Now()
		for _, at := range []time.Duration{0, 10, 20, 30, 43_200} {
			time.Sleep(time.Until(start.Add(at * time.Second)))
			for _, m := range c.take(path) {
				got[at] = append(got[at], m.Body)
			}
		}
		assert.Equal(t, map[time.Duration][]string{0: {"none", "none"}, 10: {"queue's"}, 20: {"own"}, 30: {"batch's"}, 43_200: {"longest"}}, got)
	})
}

func TestMessagesAreRefused(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.queue("orders")
	one, many := path+"/messages", path+"/messages/batch"
	text := func(n int) string {
		return fmt.Sprintf(`{"body":%q,"content_type":"text"}`, strings.Repeat("x", n))
	}
	batch := func(n int, message string) string {
		return `{"messages":[` + strings.Repeat(message+",", n-1) + message + `]}`
	}
	c.refuses([]refused{
		{"queue", "POST", "/queues/" + unknown + "/messages", `{"body":1}`, 404, 10104, "queue not found", ""},
		{"queue", "POST", "/queues/" + unknown + "/messages/batch", `{"messages":[{"body":1}]}`, 404, 10104, "queue not found", ""},
		{"id", "POST", "/queues/a-b/messages", `{"body":1}`, 400, 10107, "id is malformed", ""},
		{"id", "POST", "/queues/a-b/messages/batch", `{}`, 400, 10107, "id is malformed", ""},
		{"empty", "POST", one, ``, 400, 10208, "empty", ""},
		{"JSON", "POST", one, `{"body":}`, 400, 10208, "not valid JSON", ""},
		{"JSON", "POST", one, `{"body":{"a":}}`, 400, 10208, "not valid JSON", "/body"},
		{"JSON", "POST", one, `{"body":01}`, 400, 10208, "not valid JSON", ""},
		{"JSON", "POST", one, `{"body":NaN}`, 400, 10208, "not valid JSON", ""},
		{"more", "POST", one, `{"body":1}]`, 400, 10208, "", ""},
		{"more", "POST", one, `{"body":1}{"body":2}`, 400, 10208, "something after", ""},
		{"shape", "POST", one, `"hello"`, 400, 10207, "should be an object", ""},
		{"no body", "POST", one, `{}`, 400, 10207, "body is required", "/body"},
		{"unknown key", "POST", one, `{"body":1,"delaySeconds":5}`, 400, 10207, `unknown key "delaySeconds"`, "/delaySeconds"},
		{"type", "POST", one, `{"body":1,"content_type":"bytes"}`, 400, 10203, `content_type is "bytes", allowed: "json", "text"`, "/content_type"},
		{"type", "POST", one, `{"body":1,"content_type":"v8"}`, 400, 10203, `"v8"`, "/content_type"},
		{"type", "POST", one, `{"body":1,"content_type":5}`, 400, 10207, "a string", "/content_type"},
		{"no text", "POST", one, `{"body":1,"content_type":"text"}`, 400, 10207, "body is a number, and should be a string", "/body"},
		{"no text", "POST", one, `{"body":null,"content_type":"text"}`, 400, 10207, "body is null, and should be a string", "/body"},
		{"delay", "POST", one, `{"body":1,"delay_seconds":43201}`, 400, 10203, "delay_seconds is 43201, allowed: 0 to 43200", "/delay_seconds"},
		{"delay", "POST", one, `{"body":1,"delay_seconds":-1}`, 400, 10203, "allowed: 0 to 43200", "/delay_seconds"},
		{"delay", "POST", one, `{"body":1,"delay_seconds":0.1}`, 400, 10203, "whole number", "/delay_seconds"},
		{"delay", "POST", one, `{"body":1,"delay_seconds":18446744073}`, 400, 10203, "allowed: 0 to 43200", "/delay_seconds"},
		{"delay", "POST", one, `{"body":1,"delay_seconds":1e999}`, 400, 10203, "out of range", "/delay_seconds"},
		{"delay", "POST", one, `{"body":1,"delay_seconds":"5"}`, 400, 10207, "a string, and should be a number", "/delay_seconds"},
		{"size", "POST", one, text(128_001), 413, 10204, "128001 bytes, the limit is 128000", ""},
		{"size", "POST", one, `{"body":"` + strings.Repeat("x", 127_999) + `"}`, 413, 10204, "128001 bytes, the limit is 128000", ""},
		{"no messages", "POST", many, `{}`, 400, 10207, "messages is required", "/messages"},
		{"empty", "POST", many, ``, 400, 10208, "empty", ""},
		{"none", "POST", many, `{"messages":[]}`, 400, 10206, "at least one message", ""},
		{"101", "POST", many, batch(101, `{"body":1}`), 400, 10206, "more than 100", "/messages"},
		{"bytes", "POST", many, batch(3, text(90_000)), 413, 10205, "270000 bytes, the limit is 256000", ""},
		{"one too large", "POST", many, batch(1, text(128_001)), 413, 10204, "the limit is 128000 (message 0)", ""},
		{"batch's delay", "POST", many, `{"messages":[{"body":1}],"delay_seconds":43201}`, 400, 10202, "allowed: 0 to 43200", "/delay_seconds"},
		{"delay", "POST", many, `{"messages":[{"body":1},{"body":2,"delay_seconds":43201}]}`, 400, 10203, "allowed: 0 to 43200", "/messages/1/delay_seconds"},
		{"type", "POST", many, `{"messages":[{"body":1},{"body":2,"content_type":"x"}]}`, 400, 10203, `"x"`, "/messages/1/content_type"},
		{"no body", "POST", many, `{"messages":[{"body":1},{}]}`, 400, 10207, "body is required", "/messages/1/body"},
		{"shape", "POST", many, `{"messages":[1]}`, 400, 10207, "should be an object", "/messages/0"},
		{"shape", "POST", many, `{"messages":{}}`, 400, 10207, "messages is an object, and should be an array", "/messages"},
		{"JSON", "POST", many, `{"messages":[{"body":1},]}`, 400, 10208, "not valid JSON", ""},
	})
	var m wireMetrics
	c.do("GET", path+"/metrics", "").ok(&m)
	assert.Equal(t, int64(0), m.BacklogCount, "what is refused sends nothing")

	// What is exactly within the limits.
	c.do("POST", one, text(128_000)).ok(nil)
	c.do("POST", one, `{"body":"`+strings.Repeat("x", 127_998)+`"}`).ok(nil)
	c.do("POST", one, `{"body":"`+strings.Repeat(`\u0000`, 128_000)+`","content_type":"text"}`).ok(nil)
	c.do("POST", many, batch(2, text(128_000))).ok(nil)
	c.do("POST", many, batch(2, `{"body":"`+strings.Repeat(`\u0000`, 128_000)+`","content_type":"text"}`)).ok(nil)
	c.do("POST", many, batch(100, `{"body":1}`)).ok(nil)
}

func TestThroughputAndStorageAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := call(t, inproq.Config{Limits: inproq.Limits{MessagesPerSecond: 1, MaxBacklogBytes: 10}})
		path := c.queue("orders")
		c.do("POST", path+"/messages", `{"body":"12345678901","content_type":"text"}`).fails(429, 10251, "storage limit exceeded")
		c.do("POST", path+"/messages", `{"body":1}`).ok(nil)
		c.do("POST", path+"/messages", `{"body":1}`).fails(429, 10250, "too many requests")
	})
}
