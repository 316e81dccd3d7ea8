package httpapi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// everyRoute calls test with a request for each route of the table. It goes to things
// that exist, with a body that would do if it were let in.
func everyRoute(t *testing.T, c *caller, test func(rt route, r *http.Request)) {
	t.Helper()
	path := c.queue("orders")
	var w wireConsumer
	c.do("POST", path+"/consumers", `{"type":"http_pull"}`).ok(&w)
	ids := strings.NewReplacer(
		"{account_id}", account,
		"{queue_id}", strings.TrimPrefix(path, "/queues/"),
		"{consumer_id}", w.ID,
		"{subscription_id}", unknown,
		"{script}", "mailer",
	)
	routes := c.handler.(*api).routes()
	require.NotEmpty(t, routes)
	for _, rt := range routes {
		url := ids.Replace("/client/v4" + rt.pattern)
		require.NotContains(t, url, "{", "the test has no value for a new part of a path")
		body := ""
		if rt.method != http.MethodGet && rt.method != http.MethodDelete {
			body = "{}"
		}
		test(rt, c.request(rt.method, url, body))
	}
}

// Made of the table of routes, so that one which lets in too many fails here.
func TestEveryRouteIsGuarded(t *testing.T) {
	c := call(t, inproq.Config{})
	tokens := StaticTokens(map[string]Permission{
		"all": QueuesRead | QueuesWrite, "reader": QueuesRead, "writer": QueuesWrite, "nothing": 0,
	})
	guarded := New(c.broker, Config{AccountID: account, Authorize: tokens})
	everyRoute(t, c, func(rt route, r *http.Request) {
		name := rt.method + " " + rt.pattern
		status := func(set func(h http.Header)) int {
			try := r.Clone(t.Context())
			if try.Body != nil {
				try.Body = http.NoBody // most fail on it, once they are let in
			}
			set(try.Header)
			w := httptest.NewRecorder()
			guarded.ServeHTTP(w, try)
			if w.Code == http.StatusForbidden {
				var res reply
				unmarshal(t, w.Body.String(), &res)
				assert.Equal(t, 10000, res.Errors[0].Code, name)
				assert.Contains(t, res.Errors[0].Message, "Authentication error", name)
			}
			return w.Code
		}
		bearer := func(token string) func(http.Header) {
			return func(h http.Header) { h.Set("Authorization", "Bearer "+token) }
		}
		assert.Equal(t, 403, status(func(http.Header) {}), "%s without a token", name)
		assert.Equal(t, 403, status(bearer("wrong")), "%s with a wrong token", name)
		assert.Equal(t, 403, status(bearer("")), "%s with an empty token", name)
		assert.Equal(t, 403, status(func(h http.Header) { h.Set("Authorization", "Basic all") }), "%s with another scheme", name)
		assert.Equal(t, 403, status(func(h http.Header) { h.Set("X-Auth-Key", "wrong") }), "%s with a wrong key", name)

		changes := rt.method != http.MethodGet && !strings.HasSuffix(rt.pattern, "/messages/peek")
		ofAccount := strings.HasPrefix(rt.pattern, accountPath)
		assert.Equal(t, changes, rt.need&QueuesWrite != 0, "%s needs %v", name, rt.need)
		if ofAccount {
			assert.NotZero(t, rt.need, "%s needs no permission", name)
			assert.Equal(t, 403, status(bearer("nothing")), "%s without a permission", name)
		}
		assert.Equal(t, rt.need&QueuesWrite != 0, status(bearer("reader")) == 403, "%s with a token that only reads", name)
		assert.Equal(t, rt.need&QueuesRead != 0, status(bearer("writer")) == 403, "%s with a token that only writes", name)
		assert.NotEqual(t, 403, status(func(h http.Header) { h.Set("authorization", "bearer all") }), name)
		assert.NotEqual(t, 403, status(func(h http.Header) { h.Set("X-Auth-Key", "all"); h.Set("X-Auth-Email", "a@b.c") }), name)
	})
}

// Pulling and acknowledging need both permissions.
func TestPullAndAckNeedBoth(t *testing.T) {
	c := call(t, inproq.Config{})
	both := 0
	for _, rt := range c.handler.(*api).routes() {
		if strings.HasSuffix(rt.pattern, "/messages/pull") || strings.HasSuffix(rt.pattern, "/messages/ack") {
			assert.Equal(t, QueuesRead|QueuesWrite, rt.need)
			both++
		}
	}
	assert.Equal(t, 2, both)
}

func TestRefusalsSayWhy(t *testing.T) {
	c := call(t, inproq.Config{})
	c.handler = New(c.broker, Config{AccountID: account, Authorize: StaticTokens(map[string]Permission{"reader": QueuesRead})})
	c.do("GET", "/queues", "").fails(403, 10000, "Authentication error: the request has no token")
	c.token = "wrong"
	c.do("GET", "/queues", "").fails(403, 10000, "Authentication error: the token is not valid")
	c.token = "reader"
	c.do("GET", "/queues", "").ok(nil)
	c.do("POST", "/queues", "{}").fails(403, 10000, "Authentication error: the token lacks queues_write")
	c.send(c.request("GET", "/client/v4/accounts/"+unknown+"/queues", "")).fails(403, 10000, "not for this account")

	// What an Authorize of the application's own says is not for the caller.
	c.handler = New(c.broker, Config{Authorize: func(*http.Request, Permission) error { return errors.New("user 7 is locked in db3") }})
	res := c.do("GET", "/queues", "").fails(403, 10000, "Authentication error")
	assert.NotContains(t, res.raw, "db3")
}

func TestStaticTokensWithoutAToken(t *testing.T) {
	assert.Panics(t, func() { StaticTokens(map[string]Permission{"": QueuesRead}) })
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	assert.Error(t, StaticTokens(nil)(r, 0))
	r.Header.Set("Authorization", "Bearer x")
	assert.Error(t, StaticTokens(nil)(r, 0))
}

func TestPermissionNames(t *testing.T) {
	assert.Equal(t, "queues_read, queues_write", (QueuesRead | QueuesWrite).String())
	assert.Empty(t, Permission(0).String())
}

// Without an Authorize only this machine is let in.
func TestWithoutConfigurationOnlyThisMachine(t *testing.T) {
	c := call(t, inproq.Config{})
	open := New(c.broker, Config{})
	for _, x := range []struct {
		peer, host string
		header     map[string]string
		allowed    bool
	}{
		{"127.0.0.1:5000", "127.0.0.1:8080", nil, true},
		{"127.8.9.1:5000", "localhost:8080", nil, true},
		{"[::1]:5000", "[::1]:8080", nil, true},
		{"[::ffff:127.0.0.1]:5000", "localhost", nil, true},
		{"127.0.0.1:5000", "queues.localhost", map[string]string{"Sec-Fetch-Site": "same-origin"}, true},
		{"192.168.1.7:5000", "127.0.0.1:8080", nil, false},
		{"10.0.0.1:5000", "localhost", nil, false},
		{"[2001:db8::1]:5000", "localhost", nil, false},
		{"0.0.0.0:5000", "localhost", nil, false},
		{"", "localhost", nil, false},
		{"@", "localhost", nil, false},
		{"pipe", "localhost", nil, false},
		{"127.0.0.1", "localhost", nil, false}, // not what a server says
		// A name that somebody made point here, and a proxy in front.
		{"127.0.0.1:5000", "evil.test:8080", nil, false},
		{"127.0.0.1:5000", "localhost.evil.test", nil, false},
		{"127.0.0.1:5000", "", nil, false},
		{"127.0.0.1:5000", "10.0.0.1", nil, false},
		// A web page of another origin.
		{"127.0.0.1:5000", "127.0.0.1:8080", map[string]string{"Sec-Fetch-Site": "cross-site"}, false},
		{"127.0.0.1:5000", "127.0.0.1:8080", map[string]string{"Origin": "https://evil.test"}, false},
		{"127.0.0.1:5000", "127.0.0.1:8080", map[string]string{"Origin": "null"}, false},
		{"127.0.0.1:5000", "example.com", nil, false},
		// A proxy on this machine, which everybody's requests come through.
		{"127.0.0.1:5000", "localhost", map[string]string{"X-Forwarded-For": "203.0.113.7"}, false},
		{"127.0.0.1:5000", "localhost", map[string]string{"Forwarded": "for=203.0.113.7"}, false},
		{"127.0.0.1:5000", "localhost", map[string]string{"Via": "1.1 proxy"}, false},
		{"127.0.0.1:5000", "localhost", map[string]string{"X-Real-IP": ""}, false},
		{"127.0.0.1:5000", "localhost", map[string]string{"CF-Connecting-IP": "203.0.113.7"}, false},
		// A header of the caller's own does not make it local.
		{"192.168.1.7:5000", "localhost", map[string]string{"X-Forwarded-For": "127.0.0.1"}, false},
	} {
		everyRoute(t, &caller{t: t, broker: c.broker, handler: call(t, inproq.Config{}).handler}, func(rt route, r *http.Request) {
			if rt.method == http.MethodGet && x.header["Origin"]+x.header["Sec-Fetch-Site"] != "" {
				return // browsers do not show the answer to the page
			}
			r.RemoteAddr, r.Host = x.peer, x.host
			for k, v := range x.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			open.ServeHTTP(w, r)
			assert.Equal(t, x.allowed, w.Code != 403, "%s %s from %+v: %s", rt.method, rt.pattern, x, w.Body)
		})
	}
}

func TestConfigIsChecked(t *testing.T) {
	c := call(t, inproq.Config{})
	for _, id := range []string{"x", strings.ToUpper(account), account + "0", "0123456789abcdef0123456789abcdeg"} {
		assert.Panics(t, func() { New(c.broker, Config{AccountID: id}) }, id)
	}
}
