package httpapi

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

func TestWorkerConsumer(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.queue("orders")
	assert.JSONEq(t, `[]`, string(c.do("GET", path+"/consumers", "").ok(nil).Result))

	// As wrangler sends it.
	var w wireConsumer
	res := c.do("POST", path+"/consumers", `{"script_name":"mailer","environment_name":"","type":"worker",
		"settings":{"batch_size":20,"max_retries":0,"max_wait_time_ms":2000,"max_concurrency":3,"retry_delay":60},"dead_letter_queue":"dead"}`).ok(&w)
	assert.True(t, isID(w.ID), w.ID)
	assert.JSONEq(t, fmt.Sprintf(`{"consumer_id":%q,"type":"worker","created_on":%q,"queue_id":%q,"queue_name":"orders",
		"script":"mailer","script_name":"mailer","dead_letter_queue":"dead",
		"settings":{"batch_size":20,"max_retries":0,"max_wait_time_ms":2000,"max_concurrency":3,"retry_delay":60}}`,
		w.ID, w.CreatedOn.Format(time.RFC3339Nano), path[len("/queues/"):]), string(res.Result))

	one := string(res.Result)
	assert.JSONEq(t, one, string(c.do("GET", path+"/consumers/"+w.ID, "").ok(nil).Result))
	assert.JSONEq(t, "["+one+"]", string(c.do("GET", path+"/consumers", "").ok(nil).Result))
	var q struct {
		Consumers []wireConsumer `json:"consumers"`
		Total     int            `json:"consumers_total_count"`
	}
	c.do("GET", path, "").ok(&q)
	assert.Equal(t, 1, q.Total)
	assert.Equal(t, w, q.Consumers[0])
	var dead []wireQueue
	c.do("GET", "/queues?name=dead", "").ok(&dead)
	assert.Len(t, dead, 1, "a dead-letter queue comes to be")

	gone := c.do("DELETE", path+"/consumers/"+w.ID, "").ok(nil)
	assert.JSONEq(t, `{"success":true,"errors":[],"messages":[],"result":null}`, gone.raw)
	c.do("GET", path+"/consumers/"+w.ID, "").fails(404, 11006, "consumer not found")
}

func TestDefaultsOfConsumers(t *testing.T) {
	c := call(t, inproq.Config{})
	for _, x := range []struct{ queue, body, settings string }{
		{"a", `{"type":"worker","script_name":"s"}`, `{"batch_size":10,"max_retries":3,"max_wait_time_ms":5000,"max_concurrency":null,"retry_delay":0}`},
		{"b", `{"type":"worker","script_name":"s","settings":{"max_concurrency":null,"max_wait_time_ms":0}}`, `{"batch_size":10,"max_retries":3,"max_wait_time_ms":0,"max_concurrency":null,"retry_delay":0}`},
		{"c", `{"type":"http_pull"}`, `{"batch_size":5,"max_retries":3,"visibility_timeout_ms":30000,"retry_delay":0}`},
		{"d", `{"type":"http_pull","settings":{},"dead_letter_queue":"dlq"}`, `{"batch_size":5,"max_retries":3,"visibility_timeout_ms":30000,"retry_delay":0}`},
	} {
		path := c.queue(x.queue)
		var got struct {
			ID       string `json:"consumer_id"`
			Settings any
		}
		c.do("POST", path+"/consumers", x.body).ok(&got)
		var want any
		unmarshal(t, x.settings, &want)
		assert.Equal(t, want, got.Settings, x.body)

		// A full update goes back to them.
		var changed struct {
			ID       string `json:"consumer_id"`
			Settings any
		}
		full := `{"type":"worker","script_name":"s","settings":{"batch_size":1,"max_retries":1,"max_wait_time_ms":1,"max_concurrency":1,"retry_delay":1}}`
		if x.queue >= "c" {
			full = `{"type":"http_pull","settings":{"batch_size":1,"max_retries":1,"visibility_timeout_ms":1,"retry_delay":1}}`
		}
		c.do("PUT", path+"/consumers/"+got.ID, full).ok(&changed)
		assert.NotEqual(t, want, changed.Settings)
		c.do("PUT", path+"/consumers/"+got.ID, x.body).ok(&changed)
		assert.Equal(t, got.ID, changed.ID)
		assert.Equal(t, want, changed.Settings, x.body)
	}
}

func TestConsumersAreRefused(t *testing.T) {
	c := call(t, inproq.Config{})
	free, path := c.queue("free"), c.queue("orders")
	var w wireConsumer
	c.do("POST", path+"/consumers", `{"type":"worker","script_name":"mailer"}`).ok(&w)
	worker := func(settings string) string {
		return `{"type":"worker","script_name":"s","settings":` + settings + `}`
	}
	pull := func(settings string) string { return `{"type":"http_pull","settings":` + settings + `}` }
	at, one := free+"/consumers", path+"/consumers/"+w.ID
	const s = "/settings/"
	c.refuses([]refused{
		{"exists", "POST", path + "/consumers", `{"type":"worker","script_name":"mailer"}`, 409, 11004, "workers.api.error.consumer_exists", ""},
		{"exists", "POST", path + "/consumers", `{"type":"http_pull"}`, 409, 11004, `"mailer"`, ""},
		{"no type", "POST", at, `{}`, 400, 100127, "type is required", "/type"},
		{"type", "POST", at, `{"type":"email"}`, 400, 100127, `"worker" or "http_pull"`, "/type"},
		{"type", "POST", at, `{"type":1}`, 400, 10207, "a string", "/type"},
		{"script", "POST", at, `{"type":"worker"}`, 400, 100127, "script_name is required", "/script_name"},
		{"own dead letters", "POST", at, `{"type":"http_pull","dead_letter_queue":"free"}`, 400, 100127, "dead_letter_queue", ""},
		{"dead letters", "POST", at, `{"type":"http_pull","dead_letter_queue":"a_b"}`, 400, 100127, "dead_letter_queue", ""},
		{"batch", "POST", at, worker(`{"batch_size":0}`), 400, 100127, "batch_size is 0, allowed: 1 to 100", s + "batch_size"},
		{"batch", "POST", at, worker(`{"batch_size":101}`), 400, 100127, "allowed: 1 to 100", s + "batch_size"},
		{"batch", "POST", at, pull(`{"batch_size":101}`), 400, 100127, "allowed: 1 to 100", s + "batch_size"},
		{"retries", "POST", at, worker(`{"max_retries":101}`), 400, 100127, "allowed: 0 to 100", s + "max_retries"},
		{"retries", "POST", at, worker(`{"max_retries":-1}`), 400, 100127, "allowed: 0 to 100", s + "max_retries"},
		{"wait", "POST", at, worker(`{"max_wait_time_ms":60001}`), 400, 100127, "allowed: 0 to 60000", s + "max_wait_time_ms"},
		{"wait", "POST", at, worker(`{"max_wait_time_ms":-1}`), 400, 100127, "allowed: 0 to 60000", s + "max_wait_time_ms"},
		{"wait", "POST", at, worker(`{"max_wait_time_ms":9223372036854775807}`), 400, 100127, "allowed: 0 to 60000", s + "max_wait_time_ms"},
		{"concurrency", "POST", at, worker(`{"max_concurrency":0}`), 400, 100127, "allowed: 1 to 250", s + "max_concurrency"},
		{"concurrency", "POST", at, worker(`{"max_concurrency":251}`), 400, 100127, "allowed: 1 to 250", s + "max_concurrency"},
		{"delay", "POST", at, worker(`{"retry_delay":43201}`), 400, 100127, "allowed: 0 to 43200", s + "retry_delay"},
		{"delay", "POST", at, worker(`{"retry_delay":0.5}`), 400, 100127, "whole number", s + "retry_delay"},
		{"visibility", "POST", at, pull(`{"visibility_timeout_ms":0}`), 400, 100127, "allowed: 1 to 43200000", s + "visibility_timeout_ms"},
		{"visibility", "POST", at, pull(`{"visibility_timeout_ms":43200001}`), 400, 100127, "allowed: 1 to 43200000", s + "visibility_timeout_ms"},
		{"of the other kind", "POST", at, worker(`{"visibility_timeout_ms":1000}`), 400, 100127, "no setting of a consumer of type worker", s + "visibility_timeout_ms"},
		{"of the other kind", "POST", at, pull(`{"max_concurrency":1}`), 400, 100127, "no setting of a consumer of type http_pull", s + "max_concurrency"},
		{"unknown key", "POST", at, pull(`{"max_batch_size":1}`), 400, 10207, `unknown key "max_batch_size"`, s + "max_batch_size"},
		{"JSON", "POST", at, `{`, 400, 10208, "ends too early", ""},
		{"empty", "POST", at, ``, 400, 10208, "empty", ""},
		{"queue", "POST", "/queues/" + unknown + "/consumers", `{"type":"http_pull"}`, 404, 11000, "queue not found", ""},
		{"queue", "GET", "/queues/" + unknown + "/consumers", "", 404, 11000, "queue not found", ""},
		{"queue", "GET", "/queues/" + unknown + "/consumers/" + w.ID, "", 404, 11000, "queue not found", ""},
		{"other queue", "GET", free + "/consumers/" + w.ID, "", 404, 11006, "consumer not found", ""},
		{"unknown", "GET", path + "/consumers/" + unknown, "", 404, 11006, "consumer not found", ""},
		{"unknown", "PUT", path + "/consumers/" + unknown, `{"type":"http_pull"}`, 404, 11006, "consumer not found", ""},
		{"unknown", "DELETE", path + "/consumers/" + unknown, "", 404, 11006, "consumer not found", ""},
		{"other kind", "PUT", one, `{"type":"http_pull"}`, 400, 100127, "type cannot be changed", "/type"},
		{"other script", "PUT", one, `{"type":"worker","script_name":"x"}`, 400, 100127, "script_name cannot be changed", "/script_name"},
		{"settings", "PUT", one, `{"type":"worker","script_name":"mailer","settings":{"batch_size":0}}`, 400, 100127, "batch_size", ""},
	})
	var all []wireQueue
	c.do("GET", "/queues", "").ok(&all)
	assert.Len(t, all, 2, "no dead-letter queue of a request that failed")
	assert.JSONEq(t, `[]`, string(c.do("GET", at, "").ok(nil).Result))
}

// A consumer that is attached over HTTP is the handler registered under its script's
// name, and without one its messages wait.
func TestMessagesMeetTheHandlerOfTheirScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := call(t, inproq.Config{})
		var mu sync.Mutex
		var list []string
		got := func() []string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(list)
		}
		require.NoError(t, inproq.Handle(c.broker, "mailer", inproq.Each(func(_ context.Context, m *inproq.Message[string]) error {
			mu.Lock()
			defer mu.Unlock()
			list = append(list, m.Body)
			return nil
		})))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.broker.Run(ctx) }()

		path := c.queue("orders")
		var w wireConsumer
		c.do("POST", path+"/consumers", `{"type":"worker","script_name":"nobody"}`).ok(&w)
		c.do("POST", path+"/messages", `{"body":"first"}`).ok(nil)
		time.Sleep(time.Hour)
		assert.Empty(t, got())
		c.do("DELETE", path+"/consumers/"+w.ID, "").ok(nil)
		c.do("POST", path+"/consumers", `{"type":"worker","script_name":"mailer"}`).ok(&w)
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"first"}, got())

		c.do("POST", path+"/messages", `{"body":"second","delay_seconds":3600}`).ok(nil)
		c.do("POST", path+"/messages", `{"body":{"not":"a string"}}`).ok(nil)
		time.Sleep(59 * time.Minute)
		assert.Equal(t, []string{"first"}, got())
		time.Sleep(2 * time.Minute)
		assert.Equal(t, []string{"first", "second"}, got())

		stop()
		require.NoError(t, <-ended)
		c.do("POST", path+"/messages", `{"body":"late"}`).fails(503, 15000, "broker closed")
	})
}
