package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

const (
	account = "0123456789abcdef0123456789abcdef"
	prefix  = "/client/v4/accounts/" + account
	unknown = "ffffffffffffffffffffffffffffffff"
)

// A caller calls a handler without a network, as a real client does with one.
type caller struct {
	t       testing.TB
	broker  *inproq.Broker
	handler http.Handler
	token   string
}

// anybody is the Authorize of tests that are about something else.
func anybody(*http.Request, Permission) error { return nil }

// call returns a caller of a broker's API.
func call(t testing.TB, cfg inproq.Config) *caller {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	b, err := inproq.NewBroker(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Shutdown(t.Context()) })
	return &caller{t: t, broker: b, handler: New(b, Config{AccountID: account, Authorize: anybody, Logger: cfg.Logger})}
}

// A reply is a response that was taken apart.
type reply struct {
	t       testing.TB
	status  int
	header  http.Header
	raw     string
	Success bool            `json:"success"`
	Errors  []replyError    `json:"errors"`
	Result  json.RawMessage `json:"result"`
	Info    *resultInfo     `json:"result_info"`
}

type replyError struct {
	Code    int     `json:"code"`
	Message string  `json:"message"`
	Source  *source `json:"source"`
}

// do sends a request to a path below the account.
func (c *caller) do(method, path, body string) *reply {
	c.t.Helper()
	return c.send(c.request(method, prefix+path, body))
}

func (c *caller) request(method, url, body string) *http.Request {
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(c.t.Context(), method, url, in)
	r.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	return r
}

func (c *caller) send(r *http.Request) *reply {
	c.t.Helper()
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	res := &reply{t: c.t, status: w.Code, header: w.Header(), raw: w.Body.String()}
	require.NoError(c.t, json.Unmarshal(w.Body.Bytes(), res), w.Body.String())
	checkReply(c.t, res)
	return res
}

// checkReply checks what is so for every reply.
func checkReply(t testing.TB, res *reply) {
	t.Helper()
	assert.Equal(t, "application/json", res.header.Get("Content-Type"))
	assert.Equal(t, "nosniff", res.header.Get("X-Content-Type-Options"))
	var fields map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(res.raw), &fields))
	assert.Equal(t, "[]", string(fields["messages"]))
	assert.Contains(t, fields, "result")
	if res.Success {
		assert.Equal(t, http.StatusOK, res.status)
		assert.Equal(t, "[]", string(fields["errors"]))
		return
	}
	assert.GreaterOrEqual(t, res.status, 400)
	assert.Equal(t, "null", string(fields["result"]))
	require.NotEmpty(t, res.Errors)
	assert.NotEmpty(t, res.Errors[0].Message)
	final := res.status == http.StatusConflict || res.status == http.StatusTooManyRequests || res.status >= 500
	assert.Equal(t, final, res.header.Get("x-should-retry") == "false", "x-should-retry of a %d", res.status)
}

// ok checks that a request succeeded, and decodes its result.
func (r *reply) ok(result any) *reply {
	r.t.Helper()
	require.True(r.t, r.Success, r.raw)
	if result != nil {
		require.NoError(r.t, json.Unmarshal(r.Result, result), r.raw)
	}
	return r
}

// fails checks that it did not, and why.
func (r *reply) fails(status, code int, text string) *reply {
	r.t.Helper()
	require.False(r.t, r.Success, r.raw)
	assert.Equal(r.t, status, r.status, r.raw)
	assert.Equal(r.t, code, r.Errors[0].Code, r.raw)
	assert.Contains(r.t, r.Errors[0].Message, text)
	return r
}

// at checks the place of the problem.
func (r *reply) at(pointer string) {
	r.t.Helper()
	if assert.NotNil(r.t, r.Errors[0].Source, r.raw) {
		assert.Equal(r.t, pointer, r.Errors[0].Source.Pointer)
	}
}

// queue creates a queue, and returns its path.
func (c *caller) queue(name string) string {
	c.t.Helper()
	var q wireQueue
	c.do("POST", "/queues", fmt.Sprintf(`{"queue_name":%q}`, name)).ok(&q)
	return "/queues/" + q.ID
}

// pulled creates a queue that is pulled from, and returns its path.
func (c *caller) pulled(name, settings string) string {
	c.t.Helper()
	path := c.queue(name)
	c.do("POST", path+"/consumers", `{"type":"http_pull","settings":`+settings+`}`).ok(nil)
	return path
}

// A refused is a request that fails.
type refused struct {
	name, method, path, body string
	status, code             int
	text, at                 string
}

func (c *caller) refuses(cases []refused) {
	c.t.Helper()
	for _, x := range cases {
		res := c.do(x.method, x.path, x.body)
		if res.Success {
			assert.Fail(c.t, "accepted", "%s: %s", x.name, res.raw)
			continue
		}
		assert.Equal(c.t, x.status, res.status, "%s: %s", x.name, res.raw)
		assert.Equal(c.t, x.code, res.Errors[0].Code, "%s: %s", x.name, res.raw)
		assert.Contains(c.t, res.Errors[0].Message, x.text, x.name)
		if x.at != "" {
			if assert.NotNil(c.t, res.Errors[0].Source, "%s: %s", x.name, res.raw) {
				assert.Equal(c.t, x.at, res.Errors[0].Source.Pointer, x.name)
			}
		}
	}
}

func unmarshal(t testing.TB, text string, v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), v), text)
}
