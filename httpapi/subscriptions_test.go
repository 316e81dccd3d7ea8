package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/eventsub"
)

const subscriptions = "/event_subscriptions/subscriptions"

// subscribe creates a subscription of a queue to a worker's builds, or to the source that
// is given.
func subscribe(c *caller, queuePath, source string) (w wireSubscription) {
	c.t.Helper()
	body := fmt.Sprintf(`{"name":"n %s","enabled":true,"source":{"type":"workersBuilds.worker","worker_name":%q},
		"destination":{"type":"queues.queue","queue_id":%q},"events":["build.started"]}`, source, source, queueID(queuePath))
	c.do("POST", subscriptions, body).ok(&w)
	return w
}

func queueID(path string) string { return strings.TrimPrefix(path, "/queues/") }

func TestSubscriptionsRoundTrip(t *testing.T) {
	c := call(t, inproq.Config{})
	path, other := c.queue("events"), c.queue("other")
	w := subscribe(c, path, "shop")
	assert.Regexp(t, "^[0-9a-f]{32}$", w.ID)
	assert.Equal(t, wireSubscription{
		ID: w.ID, CreatedAt: w.CreatedAt, ModifiedAt: w.CreatedAt, Name: "n shop", Enabled: true,
		Source:      eventsub.Source{Type: "workersBuilds.worker", Args: map[string]string{"worker_name": "shop"}},
		Destination: wireDestination{"queues.queue", queueID(path)}, Events: []string{"build.started"},
	}, w)
	one := subscriptions + "/" + w.ID
	var got wireSubscription
	c.do("GET", one, "").ok(&got)
	assert.Equal(t, w, got)
	c.do("PATCH", one, `{"enabled":false}`).ok(&got)
	assert.False(t, got.Enabled)
	assert.Equal(t, w.Events, got.Events)
	c.do("PATCH", one, fmt.Sprintf(`{"name":"new","events":["build.failed"],"destination":{"queue_id":%q}}`, queueID(other))).ok(&got)
	assert.Equal(t, "new", got.Name)
	assert.Equal(t, queueID(other), got.Destination.QueueID)
	whole := c.do("GET", one, "").ok(nil)
	c.do("PATCH", one, string(whole.Result)).ok(nil)
	c.do("DELETE", one, "").ok(&got)
	assert.Equal(t, "new", got.Name)
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		c.do(method, one, map[string]string{"PATCH": "{}"}[method]).fails(http.StatusNotFound, 0, "No subscription with this ID")
	}
}

func TestSubscribedEventsArrive(t *testing.T) {
	c := call(t, inproq.Config{})
	events, err := eventsub.New(c.broker, eventsub.Config{AccountID: account})
	require.NoError(t, err)
	c.handler = New(c.broker, Config{AccountID: account, Authorize: anybody, Events: events})
	w := subscribe(c, c.queue("events"), "shop")
	publish := func() {
		require.NoError(t, events.Publish(t.Context(), eventsub.Event{
			Source: eventsub.Source{Type: "workersBuilds.worker", Args: map[string]string{"worker_name": "shop"}}, Name: "build.started",
		}))
	}
	publish()
	c.do("PATCH", subscriptions+"/"+w.ID, `{"enabled":false}`).ok(nil)
	publish()
	c.do("PATCH", subscriptions+"/"+w.ID, `{"enabled":true}`).ok(nil)
	publish()
	c.do("DELETE", subscriptions+"/"+w.ID, "").ok(nil)
	publish()
	m, err := c.broker.Metrics(t.Context(), "events")
	require.NoError(t, err)
	assert.EqualValues(t, 2, m.BacklogCount)
}

func TestSubscriptionListsHavePages(t *testing.T) {
	c := call(t, inproq.Config{})
	path, other := c.queue("events"), c.queue("other")
	for i := range 25 {
		subscribe(c, path, fmt.Sprintf("s%02d", 24-i))
	}
	w := subscribe(c, other, "x")
	c.do("PATCH", subscriptions+"/"+w.ID, `{"enabled":false}`).ok(nil)
	list := func(query string) (names []string, info *resultInfo) {
		t.Helper()
		var page []wireSubscription
		res := c.do("GET", subscriptions+query, "").ok(&page)
		assert.NotEqual(t, "null", string(res.Result))
		for i := range page {
			names = append(names, strings.TrimPrefix(page[i].Name, "n "))
		}
		return names, res.Info
	}
	names, info := list("")
	assert.Len(t, names, 20)
	assert.Equal(t, &resultInfo{Page: 1, PerPage: 20, Count: 20, TotalCount: 26, TotalPages: 2}, info)
	names, info = list("?page=2")
	assert.Len(t, names, 6)
	assert.Equal(t, 6, info.Count)
	names, info = list("?page=3")
	assert.Empty(t, names)
	assert.Equal(t, 26, info.TotalCount)
	names, _ = list("?queue_id=" + queueID(other) + "&page=1&per_page=20")
	assert.Equal(t, []string{"x"}, names)
	names, _ = list("?queue_id=" + unknown)
	assert.Empty(t, names)
	names, _ = list("?order=name&per_page=2")
	assert.Equal(t, []string{"s00", "s01"}, names)
	names, _ = list("?order=name&direction=desc&per_page=2")
	assert.Equal(t, []string{"x", "s24"}, names)
	names, _ = list("?order=enabled&per_page=1")
	assert.Equal(t, []string{"x"}, names)
	names, _ = list("?order=source&direction=asc&per_page=1&page=26")
	assert.Len(t, names, 1)
	for _, query := range []string{"?order=id", "?direction=up", "?page=0", "?per_page=x"} {
		c.do("GET", subscriptions+query, "").fails(http.StatusBadRequest, codeInvalid, "should be")
	}
}

func TestSubscriptionsThatAreRefused(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.queue("events")
	subscribe(c, path, "shop")
	body := func(source, events string) string {
		return fmt.Sprintf(`{"name":"n","source":%s,"destination":{"type":"queues.queue","queue_id":%q},"events":%s}`, source, queueID(path), events)
	}
	post := func(body string) *reply { t.Helper(); return c.do("POST", subscriptions, body) }
	post(body(`{"type":"workersBuilds.worker","worker_name":"shop"}`, `["build.failed"]`)).fails(405, 0, "do not support multiple subscriptions")
	post(body(`{"type":"r2"}`, `["bucket.emptied"]`)).fails(400, 0, "Unrecognized event types")
	post(body(`{"type":"r3"}`, `["bucket.created"]`)).fails(400, 0, "Unrecognized source type")
	post(body(`{"type":"workersBuilds.worker"}`, `["build.started"]`)).fails(400, codeInvalid, "worker_name")
	post(body(`{"type":"r2","bucket":"x"}`, `["bucket.created"]`)).fails(400, codeInvalid, "unknown key").at("/source/bucket")
	post(body(`{"type":"r2"}`, `[1]`)).fails(400, codeInvalid, "string").at("/events/0")
	post(body(`{"type":"r2"}`, `[]`)).fails(400, codeInvalid, "events")
	post(body(`"r2"`, `["bucket.created"]`)).fails(400, codeInvalid, "object").at("/source")
	post(`{"source":{"type":"r2"},"events":["bucket.created"]}`).fails(400, codeInvalid, "required").at("/destination")
	post(`{"destination":{"queue_id":"x"},"events":["bucket.created"]}`).fails(400, codeInvalid, "required").at("/source")
	post(strings.Replace(body(`{"type":"r2"}`, `["bucket.created"]`), queueID(path), unknown, 1)).fails(404, codeNoQueueHere, "queue not found")
	post(strings.Replace(body(`{"type":"r2"}`, `["bucket.created"]`), "queues.queue", "r2", 1)).fails(400, codeInvalid, "destination")
	post("").fails(400, codeMalformed, "")
	w := subscribe(c, path, "blog")
	c.do("PATCH", subscriptions+"/"+w.ID, `{"source":{"type":"r2"}}`).fails(400, codeInvalid, "cannot be changed").at("/source")
	c.do("PATCH", subscriptions+"/"+w.ID, `{"events":["x"]}`).fails(400, 0, "Unrecognized event types")
}

// What the decoder refuses, it refuses with a code, and it never fails otherwise.
func FuzzSubscriptionRequest(f *testing.F) {
	f.Add([]byte(`{"name":"n","enabled":true,"source":{"type":"r2"},"destination":{"type":"queues.queue","queue_id":"q"},"events":["bucket.created"]}`))
	f.Add([]byte(`{"source":{"type":"email.sending","zone_id":"z","domain":null},"events":null}`))
	f.Add([]byte(`{"events":["a",1]}`))
	b, err := inproq.NewBroker(inproq.Config{})
	require.NoError(f, err)
	f.Cleanup(func() { _ = b.Shutdown(f.Context()) })
	a := newAPI(b, Config{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, err := a.subscriptionRequest(raw)
		if err != nil {
			assert.Less(t, a.failureOf(httpRequest(t), err).status, 500, "%v", err)
		}
	})
}

func httpRequest(t *testing.T) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	require.NoError(t, err)
	return r
}
