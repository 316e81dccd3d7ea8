package graphqlapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/httpapi"
)

// What GraphQL has beside fields: aliases, fragments, directives, defaults, __typename.
func TestTheLanguage(t *testing.T) {
	c := call(t)
	inproq.Must(c.broker.CreateQueue(t.Context(), "q", inproq.QueueConfig{}))
	a := c.ask(`
		query Other { viewer { __typename } }
		query This($tag: String, $no: Boolean = false, $limit: Int = 5) {
			viewer {
				mine: accounts(filter: {accountTag: $tag}) { accountTag ...Backlog ... on Account { kind: __typename } }
				accounts @include(if: $no) { accountTag }
				accounts @skip(if: true) { accountTag }
			}
		}
		fragment Backlog on Account {
			b: queuesBacklogAdaptiveGroups(limit: $limit) { avg { n: messages } }
			b: queuesBacklogAdaptiveGroups(limit: $limit) { ...Again avg { __typename } __typename }
		}
		fragment Again on Group { count ...Again }
	`, nil)
	require.NotEmpty(t, a.Errors, "two operations")
	body, err := json.Marshal(map[string]any{"operationName": "This", "variables": map[string]any{"tag": account}, "query": `
		query Other { viewer { __typename } }
		query This($tag: String, $no: Boolean = false, $limit: Int = 5) {
			viewer {
				mine: accounts(filter: {accountTag: $tag}) { accountTag ...Backlog ... on Account { kind: __typename } }
				accounts @include(if: $no) { accountTag }
				accounts @skip(if: true) { accountTag }
			}
		}
		fragment Backlog on Account {
			b: queuesBacklogAdaptiveGroups(limit: $limit) { avg { n: messages } }
			b: queuesBacklogAdaptiveGroups(limit: $limit) { ...Again avg { __typename } __typename }
		}
		fragment Again on Group { count ...Again }
	`})
	require.NoError(t, err)
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(string(body))))
	assert.Equal(t, `{"data":{"viewer":{"mine":[{"accountTag":"`+account+`",`+
		`"b":[{"avg":{"n":0,"__typename":"avg"},"count":1,"__typename":"group"}],"kind":"account"}]}},"errors":null}`+"\n", w.Body.String())
}

func TestQueriesThatAreRefused(t *testing.T) {
	c := call(t)
	inproq.Must(c.broker.CreateQueue(t.Context(), "q", inproq.QueueConfig{}))
	operations := func(args, fields string) string {
		return only(`queueMessageOperationsAdaptiveGroups` + args + ` { ` + fields + ` }`)
	}
	many := ""
	for i := range 11 {
		many += fmt.Sprintf("d%d: queueConsumerMetricsAdaptiveGroups { count } ", i)
	}
	for query, want := range map[string]string{
		`{`:                              "Expected",
		`{ viewer { budget } }`:          "unknown field",
		`{ __schema { types { name } }}`: "unknown field",
		`{ viewer }`:                     "needs a selection",
		`mutation { viewer { accounts { accountTag } } }`:                       "only queries",
		`fragment F on X { y }`:                                                 "no operation",
		`{ viewer { accounts(filter: {accountTag: "other"}) { accountTag } } }`: "not authorized",
		`{ viewer { accounts(filter: {id: "x"}) { accountTag } } }`:             "accountTag",
		`{ viewer { accounts(first: 1) { accountTag } } }`:                      "no argument first",
		`{ viewer { accounts { httpRequestsAdaptiveGroups { count } } } }`:      "unknown field",
		`{ viewer { accounts { accountTag { x } } } }`:                          "has no fields",
		`{ viewer { accounts { ...Gone } } }`:                                   "no fragment",
		`{ viewer { accounts @defer { accountTag } } }`:                         "directive",
		`{ viewer { accounts @skip(if: 1) { accountTag } } }`:                   "true or false",
		`{ viewer { accounts(filter: {accountTag: $x}) { accountTag } } }`:      "not declared",
		`query($x: String!) { viewer { accounts { accountTag } } }`:             "is required",
		only(many):                                                     "more than 10 datasets",
		operations(`(limit: 0)`, `count`):                              "limit is a number",
		operations(`(limit: 10001)`, `count`):                          "limit is a number",
		operations(`(limit: "5")`, `count`):                            "limit is a number",
		operations(`(filter: 1)`, `count`):                             "a filter is an object",
		operations(`(filter: {size: "x"})`, `count`):                   "cannot be filtered",
		operations(`(filter: {queueId: 1})`, `count`):                  "wants a string",
		operations(`(filter: {queueId_in: "x"})`, `count`):             "wants a list",
		operations(`(filter: {datetime_geq: "noon"})`, `count`):        "wants a time",
		operations(`(filter: {queueId: "a", queueId: "b"})`, `count`):  "there twice",
		operations(`(orderBy: [count])`, `count`):                      "_ASC nor _DESC",
		operations(`(orderBy: [datetimeHour_ASC])`, `count`):           "no selected dimension",
		operations(``, `total`):                                        "unknown field",
		operations(``, `sum { lagTime }`):                              "unknown field",
		operations(``, `sum`):                                          "needs a selection",
		operations(``, `count { x }`):                                  "has no fields",
		operations(``, `dimensions { size }`):                          "unknown field",
		operations(``, `x: count x: dimensions { date }`):              "selected twice",
		only(`queuesBacklogAdaptiveGroups { dimensions { outcome } }`): "unknown field",
		operations(`(filter: `+strings.Repeat(`{AND: `, 30)+`{}`+strings.Repeat(`}`, 30)+`)`, `count`): "depth",
		`{` + strings.Repeat(` viewer { accounts { accountTag } }`, 1000) + `}`:                        "token",
	} {
		a := c.ask(query, nil)
		assert.Equal(t, "null", string(a.Data), query)
		if assert.NotEmpty(t, a.Errors, query) {
			assert.Contains(t, a.Errors[0].Message, want, query)
		}
	}
}

func TestFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, id, start := busyHour(t)
		inproq.Must(c.broker.CreateQueue(t.Context(), "other", inproq.QueueConfig{}))
		minute := func(n int) string { return start.Add(time.Duration(n) * time.Minute).Format(time.RFC3339) }
		for filter, want := range map[string]int{
			``:                                     10 * 3,
			`queueId: "` + id + `"`:                10 * 3,
			`queueID: "` + id + `"`:                10 * 3,
			`queueId: "x"`:                         0,
			`queueId_in: ["x", "` + id + `"]`:      10 * 3,
			`queueId_notin: ["x", "` + id + `"]`:   0,
			`OR: [{queueId: "x"}, {queueId: "y"}]`: 0,
			`OR: [{outcome: "success"}, {actionType: "ReadMessage"}]`:  20,
			`AND: [{outcome: "success"}, {actionType: "ReadMessage"}]`: 0,
			`outcome_neq: ""`:        10,
			`outcome_gt: ""`:         10,
			`consumerType: "worker"`: 20,
			`consumerType: "http"`:   0,
			`date: "2000-01-01"`:     10 * 3,
			`date_gt: "2000-01-01"`:  0,
			`actionType: "WriteMessage", datetimeHour: "` + minute(0) + `"`:                                                    10,
			`actionType: "WriteMessage", datetime_lt: "` + minute(3) + `"`:                                                     3,
			`actionType: "WriteMessage", datetime_leq: "` + minute(3) + `"`:                                                    4,
			`actionType: "WriteMessage", datetimeFiveMinutes_geq: "` + minute(5) + `"`:                                         5,
			`actionType: "WriteMessage", datetime: "` + start.Add(90*time.Second).Format(time.RFC3339) + `"`:                   1,
			`actionType: "WriteMessage", datetime_geq: "` + start.Add(9*time.Minute+30*time.Second).Format(time.RFC3339) + `"`: 1,
			`actionType: "WriteMessage", datetime_notin: ["` + minute(1) + `"]`:                                                9,
		} {
			filter += ` datetimeMinute_lt: "` + minute(10) + `"` // those that nobody takes come then
			var groups []struct{ Count int }
			require.NoError(t, json.Unmarshal([]byte(c.groups(only(`queueMessageOperationsAdaptiveGroups(filter: {`+filter+`}) { count }`), nil)), &groups))
			got := 0
			for _, g := range groups {
				got += g.Count
			}
			assert.Equal(t, want, got, filter)
		}
		limited := c.groups(only(`queueMessageOperationsAdaptiveGroups(limit: 2, orderBy: [datetimeMinute_DESC], filter: {actionType: "ReadMessage"}) { count dimensions { datetimeMinute } }`), nil)
		assert.JSONEq(t, `[{"count":1,"dimensions":{"datetimeMinute":"`+minute(9)+`"}},{"count":1,"dimensions":{"datetimeMinute":"`+minute(8)+`"}}]`, limited)
	})
}

func TestRequestsThatAreRefused(t *testing.T) {
	c := call(t)
	status := func(h http.Handler, method, body string) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/graphql", strings.NewReader(body)))
		var a answer
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a))
		if w.Code != http.StatusOK {
			require.NotEmpty(t, a.Errors)
		}
		return w.Code
	}
	const fine = `{"query":"{viewer{accounts{accountTag}}}"}`
	assert.Equal(t, 200, status(c.handler, "POST", fine))
	assert.Equal(t, 405, status(c.handler, "GET", ""))
	for _, bad := range []string{"", "{", "[]", `{"query":1}`, `{}`} {
		assert.Equal(t, 400, status(c.handler, "POST", bad), bad)
	}
	assert.Equal(t, 413, status(c.handler, "POST", `{"query":"`+strings.Repeat("x", 70_000)+`"}`))

	var asked httpapi.Permission
	refusing := New(c.broker, Config{Authorize: func(_ *http.Request, need httpapi.Permission) error {
		asked = need
		return errors.New("no")
	}})
	assert.Equal(t, 403, status(refusing, "POST", fine))
	assert.Equal(t, httpapi.QueuesRead, asked)
	alone := New(c.broker, Config{})
	assert.Equal(t, 403, status(alone, "POST", fine), "httptest's requests are not from this machine")
	tokens := New(c.broker, Config{Authorize: httpapi.StaticTokens(map[string]httpapi.Permission{"t": httpapi.QueuesRead})})
	assert.Equal(t, 403, status(tokens, "POST", fine))
}

// What a store says is not shown.
func TestErrorsOfTheStoreAreNotShown(t *testing.T) {
	c := call(t)
	require.NoError(t, c.broker.Shutdown(t.Context()))
	a := c.ask(only(`queueConsumerMetricsAdaptiveGroups { count }`), nil)
	require.Len(t, a.Errors, 1)
	assert.Equal(t, "Unknown Internal Error", a.Errors[0].Message)
}

// Whatever the request, it is answered.
func FuzzRequest(f *testing.F) {
	for _, q := range []string{documentedBacklog, documentedConcurrency, documentedOperations, only(`queuesBacklogAdaptiveGroups(filter: {OR: [{queueId: $q}]}) { count ...F } } fragment F on X { ...F`)} {
		f.Add(q, `{"accountTag":"`+account+`","queueId":"x","datetimeStart":"2026-11-30","datetimeEnd":"2026-11-30T12:00:00Z"}`)
	}
	f.Add(`{viewer{accounts{accountTag}}}`, `{"x":[{"y":1e400}]}`)
	c := call(f)
	inproq.Must(c.broker.CreateQueue(f.Context(), "q", inproq.QueueConfig{}))
	f.Fuzz(func(t *testing.T, query, variables string) {
		body, err := json.Marshal(map[string]any{"query": query, "variables": json.RawMessage(variables)})
		if err != nil {
			body = []byte(variables)
		}
		w := httptest.NewRecorder()
		c.handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(string(body))))
		assert.Less(t, w.Code, 500)
		var a answer
		assert.NoError(t, json.Unmarshal(w.Body.Bytes(), &a))
	})
}
