package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const account = "0123456789abcdef0123456789abcdef"

// A journal is the log of a server that runs.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) has(line string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Contains(j.text.String(), line)
}

// A client talks to a server that runs.
type client struct {
	t     *testing.T
	base  string
	token string
	log   *journal
	stop  func() // ends the server and waits for it
}

// start runs a server on a port of its own.
func start(t *testing.T, o options) *client {
	t.Helper()
	c := &client{t: t, token: o.token, log: &journal{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s, err := newServer(t.Context(), o, log.New(c.log, "", 0))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { assert.NoError(t, s.serve(ctx, l)) })
	c.stop = sync.OnceFunc(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		wg.Wait()
	})
	t.Cleanup(c.stop)
	c.base = "http://" + l.Addr().String() + "/client/v4/accounts/" + account
	return c
}

// send makes a request.
func (c *client) send(method, path, body string) (reply []byte, status int) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	require.NoError(c.t, err)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(c.t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	require.NoError(c.t, resp.Body.Close())
	return text, resp.StatusCode
}

// try makes a request and returns the status and the envelope's result.
func (c *client) try(method, path, body string, result any) int {
	c.t.Helper()
	text, status := c.send(method, path, body)
	if result != nil {
		envelope := struct{ Result any }{result}
		require.NoError(c.t, json.Unmarshal(text, &envelope), string(text))
	}
	return status
}

// do is try of what has to succeed.
func (c *client) do(method, path, body string, result any) {
	c.t.Helper()
	assert.Equal(c.t, http.StatusOK, c.try(method, path, body, result), "%s %s", method, path)
}

// queues returns the ids by name.
func (c *client) queues() map[string]string {
	c.t.Helper()
	var list []struct {
		ID   string `json:"queue_id"`
		Name string `json:"queue_name"`
	}
	c.do("GET", "/queues", "", &list)
	ids := make(map[string]string)
	for _, q := range list {
		ids[q.Name] = q.ID
	}
	return ids
}

type message struct {
	Body     string `json:"body"`
	LeaseID  string `json:"lease_id"`
	Attempts int    `json:"attempts"`
}

func (c *client) pull(id string) []message {
	c.t.Helper()
	var r struct{ Messages []message }
	c.do("POST", "/queues/"+id+"/messages/pull", `{"visibility_timeout_ms": 43200000}`, &r)
	return r.Messages
}

// eventually waits for what other goroutines do.
func (c *client) eventually(what string, done func() bool) {
	c.t.Helper()
	require.Eventually(c.t, done, 20*time.Second, 10*time.Millisecond, what)
}

// Messages that are pushed by HTTP come to the handlers: by the configuration, and by a
// consumer that was attached by HTTP.
func TestPushedMessagesAreHandled(t *testing.T) {
	c := start(t, options{config: "wrangler.jsonc"})
	assert.True(t, c.log.has("wrangler.jsonc: attach consumer of orders"))
	orders := c.queues()["orders"]
	c.do("POST", "/queues/"+orders+"/messages", `{"body": {"item": "umbrella", "quantity": 2}}`, nil)
	c.eventually("an order", func() bool { return c.log.has(`shop: sold 2 × "umbrella"`) })

	c.do("POST", "/queues", `{"queue_name": "notes"}`, nil)
	notes := c.queues()["notes"]
	c.do("POST", "/queues/"+notes+"/consumers", `{"type": "worker", "script_name": "printer", "settings": {"max_wait_time_ms": 0}}`, nil)
	c.do("POST", "/queues/"+notes+"/messages/batch", `{"messages": [{"body": "hello", "content_type": "text"}, {"body": [1]}]}`, nil)
	c.eventually("the notes", func() bool {
		return c.log.has(`printer: notes has text "hello"`) && c.log.has(`printer: notes has json "[1]"`)
	})
}

// Everything is there after a restart on the same file: queues with their ids, consumers,
// messages, dead letters. What was pulled and not acknowledged comes again.
func TestRestartOnTheSameFile(t *testing.T) {
	o := options{db: filepath.Join(t.TempDir(), "queues.db"), config: "wrangler.jsonc"}
	c := start(t, o)
	c.do("POST", "/queues", `{"queue_name": "parcels"}`, nil)
	before := c.queues()
	assert.Len(t, before, 3)
	parcels, orders := before["parcels"], before["orders"]
	c.do("POST", "/queues/"+parcels+"/consumers", `{"type": "http_pull", "settings": {"batch_size": 1}}`, nil)
	c.do("POST", "/queues/"+parcels+"/messages/batch",
		`{"messages": [{"body": "one", "content_type": "text"}, {"body": {"two": 2}}, {"body": "late", "delay_seconds": 43200}]}`, nil)
	first := c.pull(parcels)
	require.Len(t, first, 1)
	assert.Equal(t, "one", first[0].Body)
	c.do("POST", "/queues/"+parcels+"/messages/ack", `{"acks": [{"lease_id": "`+first[0].LeaseID+`"}]}`, nil)
	require.Len(t, c.pull(parcels), 1)
	require.Empty(t, c.pull(parcels), "one is acknowledged, one leased, one delayed")
	// Nobody can order none: two retries, then a dead letter.
	c.do("POST", "/queues/"+orders+"/messages", `{"body": {"item": "hole", "quantity": 0}}`, nil)
	dead := func(c *client) bool {
		var m struct {
			Count int `json:"backlog_count"`
		}
		c.do("GET", "/queues/"+before["orders-dead"]+"/metrics", "", &m)
		return m.Count == 1
	}
	c.eventually("a dead letter", func() bool { return dead(c) })
	assert.True(t, c.log.has(`shop: refused 0 × "hole", attempt 3`))
	c.stop()

	o.config = ""
	c = start(t, o)
	assert.Equal(t, before, c.queues())
	assert.True(t, dead(c))
	second := c.pull(parcels)
	require.Len(t, second, 1)
	body, err := base64.StdEncoding.DecodeString(second[0].Body)
	require.NoError(t, err)
	assert.JSONEq(t, `{"two": 2}`, string(body))
	assert.Equal(t, 2, second[0].Attempts)
	assert.Empty(t, c.pull(parcels))
	c.do("POST", "/queues/"+orders+"/messages", `{"body": {"item": "boots", "quantity": 1}}`, nil)
	c.eventually("an order", func() bool { return c.log.has(`shop: sold 1 × "boots"`) })
}

// What happens to queues is an event that other queues can be subscribed to, and the
// subscription survives a restart.
func TestEventsOfQueues(t *testing.T) {
	o := options{db: filepath.Join(t.TempDir(), "queues.db")}
	c := start(t, o)
	c.do("POST", "/queues", `{"queue_name": "events"}`, nil)
	id := c.queues()["events"]
	c.do("POST", "/queues/"+id+"/consumers", `{"type": "http_pull"}`, nil)
	c.do("POST", "/event_subscriptions/subscriptions", `{"name": "new queues", "enabled": true, "source": {"type": "queues"},
		"destination": {"type": "queues.queue", "queue_id": "`+id+`"}, "events": ["queue.created"]}`, nil)
	for restart := range 2 {
		if restart == 1 {
			c.stop()
			c = start(t, o)
		}
		var got []message
		c.eventually("an event", func() bool { // the first of these may come before somebody listens
			c.do("POST", "/queues", `{"queue_name": "q`+rand.Text()+`"}`, nil)
			got = c.pull(id)
			return len(got) > 0
		})
		body, err := base64.StdEncoding.DecodeString(got[0].Body)
		require.NoError(t, err)
		assert.Contains(t, string(body), `"type":"cf.queues.queue.created"`)
	}
}

// The analytics count what was pushed; they go by the same tokens.
func TestAnalytics(t *testing.T) {
	c := start(t, options{token: "secret"})
	c.do("POST", "/queues", `{"queue_name": "a"}`, nil)
	id := c.queues()["a"]
	c.do("POST", "/queues/"+id+"/messages/batch", `{"messages": [{"body": 1}, {"body": 2}]}`, nil)
	c.base = strings.TrimSuffix(c.base, "/accounts/"+account) + "/graphql"
	query, err := json.Marshal(map[string]string{"query": `{ viewer { accounts(filter: {accountTag: "` + account + `"}) {
		queueMessageOperationsAdaptiveGroups(limit: 10, filter: {queueId: "` + id + `"}) { count dimensions { actionType } } } } }`})
	require.NoError(t, err)
	c.eventually("the writes", func() bool {
		text, status := c.send("POST", "", string(query))
		assert.Equal(t, http.StatusOK, status)
		return strings.Contains(string(text), `"actionType":"WriteMessage"`) && strings.Contains(string(text), `"count":2`)
	})
	c.token = "wrong"
	_, status := c.send("POST", "", string(query))
	assert.Equal(t, http.StatusForbidden, status)
}

func TestTokens(t *testing.T) {
	c := start(t, options{token: "secret", readToken: "looking"})
	c.do("POST", "/queues", `{"queue_name": "a"}`, nil)
	c.token = "looking"
	assert.Len(t, c.queues(), 1)
	assert.Equal(t, http.StatusForbidden, c.try("POST", "/queues", `{"queue_name": "b"}`, nil))
	for _, c.token = range []string{"", "wrong"} {
		assert.Equal(t, http.StatusForbidden, c.try("GET", "/queues", "", nil))
	}
}

// What is wrong with the configuration ends the program, and nothing is left open.
func TestConfigurationsThatAreWrong(t *testing.T) {
	dir := t.TempDir()
	wrong := filepath.Join(dir, "wrangler.toml")
	require.NoError(t, os.WriteFile(wrong, []byte("name = \"s\"\n[[queues.consumers]]\nqueue = \"q\"\nretries = 3\n"), 0o600))
	o := options{db: filepath.Join(dir, "queues.db"), config: wrong}
	_, err := newServer(t.Context(), o, log.New(io.Discard, "", 0))
	assert.ErrorContains(t, err, "wrangler.toml:4: queues.consumers[0].retries is not a key here")
	o.config, o.environment = "wrangler.jsonc", "staging"
	_, err = newServer(t.Context(), o, log.New(io.Discard, "", 0))
	assert.ErrorContains(t, err, "env.staging is missing")
	_, err = newServer(t.Context(), options{account: "me"}, log.New(io.Discard, "", 0))
	assert.ErrorContains(t, err, "-account")
	o.environment = ""
	start(t, o).stop()
}
