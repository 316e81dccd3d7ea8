package httpapi

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store/memory"
)

func TestQueueFromCreationToDeletion(t *testing.T) {
	c := call(t, inproq.Config{})
	var q wireQueue
	c.do("POST", "/queues", `{"queue_name":"orders"}`).ok(&q)
	assert.True(t, isID(q.ID), q.ID)
	assert.Equal(t, "orders", q.Name)
	assert.WithinDuration(t, time.Now(), q.CreatedOn, time.Minute)
	assert.Equal(t, q.CreatedOn, q.ModifiedOn)
	assert.Equal(t, wireQueueSettings{DeliveryDelay: 0, MessageRetentionPeriod: 345_600}, q.Settings)
	for _, field := range []string{`"producers":[]`, `"producers_total_count":0`, `"consumers":[]`, `"consumers_total_count":0`} {
		assert.Contains(t, c.do("GET", "/queues/"+q.ID, "").raw, field)
	}

	var again wireQueue
	c.do("GET", "/queues/"+q.ID, "").ok(&again)
	assert.Equal(t, q, again)

	gone := c.do("DELETE", "/queues/"+q.ID, "").ok(nil)
	assert.JSONEq(t, `{"success":true,"errors":[],"messages":[],"result":null}`, gone.raw)
	c.do("GET", "/queues/"+q.ID, "").fails(404, 11000, "queue not found")
	c.do("DELETE", "/queues/"+q.ID, "").fails(404, 11000, "queue not found")

	// The name taken anew is another queue.
	path := c.queue("orders")
	assert.NotEqual(t, "/queues/"+q.ID, path)
	c.do("GET", "/queues/"+q.ID, "").fails(404, 11000, "queue not found")
}

func TestQueueSettingsAtCreation(t *testing.T) {
	c := call(t, inproq.Config{Limits: inproq.Limits{MaxDelay: 24 * time.Hour}})
	var q wireQueue
	c.do("POST", "/queues", `{"queue_name":"orders","settings":{"delivery_delay":86400,"message_retention_period":60.0,"delivery_paused":true}}`).ok(&q)
	assert.Equal(t, wireQueueSettings{DeliveryDelay: 86_400, DeliveryPaused: true, MessageRetentionPeriod: 60}, q.Settings)
	c.do("POST", "/queues", `{"queue_name":"nulls","settings":{"delivery_delay":null,"message_retention_period":null}}`).ok(&q)
	assert.Equal(t, wireQueueSettings{MessageRetentionPeriod: 345_600}, q.Settings)
	c.do("POST", "/queues", `{"queue_name":"none","settings":null}`).ok(nil)
}

func TestQueuesAreRefused(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.queue("taken")
	const create = "/queues"
	c.refuses([]refused{
		{"name taken", "POST", create, `{"queue_name":"taken"}`, 409, 11009, "Queue name 'taken' is already taken. Please use a different name and try again.", ""},
		{"no name", "POST", create, `{}`, 400, 11003, "queue_name is required", "/queue_name"},
		{"bad name", "POST", create, `{"queue_name":"a_b"}`, 400, 11003, "1 to 63 letters", ""},
		{"html", "POST", create, `{"queue_name":"<script>"}`, 400, 11003, "<script>", ""}, // escaped in the reply
		{"name no string", "POST", create, `{"queue_name":7}`, 400, 10207, "queue_name is a number, and should be a string", "/queue_name"},
		{"empty body", "POST", create, "", 400, 10208, "the body is empty", ""},
		{"no JSON", "POST", create, `queue_name=orders`, 400, 10208, "not valid JSON", ""},
		{"half", "POST", create, `{"queue_name":"orders"`, 400, 10208, "ends too early", ""},
		{"more", "POST", create, `{"queue_name":"orders"} {}`, 400, 10208, "something after", ""},
		{"array", "POST", create, `[]`, 400, 10207, "an array, and should be an object", ""},
		{"null", "POST", create, `null`, 400, 10207, "null, and should be an object", ""},
		{"unknown key", "POST", create, `{"queue_name":"orders","delay":5}`, 400, 10207, `unknown key "delay"`, "/delay"},
		{"other case", "POST", create, `{"Queue_Name":"orders"}`, 400, 10207, `unknown key "Queue_Name"`, "/Queue_Name"},
		{"key twice", "POST", create, `{"queue_name":"a","queue_name":"b"}`, 400, 10207, "twice", "/queue_name"},
		{"bad UTF-8", "POST", create, "{\"queue_name\":\"\xff\"}", 400, 10208, "UTF-8", ""},
		{"settings", "POST", create, `{"queue_name":"a","settings":5}`, 400, 10207, "an object", "/settings"},
		{"delay above", "POST", create, `{"queue_name":"a","settings":{"delivery_delay":43201}}`, 400, 100128, "delivery_delay is 43201, allowed: 0 to 43200", "/settings/delivery_delay"},
		{"delay below", "POST", create, `{"queue_name":"a","settings":{"delivery_delay":-1}}`, 400, 100128, "allowed: 0 to 43200", "/settings/delivery_delay"},
		{"delay huge", "POST", create, `{"queue_name":"a","settings":{"delivery_delay":9223372036854775807}}`, 400, 100128, "allowed: 0 to 43200", "/settings/delivery_delay"},
		{"delay larger", "POST", create, `{"queue_name":"a","settings":{"delivery_delay":1e300}}`, 400, 100128, "out of range", "/settings/delivery_delay"},
		{"delay fraction", "POST", create, `{"queue_name":"a","settings":{"delivery_delay":1.5}}`, 400, 100128, "whole number", "/settings/delivery_delay"},
		{"delay string", "POST", create, `{"queue_name":"a","settings":{"delivery_delay":"5"}}`, 400, 10207, "a string, and should be a number", "/settings/delivery_delay"},
		{"retention below", "POST", create, `{"queue_name":"a","settings":{"message_retention_period":59}}`, 400, 100128, "allowed: 60 to 1209600", "/settings/message_retention_period"},
		{"retention zero", "POST", create, `{"queue_name":"a","settings":{"message_retention_period":0}}`, 400, 100128, "allowed: 60 to 1209600", "/settings/message_retention_period"},
		{"retention above", "POST", create, `{"queue_name":"a","settings":{"message_retention_period":1209601}}`, 400, 100128, "allowed: 60 to 1209600", "/settings/message_retention_period"},
		{"paused", "POST", create, `{"queue_name":"a","settings":{"delivery_paused":1}}`, 400, 10207, "true or false", "/settings/delivery_paused"},
		{"rename", "PATCH", path, `{"queue_name":"other"}`, 400, 100128, "queue_name cannot be changed", "/queue_name"},
		{"rename", "PUT", path, `{"queue_name":"other"}`, 400, 100128, "queue_name cannot be changed", "/queue_name"},
		{"bad settings", "PATCH", path, `{"settings":{"delivery_delay":43201}}`, 400, 100128, "delivery_delay", ""},
		{"unknown", "GET", "/queues/" + unknown, "", 404, 11000, "queue not found", ""},
		{"unknown", "PATCH", "/queues/" + unknown, "{}", 404, 11000, "queue not found", ""},
		{"unknown", "PUT", "/queues/" + unknown, "{}", 404, 11000, "queue not found", ""},
		{"unknown", "DELETE", "/queues/" + unknown, "", 404, 11000, "queue not found", ""},
		{"unknown", "GET", "/queues/" + unknown + "/metrics", "", 404, 11000, "queue not found", ""},
		{"a name for an id", "GET", "/queues/taken", "", 404, 11000, "queue not found", ""},
	})
	assert.NotContains(t, c.do("POST", create, `{"queue_name":"<script>"}`).raw, "<script>")
	assert.NotContains(t, c.do("POST", create, `{"<script>":"a"}`).raw, "<script>")
	assert.Less(t, len(c.do("POST", create, `{"`+strings.Repeat("k", 10_000)+`":1}`).raw), 1000)
}

func TestPatchMerges(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.queue("orders")
	var q wireQueue
	c.do("PATCH", path, `{"settings":{"delivery_delay":5}}`).ok(&q)
	c.do("PATCH", path, `{"queue_name":"orders","settings":{"message_retention_period":600}}`).ok(&q)
	c.do("PATCH", path, `{"queue_name":"orders","settings":{"delivery_paused":true}}`).ok(&q)
	assert.Equal(t, wireQueueSettings{5, true, 600}, q.Settings)
	c.do("PATCH", path, `{"settings":{"delivery_delay":0}}`).ok(&q)
	assert.Equal(t, wireQueueSettings{0, true, 600}, q.Settings)
	c.do("PATCH", path, `{}`).ok(&q)
	assert.Equal(t, wireQueueSettings{0, true, 600}, q.Settings)
}

func TestPutReplaces(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.queue("orders")
	var q wireQueue
	c.do("PUT", path, `{"queue_name":"orders","settings":{"delivery_delay":5,"message_retention_period":600,"delivery_paused":true}}`).ok(&q)
	assert.Equal(t, wireQueueSettings{5, true, 600}, q.Settings)
	c.do("PUT", path, `{"queue_name":"orders","settings":{"delivery_delay":6}}`).ok(&q)
	assert.Equal(t, wireQueueSettings{6, false, 345_600}, q.Settings)
	c.do("PUT", path, `{"queue_name":"orders"}`).ok(&q)
	assert.Equal(t, wireQueueSettings{0, false, 345_600}, q.Settings)
}

// What was read can be sent back.
func TestPutOfWhatWasRead(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.pulled("orders", `{"max_retries":0}`)
	before := c.do("GET", path, "").ok(nil)
	c.do("PUT", path, string(before.Result)).ok(nil)
	after := c.do("GET", path, "").ok(nil)
	assert.JSONEq(t, string(before.Result), string(after.Result))

	consumers := c.do("GET", path+"/consumers", "").ok(nil)
	one := strings.Trim(string(consumers.Result), "[]")
	var w wireConsumer
	c.do("GET", path, "").ok(&struct{ Consumers []*wireConsumer }{[]*wireConsumer{&w}})
	c.do("PUT", path+"/consumers/"+w.ID, one).ok(nil)
	assert.JSONEq(t, one, string(c.do("GET", path+"/consumers/"+w.ID, "").ok(nil).Result))
}

func TestListOfQueues(t *testing.T) {
	c := call(t, inproq.Config{})
	names := func(query string) (list []string, info *resultInfo) {
		var queues []wireQueue
		res := c.do("GET", "/queues"+query, "").ok(&queues)
		list = []string{}
		for _, q := range queues {
			list = append(list, q.Name)
		}
		assert.Equal(t, len(list), res.Info.Count)
		return list, res.Info
	}
	list, info := names("")
	assert.Empty(t, list)
	assert.Equal(t, &resultInfo{Page: 1, PerPage: 1}, info)
	for i := range 250 {
		c.queue(fmt.Sprintf("q%03d", i))
	}
	list, info = names("")
	assert.Len(t, list, 250, "a client that knows no pages sees all")
	assert.Equal(t, &resultInfo{1, 250, 250, 250, 1}, info)
	list, info = names("?page=1")
	assert.Equal(t, "q000", list[0])
	assert.Equal(t, &resultInfo{1, 100, 100, 250, 3}, info)
	list, info = names("?page=3")
	assert.Equal(t, "q200", list[0])
	assert.Equal(t, &resultInfo{3, 100, 50, 250, 3}, info)
	list, info = names("?page=4")
	assert.Empty(t, list)
	assert.Equal(t, &resultInfo{4, 100, 0, 250, 3}, info)
	list, _ = names("?per_page=2&page=2")
	assert.Equal(t, []string{"q002", "q003"}, list)
	list, _ = names("?page=1000000&per_page=1000000")
	assert.Empty(t, list)

	// The filter is exact: wrangler takes the first it gets.
	list, info = names("?page=1&name=q01")
	assert.Empty(t, list)
	assert.Equal(t, 0, info.TotalCount)
	list, info = names("?page=1&name=q017")
	assert.Equal(t, []string{"q017"}, list)
	assert.Equal(t, 1, info.TotalCount)
	list, _ = names("?name=q100&name=q002&name=q100&name=nobody")
	assert.Equal(t, []string{"q002", "q100"}, list)

	c.refuses([]refused{
		{"page", "GET", "/queues?page=0", "", 400, 10207, "page should be a number", ""},
		{"page", "GET", "/queues?page=x", "", 400, 10207, "page should be a number", ""},
		{"page", "GET", "/queues?page=99999999999999999999", "", 400, 10207, "page should be a number", ""},
		{"per_page", "GET", "/queues?per_page=-1", "", 400, 10207, "per_page should be a number", ""},
	})
}

func TestQueueMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := call(t, inproq.Config{})
		path := c.queue("orders")
		assert.JSONEq(t, `{"backlog_count":0,"backlog_bytes":0,"oldest_message_timestamp_ms":0}`, string(c.do("GET", path+"/metrics", "").ok(nil).Result))
		c.do("POST", path+"/messages", `{"body":"twelve bytes","content_type":"text"}`).ok(nil)
		sent := time.Now().UnixMilli()
		time.Sleep(time.Minute)
		assert.JSONEq(t, fmt.Sprintf(`{"backlog_count":1,"backlog_bytes":12,"oldest_message_timestamp_ms":%d}`, sent), string(c.do("GET", path+"/metrics", "").ok(nil).Result))
	})
}

func TestPurgeOfAQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := call(t, inproq.Config{})
		path := c.queue("orders")
		assert.JSONEq(t, `{"completed":"true","complete":true}`, string(c.do("GET", path+"/purge", "").ok(nil).Result))
		c.do("POST", path+"/messages", `{"body":1}`).ok(nil)
		c.do("POST", path+"/messages", `{"body":2,"delay_seconds":60}`).ok(nil)
		c.refuses([]refused{
			{"no consent", "POST", path + "/purge", `{}`, 400, 10207, "should be true", "/delete_messages_permanently"},
			{"no consent", "POST", path + "/purge", `{"delete_messages_permanently":false}`, 400, 10207, "should be true", ""},
			{"no body", "POST", path + "/purge", ``, 400, 10208, "empty", ""},
			{"unknown", "POST", "/queues/" + unknown + "/purge", `{"delete_messages_permanently":true}`, 404, 11000, "not found", ""},
			{"unknown", "GET", "/queues/" + unknown + "/purge", "", 404, 11000, "not found", ""},
		})
		var m wireMetrics
		c.do("GET", path+"/metrics", "").ok(&m)
		assert.Equal(t, int64(2), m.BacklogCount)
		started := time.Now()
		var q wireQueue
		c.do("POST", path+"/purge", `{"delete_messages_permanently":true}`).ok(&q)
		assert.Equal(t, "orders", q.Name)
		c.do("GET", path+"/metrics", "").ok(&m)
		assert.Equal(t, int64(0), m.BacklogCount)
		time.Sleep(time.Hour)
		var p wirePurge
		c.do("GET", path+"/purge", "").ok(&p)
		at, err := time.Parse(time.RFC3339, p.StartedAt)
		require.NoError(t, err)
		assert.True(t, at.Equal(started), "%v is not %v", at, started)
	})
}

// Ids are kept in the store: a process that comes after finds things under them.
func TestIDsSurviveARestart(t *testing.T) {
	durable := memory.New()
	c := call(t, inproq.Config{Store: durable})
	path := c.pulled("orders", `{}`)
	c.do("POST", path+"/messages", `{"body":"x","content_type":"text"}`).ok(nil)
	var p pulled
	c.do("POST", path+"/messages/pull", `{"visibility_timeout_ms":60000}`).ok(&p)
	c.do("POST", path+"/purge", `{"delete_messages_permanently":true}`).ok(nil)
	before := c.do("GET", path, "").ok(nil).Result
	status := c.do("GET", path+"/purge", "").ok(nil).Result
	require.NoError(t, c.broker.Shutdown(t.Context()))

	c = call(t, inproq.Config{Store: durable})
	assert.JSONEq(t, string(before), string(c.do("GET", path, "").ok(nil).Result))
	assert.JSONEq(t, string(status), string(c.do("GET", path+"/purge", "").ok(nil).Result))
	var res wireAck
	c.do("POST", path+"/messages/ack", fmt.Sprintf(`{"acks":[{"lease_id":%q}]}`, p.Messages[0].LeaseID)).ok(&res)
	assert.Equal(t, 1, res.AckCount, res.Warnings)
	require.NoError(t, c.broker.Shutdown(t.Context()))
	require.NoError(t, durable.Close())
}
