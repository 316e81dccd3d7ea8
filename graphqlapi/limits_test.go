package graphqlapi

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// aliases are so many names of one field.
func aliases(n int, field string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "x%d: %s ", i, field)
	}
	return b.String()
}

func list(n int) []any { return make([]any, n) }

func texts(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

// A small query must not be a lot of work.
func TestWhatAQueryMayCost(t *testing.T) {
	c := call(t)
	inproq.Must(c.broker.CreateQueue(t.Context(), "q", inproq.QueueConfig{}))
	backlog := func(args, fields string) string {
		return only(`queuesBacklogAdaptiveGroups` + args + ` { ` + fields + ` }`)
	}
	withFilter := strings.Replace(backlog(`(filter: $f)`, `count`), "query(", "query($f: F, ", 1)
	withOrder := strings.Replace(backlog(`(orderBy: $f)`, `count`), "query(", "query($f: O, ", 1)
	some := backlog(``, aliases(30, "count")+`avg { `+aliases(30, "bytes")+`} dimensions { `+aliases(4, "date")+`}`)
	filters := func(n int) map[string]any {
		all := make([]map[string]string, n)
		for i := range all {
			all[i] = map[string]string{"queueId_neq": "x"}
		}
		return map[string]any{"f": map[string]any{"OR": all}}
	}
	inline, err := json.Marshal(texts(101))
	require.NoError(t, err)
	for _, x := range []struct {
		name, query string
		variables   map[string]any
		want        string // the error; empty: none
	}{
		{"as many values", some, nil, ""},
		{"one more", backlog(``, aliases(65, "count")), nil, "more than 64 selected values"},
		{"one more below", backlog(``, `avg { `+aliases(65, "bytes")+`}`), nil, "more than 64 selected values"},
		{"one more in dimensions", backlog(``, `count dimensions { `+aliases(64, "date")+`}`), nil, "more than 64 selected values"},
		{"one more without a value", backlog(``, aliases(65, "__typename")), nil, "more than 64 selected values"},
		{
			"fragments in fragments", `{ ` + aliases(30, "viewer { ...V }") + `}
			fragment V on X { ` + aliases(30, "accounts { ...A }") + `}
			fragment A on X { ` + aliases(30, "accountTag") + `}`,
			nil, "more than 10000 fields",
		},
		{"a list", withFilter, map[string]any{"f": map[string]any{"queueId_in": texts(100)}}, ""},
		{"a longer one", withFilter, map[string]any{"f": map[string]any{"queueId_in": texts(101)}}, "queueId_in has 101 values, more than 100"},
		{"of times", withFilter, map[string]any{"f": map[string]any{"date_notin": list(101)}}, "date_notin has 101 values, more than 100"},
		{"as a literal", backlog(`(filter: {queueID_notin: `+string(inline)+`})`, `count`), nil, "queueID_notin has 101 values, more than 100"},
		{"filters", withFilter, filters(124), ""},
		{"more filters", withFilter, filters(125), "more than 250"},
		{"lists", withFilter, map[string]any{"f": map[string]any{"AND": []any{
			map[string]any{"queueId_in": texts(90)}, map[string]any{"queueId_in": texts(90)}, map[string]any{"queueId_in": texts(90)},
		}}}, "more than 250"},
		{"orders", withOrder, map[string]any{"f": strings.Fields(strings.Repeat("count_ASC ", 16))}, ""},
		{"more orders", withOrder, map[string]any{"f": strings.Fields(strings.Repeat("count_ASC ", 17))}, "orderBy has 17 values, more than 16"},
	} {
		a := c.ask(x.query, x.variables)
		if x.want == "" {
			assert.Empty(t, a.Errors, x.name)
		} else if assert.NotEmpty(t, a.Errors, x.name) {
			assert.Contains(t, a.Errors[0].Message, x.want, x.name)
		}
	}
}

// The values of all groups count, those of other datasets too, but not those that a limit
// leaves out.
func TestValuesOfAllGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := call(t)
		for i := range 6 { // a day of minutes each
			name := fmt.Sprint("q", i)
			inproq.Must(c.broker.CreateQueue(t.Context(), name, inproq.QueueConfig{}))
			pulled(t, c.broker, name)
		}
		time.Sleep(25 * time.Hour)
		const fields = `{ dimensions { datetimeMinute queueId } avg { `
		dataset := func(name, args string) string {
			return name + `: queueConsumerMetricsAdaptiveGroups` + args + fields + aliases(38, "concurrency") + `} } `
		}
		one := c.ask(only(dataset("a", "")), nil)
		require.Empty(t, one.Errors, "8,646 groups of 40 values")
		assert.Less(t, len(one.Data), maxReply)
		two := c.ask(only(dataset("a", "")+dataset("b", "")), nil)
		require.NotEmpty(t, two.Errors)
		assert.Contains(t, two.Errors[0].Message, "more than 500000 values")
		assert.Empty(t, c.ask(only(dataset("a", "")+dataset("b", "(limit: 100)")), nil).Errors)

		long := `queueConsumerMetricsAdaptiveGroups { dimensions { datetimeMinute queueId } ` + strings.Repeat("x", 4000) + `: count }`
		a := c.ask(only(long), nil)
		require.NotEmpty(t, a.Errors)
		assert.Contains(t, a.Errors[0].Message, "the reply has more than 33554432 bytes")
	})
}

// Groups are encoded as encoding/json would do it.
func TestEncoding(t *testing.T) {
	values := []float64{0, 1, -2.5, 1. / 3, 1e-7, 123456789, 1e20, 1e21, 1.5e300, math.MaxFloat64}
	for _, f := range values {
		var got float64
		require.NoError(t, json.Unmarshal(appendNumber(nil, f), &got))
		assert.Equal(t, f, got)
	}
	assert.Equal(t, "null", string(appendNumber(nil, math.Inf(1))))
	assert.Equal(t, "null", string(appendNumber(nil, math.NaN())))
	got, err := encode(t.Context(), result{[]string{"a", "b"}, []any{"\"<\n", []any{result{}, result{}}}})
	require.NoError(t, err)
	assert.Equal(t, `{"a":"\"\u003c\n","b":[{},{}]}`, string(got))
	_, err = encode(t.Context(), result{[]string{"a"}, []any{1}})
	assert.Error(t, err)

	// One copy, whatever the depth: a few allocations for all groups.
	g := &grouping{dataset: datasets["queuesBacklogAdaptiveGroups"], columns: []column{{name: "avg", key: "avg"}}}
	for range maxLeaves {
		g.columns[0].sub = append(g.columns[0].sub, sub{"messages", "messages"})
	}
	r := result{[]string{"d"}, []any{rows{g, make([]*group, 1000)}}}
	for i := range 1000 {
		r.values[0].(rows).list[i] = &group{sums: [measures]float64{12.5}, of: [measures]float64{3}}
	}
	allocations := testing.AllocsPerRun(3, func() {
		_, err := encode(t.Context(), r)
		require.NoError(t, err)
	})
	assert.Less(t, allocations, 200., "of 64,000 values")
}

// Nobody waits: the work ends.
func TestQueriesOfCallersThatAreGone(t *testing.T) {
	c := call(t)
	inproq.Must(c.broker.CreateQueue(t.Context(), "q", inproq.QueueConfig{}))
	ctx, cancel := context.WithCancel(t.Context())
	d := datasets["queuesBacklogAdaptiveGroups"]
	h := c.handler.(*handler)

	// In the midst of a queue.
	seen := 0
	many := &dataset{records: func(_ *queueMinutes, yield func(*record)) {
		for range 10 * checkEvery {
			yield(&record{})
		}
	}}
	err := h.each(ctx, &query{}, many, &condition{}, func(*record) {
		seen++
		cancel()
	})
	require.ErrorIs(t, err, context.Canceled)
	assert.Less(t, seen, checkEvery)

	// Before one.
	err = h.each(ctx, &query{}, d, &condition{}, func(*record) { t.Error("a record was looked at") })
	require.ErrorIs(t, err, context.Canceled)

	// While the reply is written.
	_, err = encode(ctx, result{[]string{"d"}, []any{rows{&grouping{dataset: d}, []*group{{}}}}})
	require.ErrorIs(t, err, context.Canceled)

	body := `{"query":"{viewer{accounts{queuesBacklogAdaptiveGroups{count}}}}"}`
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(body)))
	assert.Contains(t, w.Body.String(), "given up")
}

func TestAccountIDsThatAreNone(t *testing.T) {
	c := call(t)
	for _, id := range []string{"x", strings.ToUpper(account), account + "0", account[1:], account[1:] + "g"} {
		assert.PanicsWithValue(t, "graphqlapi: Config.AccountID is not 32 lower-case hex digits: "+id,
			func() { New(c.broker, Config{AccountID: id}) })
	}
	assert.NotPanics(t, func() { New(c.broker, Config{}) })
}
