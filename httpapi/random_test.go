package httpapi

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// A generator makes requests that are right, nearly right, and not at all.
type generator struct {
	*rand.Rand
	routes    []route
	queues    []string // ids, also of queues that are gone by now
	consumers []string
	subs      []string
	leases    []string
	refs      []string
}

func (g *generator) pick(list ...string) string {
	if len(list) == 0 {
		return unknown
	}
	return list[g.IntN(len(list))]
}

// value is any JSON value, with a preference for those at a bound.
func (g *generator) value(depth int) string {
	switch g.IntN(12) {
	case 0:
		return "null"
	case 1:
		return g.pick("true", "false")
	case 2, 3, 4:
		return g.pick("0", "1", "-1", "5", "60", "100", "101", "43200", "43201", "86400", "1209600", "1e3", "1.5", "1e400",
			"9223372036854775807", "-9223372036854775808", "18446744073709551616", "0.0", "-0")
	case 5, 6:
		return g.text()
	case 7:
		if depth > 3 {
			return "[]"
		}
		var list []string
		for range g.IntN(4) {
			list = append(list, g.value(depth+1))
		}
		return "[" + strings.Join(list, ",") + "]"
	case 8:
		if depth > 3 {
			return "{}"
		}
		return g.object(depth + 1)
	case 9:
		return g.pick(`"worker"`, `"http_pull"`, `"json"`, `"text"`, `"queues.queue"`)
	case 10:
		return fmt.Sprintf("%q", g.pick(g.leases...))
	default:
		return fmt.Sprintf("%q", g.pick(g.refs...))
	}
}

func (g *generator) text() string {
	return g.pick(`""`, `"a"`, `"orders"`, `"dead"`, `"a_b"`, `"-"`, `"\u0000"`, `"\ud800"`, `"<script>"`, `"`+strings.Repeat("x", g.IntN(70))+`"`)
}

// keys are all that the API knows, and some that it does not.
var keys = []string{"queue_name", "settings", "delivery_delay", "delivery_paused", "message_retention_period", "type",
	"script_name", "dead_letter_queue", "batch_size", "max_retries", "max_wait_time_ms", "max_concurrency", "retry_delay",
	"visibility_timeout_ms", "body", "content_type", "delay_seconds", "messages", "acks", "retries", "lease_id", "refs", "ref",
	"delete_messages_permanently", "enabled", "name", "source", "destination", "events", "queue_id", "", "x", "__proto__"}

func (g *generator) object(depth int) string {
	var list []string
	for range g.IntN(5) {
		list = append(list, fmt.Sprintf("%q:%s", g.pick(keys...), g.value(depth)))
	}
	return "{" + strings.Join(list, ",") + "}"
}

// body is that of a request, mostly one that its route could do something with.
func (g *generator) body(pattern string) string {
	n := g.value(5)
	switch g.IntN(8) {
	case 0:
		return g.object(0)
	case 1:
		return g.value(0)
	case 2:
		b := []byte(g.object(0)) // broken
		b[g.IntN(len(b))] = byte(g.IntN(256))
		return string(b)
	}
	switch {
	case strings.HasSuffix(pattern, "/queues"):
		return fmt.Sprintf(`{"queue_name":"q%d","settings":{"delivery_delay":%s}}`, g.IntN(30), g.pick("0", "1", n))
	case strings.HasSuffix(pattern, "{queue_id}"):
		return fmt.Sprintf(`{"settings":{"delivery_paused":%s,"message_retention_period":%s}}`, g.pick("false", "true", n), g.pick("60", "600", n))
	case strings.Contains(pattern, "/consumers"):
		return fmt.Sprintf(`{"type":%s,"script_name":"s","dead_letter_queue":%s,"settings":{"max_retries":%s}}`,
			g.pick(`"worker"`, `"http_pull"`), g.pick(`"q1"`, `""`, g.text()), g.pick("0", "100", n))
	case strings.HasSuffix(pattern, "/batch"):
		return fmt.Sprintf(`{"messages":[{"body":%s},{"body":"x","content_type":"text","delay_seconds":%s}]}`, n, g.pick("0", "1", n))
	case strings.HasSuffix(pattern, "/pull"), strings.HasSuffix(pattern, "/peek"):
		return g.pick("", "{}", `{"batch_size":100}`, `{"batch_size":`+n+`}`)
	case strings.HasSuffix(pattern, "/ack"):
		return fmt.Sprintf(`{"acks":[{"lease_id":%q}],"retries":[{"lease_id":%q,"delay_seconds":%s}]}`, g.pick(g.leases...), g.pick(g.leases...), g.pick("0", n))
	case strings.HasSuffix(pattern, "/messages/purge"):
		return fmt.Sprintf(`{"refs":[{"ref":%q},{"ref":%q}]}`, g.pick(g.refs...), g.pick(g.leases...))
	case strings.HasSuffix(pattern, "/purge"):
		return `{"delete_messages_permanently":true}`
	case strings.HasSuffix(pattern, "/messages"):
		return fmt.Sprintf(`{"body":%s,"delay_seconds":%s}`, n, g.pick("0", n))
	case strings.Contains(pattern, "subscriptions"):
		return fmt.Sprintf(`{"name":"s%d","enabled":true,"source":{"type":%s},"destination":{"type":"queues.queue","queue_id":%q},"events":[%s]}`,
			g.IntN(9), g.pick(`"r2"`, `"kv"`, g.text()), g.pick(g.queues...), g.pick(`"bucket.created"`, `"namespace.created"`, g.text()))
	}
	return g.object(0)
}

// request makes one, to any route, by mostly its method.
func (g *generator) request() *http.Request {
	rt := g.routes[g.IntN(len(g.routes))]
	url := strings.NewReplacer(
		"{account_id}", g.pick(account, g.pick(account, account, account, unknown, "x")),
		"{queue_id}", g.pick(g.pick(g.queues...), g.pick(g.queues...), g.pick(g.queues...), g.pick(g.queues...), g.pick(unknown, "a-b", "%00")),
		"{consumer_id}", g.pick(g.pick(g.consumers...), g.pick(g.consumers...), unknown),
		"{subscription_id}", g.pick(g.pick(g.subs...), g.pick(g.subs...), unknown), "{script}", "s",
	).Replace("/client/v4" + rt.pattern)
	if g.IntN(20) == 0 {
		url += g.pick("/", "//", "/x", "/..", "%2f")
	}
	if g.IntN(4) == 0 {
		url += g.pick("?page=1", "?page=2&per_page=1", "?page=-1", "?name=q1&name=q2", "?queue_id="+g.pick(g.queues...), "?per_page=x", "?%zz", "?order=name&direction=desc", "?page=999999999999")
	}
	method := rt.method
	if g.IntN(30) == 0 {
		method = g.pick("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW")
	}
	if method == "DELETE" && g.IntN(8) > 0 {
		method = "GET" // else there is never much
	}
	body := ""
	if method != "GET" && method != "DELETE" {
		body = g.body(rt.pattern)
	}
	r := httptest.NewRequest(method, url, strings.NewReader(body))
	if g.IntN(10) == 0 {
		r.ContentLength = -1
	}
	return r
}

// learn takes ids from a reply, so that later requests name what exists.
func (g *generator) learn(raw string) {
	for _, x := range []struct {
		key  string
		list *[]string
	}{{`"queue_id":"`, &g.queues}, {`"consumer_id":"`, &g.consumers}, {`"result":{"id":"`, &g.subs}, {`"lease_id":"`, &g.leases}, {`"ref":"`, &g.refs}} {
		if _, rest, ok := strings.Cut(raw, x.key); ok {
			value, _, _ := strings.Cut(rest, `"`)
			if *x.list = append(*x.list, value); len(*x.list) > 20 {
				*x.list = (*x.list)[1:]
			}
		}
	}
}

// No request is the server's fault.
func TestRandomRequests(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 5_000
	}
	c := call(t, inproq.Config{})
	api := c.handler.(*api)
	g := &generator{Rand: rand.New(rand.NewPCG(7, 7)), routes: api.routes()}
	statuses := map[int]int{}
	for i := range n {
		r := g.request()
		w := httptest.NewRecorder()
		c.handler.ServeHTTP(w, r)
		require.Less(t, w.Code, 500, "%d: %s %s: %s", i, r.Method, r.URL, w.Body)
		statuses[w.Code]++
		g.learn(w.Body.String())
	}
	t.Log(statuses)
	for _, status := range []int{200, 400, 403, 404, 405, 409} {
		assert.GreaterOrEqual(t, statuses[status], n/1000, "replies with %d", status)
	}
}
