package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

func TestUnderAnyPrefix(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.queue("orders")
	api := c.handler
	mounted := http.NewServeMux()
	mounted.Handle("/client/v4/", api)
	mounted.Handle("/cf/", http.StripPrefix("/cf", api))
	mounted.Handle("/users/accounts/api/", http.StripPrefix("/users/accounts/api", api))
	for _, x := range []struct {
		handler http.Handler
		prefix  string
	}{
		{api, ""}, {api, "/client/v4"}, {api, "/a/b/c/client/v4"},
		{api, "/with%20space"}, {mounted, "/client/v4"}, {mounted, "/cf"}, {mounted, "/cf/client/v4"}, {mounted, "/users/accounts/api"},
	} {
		c.handler = x.handler
		for _, suffix := range []string{"/accounts", "/accounts/" + account + path, "/user/tokens/verify"} {
			c.send(c.request("GET", x.prefix+suffix, "")).ok(nil)
		}
		var w wireWorker
		c.send(c.request("GET", x.prefix+"/accounts/"+account+"/workers/workers/a%2Fb%20c", "")).ok(&w)
		assert.Equal(t, "a/b c", w.Name)
	}
}

func TestUnknownRoutes(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.queue("orders")
	for _, url := range []string{
		"/", "/client/v4", "/client/v4/", "/client/v4/zones", prefix, prefix + "/", prefix + "/queues/", prefix + "/queue",
		prefix + path + "/nothing", prefix + path + "/messages/pull/x", prefix + path + "/", prefix + "//queues",
		prefix + "/./queues", prefix + "/x/../queues", "/client/v4/accounts//queues", prefix + "/workers/workers/",
		prefix + path + "/ack", "/client/v4/user/tokens", "/%zz", "*",
		// What ends like a route is none.
		prefix + "/r2/user", prefix + "/d1/accounts", "/client/v4/zones/x/memberships",
		prefix + "/r2/buckets/accounts/" + account + path, "/user/accounts", "/user/x/accounts/a/queues",
	} {
		r := c.request("GET", "/", "")
		r.URL.Path, r.URL.RawPath = url, ""
		c.send(r).fails(404, 7003, "No route for that URI")
	}
	res := c.do("GET", "/<script>alert(1)</script>", "").fails(404, 7003, "No route")
	assert.NotContains(t, res.raw, "script")
}

func TestOtherMethods(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.queue("orders")
	for _, x := range [][2]string{
		{"DELETE", "/queues"}, {"POST", path}, {"GET", path + "/messages"}, {"GET", path + "/messages/pull"}, {"PATCH", path + "/purge"},
		{"OPTIONS", "/queues"}, {"CONNECT", "/queues"}, {"BREW", "/queues"},
	} {
		c.do(x[0], x[1], "").fails(405, 7001, "Method not available for that URI")
	}
	for at, allowed := range map[string]string{
		"/queues": "GET, HEAD, POST", path: "GET, HEAD, PATCH, PUT, DELETE", path + "/messages": "POST",
	} {
		assert.Equal(t, allowed, c.do("BREW", at, "").header.Get("Allow"), at)
	}
	res := c.do("POST", path+"/messages/pull", "").fails(405, 0, "http_pull")
	assert.Equal(t, "POST", res.header.Get("Allow"))
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, c.request("HEAD", prefix+"/queues", ""))
	assert.Equal(t, 200, w.Code)
}

func TestAnyAccountWithoutOne(t *testing.T) {
	c := call(t, inproq.Config{})
	c.handler = New(c.broker, Config{Authorize: anybody})
	c.send(c.request("GET", "/accounts/"+unknown+"/queues", "")).ok(nil)
	c.send(c.request("GET", "/accounts/any/queues", "")).ok(nil)
	var accounts []wireAccount
	c.send(c.request("GET", "/accounts?page=1", "")).ok(&accounts)
	require.Len(t, accounts, 1)
	assert.True(t, isID(accounts[0].ID))
}

// What wrangler asks beside queues.
func TestIdentity(t *testing.T) {
	c := call(t, inproq.Config{})
	get := func(path string) *reply { return c.send(c.request("GET", "/client/v4"+path, "")).ok(nil) }
	assert.JSONEq(t, `[{"id":"`+account+`","name":"inproq"}]`, string(get("/accounts?page=1").Result))
	assert.JSONEq(t, `[]`, string(get("/accounts?page=2").Result))
	assert.Equal(t, 1, get("/accounts?page=2").Info.TotalCount)
	assert.JSONEq(t, `[{"id":"`+account+`","status":"accepted","account":{"id":"`+account+`","name":"inproq"}}]`, string(get("/memberships?page=1").Result))
	assert.JSONEq(t, `{"id":"`+account+`","status":"active"}`, string(get("/user/tokens/verify").Result))
	assert.Contains(t, get("/user").raw, `"email"`)
	c.send(c.request("GET", "/accounts?page=x", "")).fails(400, 10207, "page")
}

func TestWorkersThatThereAreNot(t *testing.T) {
	c := call(t, inproq.Config{})
	const sub = "/workers/scripts/mailer/subdomain"
	assert.JSONEq(t, `{"id":"mailer","name":"mailer","subdomain":{"enabled":false,"previews_enabled":false}}`, string(c.do("GET", "/workers/workers/mailer", "").ok(nil).Result))
	assert.JSONEq(t, `{"enabled":false,"previews_enabled":false}`, string(c.do("POST", sub, `{"enabled":false,"previews_enabled":false}`).ok(nil).Result))
	c.refuses([]refused{
		{"enabled", "POST", sub, `{"enabled":true}`, 400, 10207, `set "workers_dev"`, "/enabled"},
		{"previews", "POST", sub, `{"previews_enabled":true}`, 400, 10207, `"preview_urls"`, "/previews_enabled"},
		{"empty", "POST", sub, ``, 400, 10208, "empty", ""},
	})
}

// In virtual time, without a network: a day passes at once.
func TestInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := call(t, inproq.Config{Limits: inproq.Limits{MaxDelay: 24 * time.Hour}})
		path := c.pulled("orders", `{"visibility_timeout_ms":43200000}`)
		c.do("POST", path+"/messages", `{"body":1,"delay_seconds":86400}`).ok(nil)
		time.Sleep(24*time.Hour - time.Second)
		assert.Empty(t, c.take(path))
		time.Sleep(time.Second)
		var p pulled
		c.do("POST", path+"/messages/pull", "").ok(&p)
		assert.Len(t, p.Messages, 1)
		time.Sleep(12 * time.Hour)
		assert.Len(t, c.take(path), 1)
	})
}

func TestErrorsOfABrokerThatIsClosed(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.pulled("orders", `{}`)
	require.NoError(t, c.broker.Shutdown(t.Context()))
	for _, x := range [][3]string{
		{"GET", "/queues"}, {"POST", "/queues", `{"queue_name":"a"}`}, {"GET", path}, {"POST", path + "/messages", `{"body":1}`},
		{"POST", path + "/messages/pull"}, {"GET", path + "/metrics"},
	} {
		res := c.do(x[0], x[1], x[2]).fails(503, 15000, "broker closed")
		assert.Equal(t, "false", res.header.Get("x-should-retry"))
	}
}

// Who has gone gets no answer, and nobody's log a line.
func TestClientThatHasGone(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.queue("orders")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := c.request("POST", prefix+path+"/messages", `{"body":1}`).WithContext(ctx)
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	if w.Code != 200 { // the store in memory may not look
		assert.Equal(t, http.StatusRequestTimeout, w.Code)
		assert.Contains(t, w.Body.String(), "10201")
	}
}
