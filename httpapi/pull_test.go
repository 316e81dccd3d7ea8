package httpapi

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

func TestPullAndAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := call(t, inproq.Config{})
		path := c.pulled("orders", `{"batch_size":2}`)
		pull, ack := path+"/messages/pull", path+"/messages/ack"
		empty := `{"message_backlog_count":0,"messages":[],"metadata":{"metrics":{"backlog_count":0,"backlog_bytes":0,"oldest_message_timestamp_ms":0}}}`
		assert.JSONEq(t, empty, string(c.do("POST", pull, "").ok(nil).Result))
		assert.JSONEq(t, empty, string(c.do("POST", pull, "{}").ok(nil).Result))
		sent := time.Now()
		for i := range 4 {
			c.do("POST", path+"/messages", fmt.Sprintf(`{"body":"m%d","content_type":"text"}`, i)).ok(nil)
		}
		time.Sleep(time.Second)

		var first, second pulled
		c.do("POST", pull, "").ok(&first)
		c.do("POST", pull, `{"batch_size":1,"visibility_timeout_ms":1000}`).ok(&second)
		require.Len(t, first.Messages, 2)
		require.Len(t, second.Messages, 1)
		assert.Equal(t, []string{"m0", "m1", "m2"}, []string{first.Messages[0].Body, first.Messages[1].Body, second.Messages[0].Body})
		assert.Equal(t, sent.UnixMilli(), first.Messages[0].TimestampMS)
		assert.Equal(t, wireMetrics{4, 8, sent.UnixMilli()}, first.Metadata.Metrics, "what is not acknowledged")
		assert.Equal(t, int64(4), first.Backlog)
		var m wireMetrics
		c.do("GET", path+"/metrics", "").ok(&m)
		assert.Equal(t, m, first.Metadata.Metrics)

		// The second comes again when its visibility ends, those of the first later.
		time.Sleep(time.Second)
		var again pulled
		c.do("POST", pull, `{"batch_size":100,"visibility_timeout":60000}`).ok(&again)
		bodies := map[string]int{}
		for _, m := range again.Messages {
			bodies[m.Body] = m.Attempts
		}
		assert.Equal(t, map[string]int{"m2": 2, "m3": 1}, bodies)

		// One acknowledged, one retried, one lost, one unknown.
		body := fmt.Sprintf(`{"acks":[{"lease_id":%q},{"lease_id":%q},{"lease_id":"nonsense"}],"retries":[{"lease_id":%q,"delay_seconds":10}]}`,
			first.Messages[0].LeaseID, second.Messages[0].LeaseID, first.Messages[1].LeaseID)
		var res wireAck
		c.do("POST", ack, body).ok(&res)
		assert.Equal(t, 1, res.AckCount)
		assert.Equal(t, 1, res.RetryCount)
		assert.Len(t, res.Warnings, 2)
		assert.Contains(t, res.Warnings[second.Messages[0].LeaseID], "lost")
		assert.Contains(t, res.Warnings["nonsense"], "not a lease id")

		assert.Empty(t, c.take(path))
		time.Sleep(10 * time.Second)
		back := c.take(path)
		require.Len(t, back, 1)
		assert.Equal(t, "m1", back[0].Body)
		assert.Equal(t, 2, back[0].Attempts)

		// A retry without a delay is back at once.
		for _, m := range again.Messages {
			c.do("POST", ack, fmt.Sprintf(`{"retries":[{"lease_id":%q}]}`, m.LeaseID)).ok(&res)
			assert.Equal(t, 1, res.RetryCount)
		}
		assert.Len(t, c.take(path), 2)
		assert.JSONEq(t, `{"ackCount":0,"retryCount":0,"warnings":{}}`, string(c.do("POST", ack, `{}`).ok(nil).Result))
		c.do("GET", path+"/metrics", "").ok(&m)
		assert.Equal(t, wireMetrics{}, m)
	})
}

// The consumer's retry_delay goes for a retry that does not say; one that says 0 does.
func TestRetryDelayOfTheConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := call(t, inproq.Config{})
		path := c.pulled("orders", `{"retry_delay":60}`)
		c.do("POST", path+"/messages/batch", `{"messages":[{"body":"a","content_type":"text"},{"body":"b","content_type":"text"}]}`).ok(nil)
		var p pulled
		c.do("POST", path+"/messages/pull", "").ok(&p)
		c.do("POST", path+"/messages/ack", fmt.Sprintf(`{"retries":[{"lease_id":%q},{"lease_id":%q,"delay_seconds":0}]}`, p.Messages[0].LeaseID, p.Messages[1].LeaseID)).ok(nil)
		got := c.take(path)
		require.Len(t, got, 1)
		assert.Equal(t, "b", got[0].Body)
		time.Sleep(time.Minute)
		assert.Len(t, c.take(path), 1)
	})
}

func TestPullsAreRefused(t *testing.T) {
	c := call(t, inproq.Config{})
	path, none, worker := c.pulled("orders", `{}`), c.queue("none"), c.queue("worker")
	c.do("POST", worker+"/consumers", `{"type":"worker","script_name":"s"}`).ok(nil)
	pull, ack := path+"/messages/pull", path+"/messages/ack"
	const notPull = "messages cannot be pulled unless http_pull mode is enabled"
	c.refuses([]refused{
		{"no consumer", "POST", none + "/messages/pull", "{}", 405, 0, notPull, ""},
		{"worker", "POST", worker + "/messages/pull", "", 405, 0, notPull, ""},
		{"queue", "POST", "/queues/" + unknown + "/messages/pull", "", 404, 10104, "queue not found", ""},
		{"queue", "POST", "/queues/" + unknown + "/messages/ack", "{}", 404, 10104, "queue not found", ""},
		{"id", "POST", "/queues/%20/messages/pull", "", 400, 10107, "malformed", ""},
		{"batch", "POST", pull, `{"batch_size":0}`, 400, 10207, "batch_size is 0, allowed: 1 to 100", "/batch_size"},
		{"batch", "POST", pull, `{"batch_size":101}`, 400, 10207, "allowed: 1 to 100", "/batch_size"},
		{"batch", "POST", pull, `{"batch_size":1.5}`, 400, 10207, "whole number", "/batch_size"},
		{"visibility", "POST", pull, `{"visibility_timeout_ms":-1}`, 400, 10207, "allowed: 1 to 43200000", "/visibility_timeout_ms"},
		{"visibility", "POST", pull, `{"visibility_timeout":43200001}`, 400, 10207, "allowed: 1 to 43200000", "/visibility_timeout"},
		{"shape", "POST", pull, `[]`, 400, 10207, "should be an object", ""},
		{"JSON", "POST", pull, `{`, 400, 10208, "too early", ""},
		{"key", "POST", pull, `{"batchSize":5}`, 400, 10207, `unknown key "batchSize"`, "/batchSize"},
		{"empty", "POST", ack, ``, 400, 10208, "empty", ""},
		{"shape", "POST", ack, `{"acks":["lease"]}`, 400, 10207, "should be an object", "/acks/0"},
		{"no lease", "POST", ack, `{"acks":[{}]}`, 400, 10207, "lease_id is required", "/acks/0/lease_id"},
		{"no lease", "POST", ack, `{"retries":[{"delay_seconds":1}]}`, 400, 10207, "lease_id is required", "/retries/0/lease_id"},
		{"delay", "POST", ack, `{"retries":[{"lease_id":"a"},{"lease_id":"b","delay_seconds":43201}]}`, 400, 10203, "allowed: 0 to 43200", "/retries/1/delay_seconds"},
		{"an ack with a delay", "POST", ack, `{"acks":[{"lease_id":"a","delay_seconds":1}]}`, 400, 10207, "unknown key", "/acks/0/delay_seconds"},
		{"1001", "POST", ack, `{"acks":[` + strings.Repeat(`{"lease_id":"a"},`, 1000) + `{"lease_id":"a"}]}`, 400, 10206, "more than 1000", "/acks"},
	})
}

func TestPullFromAPausedQueue(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.pulled("orders", `{}`)
	c.do("POST", path+"/messages", `{"body":1}`).ok(nil)
	var p pulled
	c.do("POST", path+"/messages/pull", "").ok(&p)
	c.do("PATCH", path, `{"settings":{"delivery_paused":true}}`).ok(nil)
	res := c.do("POST", path+"/messages/pull", "").fails(409, 0, "queue_delivery_paused")
	assert.Equal(t, "queue_delivery_paused", res.Errors[0].Message)
	assert.Equal(t, "false", res.header.Get("x-should-retry"))
	c.do("POST", path+"/messages", `{"body":2}`).ok(nil)
	var acked wireAck
	c.do("POST", path+"/messages/ack", fmt.Sprintf(`{"acks":[{"lease_id":%q}]}`, p.Messages[0].LeaseID)).ok(&acked)
	assert.Equal(t, 1, acked.AckCount)
	c.do("PATCH", path, `{"settings":{"delivery_paused":false}}`).ok(nil)
	assert.Len(t, c.take(path), 1)
}

func TestDeadLettersOverHTTP(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.queue("orders")
	c.do("POST", path+"/consumers", `{"type":"http_pull","settings":{"max_retries":1},"dead_letter_queue":"dead"}`).ok(nil)
	dead := c.existing("dead")
	c.do("POST", dead+"/consumers", `{"type":"http_pull"}`).ok(nil)
	c.do("POST", path+"/messages", `{"body":"x","content_type":"text"}`).ok(nil)
	var p pulled
	for range 2 {
		c.do("POST", path+"/messages/pull", "").ok(&p)
		require.Len(t, p.Messages, 1)
		var res wireAck
		c.do("POST", path+"/messages/ack", fmt.Sprintf(`{"retries":[{"lease_id":%q}]}`, p.Messages[0].LeaseID)).ok(&res)
		assert.Equal(t, 1, res.RetryCount)
	}
	assert.Empty(t, c.take(path))
	got := c.take(dead)
	require.Len(t, got, 1)
	assert.Equal(t, p.Messages[0].ID, got[0].ID)
	assert.Equal(t, p.Messages[0].TimestampMS, got[0].TimestampMS)
	assert.Equal(t, "x", got[0].Body)
	assert.Equal(t, 1, got[0].Attempts)
}

// existing returns the path of a queue that somebody else created.
func (c *caller) existing(name string) string {
	c.t.Helper()
	q, err := c.broker.Queue(c.t.Context(), name)
	require.NoError(c.t, err)
	return "/queues/" + q.ID
}

// Bodies of all content types, and headers, reach pull consumers.
func TestPullOfWhatGoHasSent(t *testing.T) {
	c := call(t, inproq.Config{})
	q, err := inproq.Declare[any](t.Context(), c.broker, "orders", inproq.QueueConfig{})
	require.NoError(t, err)
	path := c.existing("orders")
	c.do("POST", path+"/consumers", `{"type":"http_pull"}`).ok(nil)
	ctx := context.Background()
	for _, send := range []struct {
		body any
		ct   inproq.ContentType
	}{{"text", inproq.Text}, {[]byte{0xff, 0}, inproq.Bytes}, {map[string]int{"a": 1}, inproq.JSON}} {
		_, err := q.Send(ctx, send.body, inproq.ContentAs(send.ct), inproq.Header("Trace", "t1"))
		require.NoError(t, err)
	}
	var got []string
	for _, m := range c.take(path) {
		assert.Equal(t, "t1", m.Metadata["Trace"])
		got = append(got, m.Metadata["CF-Content-Type"]+" "+m.Body)
	}
	assert.Equal(t, []string{"text text", "bytes /wA=", "json eyJhIjoxfQ=="}, got)
}

func TestPeekAndPurgeOfMessages(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.pulled("orders", `{}`)
	peek, purge := path+"/messages/peek", path+"/messages/purge"
	assert.JSONEq(t, `{"messages":[]}`, string(c.do("POST", peek, "").ok(nil).Result))
	for i := range 7 {
		c.do("POST", path+"/messages", fmt.Sprintf(`{"body":"m%d","content_type":"text"}`, i)).ok(nil)
	}
	var p pulled
	c.do("POST", peek, "").ok(&p)
	assert.Len(t, p.Messages, 5)
	c.do("POST", peek, `{"batch_size":100}`).ok(&p)
	require.Len(t, p.Messages, 7)
	assert.Equal(t, "m0", p.Messages[0].Body)
	assert.Equal(t, 0, p.Messages[0].Attempts)
	assert.NotEmpty(t, p.Messages[0].Ref)
	assert.Empty(t, p.Messages[0].LeaseID)

	// A reference is no lease.
	var acked wireAck
	c.do("POST", path+"/messages/ack", fmt.Sprintf(`{"acks":[{"lease_id":%q}]}`, p.Messages[0].Ref)).ok(&acked)
	assert.Equal(t, 0, acked.AckCount)
	assert.Contains(t, acked.Warnings[p.Messages[0].Ref], "not a lease id")

	var purged wirePurged
	body := fmt.Sprintf(`{"refs":[{"ref":%q},{"ref":%q},{"ref":"nonsense"}]}`, p.Messages[0].Ref, p.Messages[3].Ref)
	c.do("POST", purge, body).ok(&purged)
	assert.Empty(t, purged.Errors)
	assert.Len(t, purged.Warnings, 1)
	c.do("POST", purge, body).ok(&purged)
	assert.Len(t, purged.Warnings, 3)
	got := c.take(path)
	assert.Len(t, got, 5)
	assert.Equal(t, "m1", got[0].Body)

	c.refuses([]refused{
		{"queue", "POST", "/queues/" + unknown + "/messages/peek", "", 404, 10104, "queue not found", ""},
		{"queue", "POST", "/queues/" + unknown + "/messages/purge", `{"refs":[]}`, 404, 10104, "queue not found", ""},
		{"size", "POST", peek, `{"batch_size":0}`, 400, 10207, "allowed: 1 to 100", "/batch_size"},
		{"size", "POST", peek, `{"batch_size":101}`, 400, 10207, "allowed: 1 to 100", "/batch_size"},
		{"key", "POST", peek, `{"limit":1}`, 400, 10207, "unknown key", "/limit"},
		{"no refs", "POST", purge, `{}`, 400, 10207, "refs is required", "/refs"},
		{"empty", "POST", purge, ``, 400, 10208, "empty", ""},
		{"shape", "POST", purge, `{"refs":["p.x"]}`, 400, 10207, "should be an object", "/refs/0"},
		{"no ref", "POST", purge, `{"refs":[{}]}`, 400, 10207, "ref is required", "/refs/0/ref"},
		{"1001", "POST", purge, `{"refs":[` + strings.Repeat(`{"ref":"a"},`, 1000) + `{"ref":"a"}]}`, 400, 10206, "more than 1000", "/refs"},
	})
}
