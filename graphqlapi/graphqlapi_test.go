package graphqlapi

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/httpapi"
	"github.com/inproq/inproq/queuetest"
)

const account = "0123456789abcdef0123456789abcdef"

func anybody(*http.Request, httpapi.Permission) error { return nil }

// A caller asks an endpoint without a network.
type caller struct {
	t       testing.TB
	broker  *inproq.Broker
	handler http.Handler
}

func call(t testing.TB) *caller {
	t.Helper()
	b, err := inproq.NewBroker(inproq.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Shutdown(context.Background()) })
	return &caller{t, b, New(b, Config{AccountID: account, Authorize: anybody, Logger: slog.New(slog.DiscardHandler)})}
}

// answer is a reply that was taken apart.
type answer struct {
	Data   json.RawMessage `json:"data"`
	Errors []struct {
		Message string `json:"message"`
	} `json:"errors"`
}

func (c *caller) ask(query string, variables map[string]any) (a answer) {
	c.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	require.NoError(c.t, err)
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, httptest.NewRequestWithContext(c.t.Context(), http.MethodPost, "/graphql", bytes.NewReader(body)))
	require.Equal(c.t, http.StatusOK, w.Code, w.Body.String())
	require.NoError(c.t, json.Unmarshal(w.Body.Bytes(), &a), w.Body.String())
	return a
}

// groups are those of the one dataset of a query.
func (c *caller) groups(query string, variables map[string]any) string {
	c.t.Helper()
	a := c.ask(query, variables)
	require.Empty(c.t, a.Errors)
	var data struct {
		Viewer struct {
			Accounts []map[string]json.RawMessage `json:"accounts"`
		} `json:"viewer"`
	}
	require.NoError(c.t, json.Unmarshal(a.Data, &data))
	require.Len(c.t, data.Viewer.Accounts, 1)
	require.Len(c.t, data.Viewer.Accounts[0], 1, "datasets")
	for _, raw := range data.Viewer.Accounts[0] {
		return string(raw)
	}
	return ""
}

// only makes a query of one dataset.
func only(dataset string) string {
	return `query($q: string) { viewer { accounts(filter: {accountTag: "` + account + `"}) { ` + dataset + ` } } }`
}

// busyHour is a queue whose handler takes 30 seconds for each of the messages that come
// once a minute, in the first ten minutes of an hour; then five come that nobody takes.
func busyHour(t *testing.T) (c *caller, id string, start time.Time) {
	t.Helper()
	c = call(t)
	q := inproq.Must(inproq.Declare[[]byte](t.Context(), c.broker, "q", inproq.QueueConfig{}))
	inproq.Must(q.Consume(func(context.Context, *inproq.MessageBatch[[]byte]) error {
		time.Sleep(30 * time.Second)
		return nil
	}, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}))
	queuetest.Start(t, c.broker)
	start = time.Now().UTC() // midnight, in a bubble
	for range 10 {
		inproq.Must(q.Send(t.Context(), make([]byte, 100)))
		time.Sleep(time.Minute)
	}
	require.NoError(t, c.broker.PauseDelivery(t.Context(), "q"))
	inproq.Must(q.SendBatch(t.Context(), inproq.Bodies(make([][]byte, 5)...)))
	time.Sleep(80 * time.Minute)
	return c, inproq.Must(c.broker.Queue(t.Context(), "q")).ID, start
}

// The three queries of Cloudflare's documentation, with types of variables and names of
// datasets that are not those of its tables. Only their variables are filled in.
const (
	documentedBacklog = `query QueueBacklog($accountTag: string!, $queueId: string!, $datetimeStart: Time!, $datetimeEnd: Time!) {
  viewer {
    accounts(filter: {accountTag: $accountTag}) {
      queueBacklogAdaptiveGroups(
        limit: 10000
        filter: {
          queueId: $queueId
          datetime_geq: $datetimeStart
          datetime_leq: $datetimeEnd
        }
      ) {
        avg {
          messages
          bytes
        }
      }
    }
  }
}`
	documentedConcurrency = `query QueueConcurrencyByHour($accountTag: string!, $queueId: string!, $datetimeStart: Time!, $datetimeEnd: Time!) {
  viewer {
    accounts(filter: {accountTag: $accountTag}) {
      queueConsumerMetricsAdaptiveGroups(
        limit: 10000
        filter: {
          queueId: $queueId
          datetime_geq: $datetimeStart
          datetime_leq: $datetimeEnd
        }
        orderBy: [datetimeHour_DESC]
      ) {
        avg {
          concurrency
        }
        dimensions {
          datetimeHour
        }
      }
    }
  }
}`
	documentedOperations = `query QueueMessageOperationsByMinute($accountTag: string!, $queueId: string!, $datetimeStart: Date!, $datetimeEnd: Date!) {
  viewer {
    accounts(filter: {accountTag: $accountTag}) {
      queueMessageOperationsAdaptiveGroups(
        limit: 10000
        filter: {
          queueId: $queueId
          datetime_geq: $datetimeStart
          datetime_leq: $datetimeEnd
        }
        orderBy: [datetimeMinute_DESC]
      ) {
        count
        sum {
          bytes
        }
        dimensions {
          datetimeMinute
        }
      }
    }
  }
}`
)

func TestDocumentedQueriesRunAsTheyStand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, id, start := busyHour(t)
		vars := map[string]any{
			"accountTag": account, "queueId": id,
			"datetimeStart": start.Format(time.RFC3339), "datetimeEnd": start.Add(2 * time.Hour).Format(time.RFC3339),
		}
		var backlog []struct {
			Avg struct{ Messages, Bytes float64 }
		}
		require.NoError(t, json.Unmarshal([]byte(c.groups(documentedBacklog, vars)), &backlog))
		require.Len(t, backlog, 1)
		assert.Positive(t, backlog[0].Avg.Messages)

		var hours []struct {
			Avg        struct{ Concurrency float64 }
			Dimensions struct{ DatetimeHour string }
		}
		require.NoError(t, json.Unmarshal([]byte(c.groups(documentedConcurrency, vars)), &hours))
		require.Len(t, hours, 2)
		assert.Equal(t, "2000-01-01T01:00:00Z", hours[0].Dimensions.DatetimeHour)
		assert.Zero(t, hours[0].Avg.Concurrency)
		assert.InDelta(t, 300./3600, hours[1].Avg.Concurrency, 1e-9, "ten times half a minute in an hour")

		vars["datetimeStart"], vars["datetimeEnd"] = "2000-01-01", "2000-01-02"
		var minutes []struct {
			Count      int
			Sum        struct{ Bytes int }
			Dimensions struct{ DatetimeMinute string }
		}
		require.NoError(t, json.Unmarshal([]byte(c.groups(documentedOperations, vars)), &minutes))
		require.NotEmpty(t, minutes)
		assert.Equal(t, "2000-01-01T00:00:00Z", minutes[len(minutes)-1].Dimensions.DatetimeMinute)
		count, size := 0, 0
		for _, m := range minutes {
			count, size = count+m.Count, size+m.Sum.Bytes
		}
		assert.Equal(t, 10*3+5, count, "writes, reads and deletions")
		assert.Equal(t, 10*3*100, size)
	})
}

// pulled gives a queue a consumer and a first minute: only asking does not begin one.
func pulled(t *testing.T, b *inproq.Broker, queue string) {
	t.Helper()
	spec := inproq.ConsumerSpec{Kind: inproq.HTTPPull}
	inproq.Must(b.AttachConsumer(t.Context(), queue, spec))
	inproq.Must(b.Pull(t.Context(), queue, inproq.PullRequest{}))
}

func TestBacklogIsAnAverageOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := call(t)
		q := inproq.Must(inproq.Declare[[]byte](t.Context(), c.broker, "q", inproq.QueueConfig{}))
		inproq.Must(q.Send(t.Context(), make([]byte, 10)))
		pulled(t, c.broker, "q")
		time.Sleep(9 * time.Minute)
		inproq.Must(q.Send(t.Context(), make([]byte, 20)))
		inproq.Must(c.broker.Pull(t.Context(), "q", inproq.PullRequest{}))
		time.Sleep(time.Minute + 30*time.Second)
		got := c.groups(only(`queuesBacklogAdaptiveGroups { avg { messages bytes } count dimensions { date } }`), nil)
		// Nine minutes of one, one of two, and half a minute of two.
		assert.JSONEq(t, `[{"avg":{"messages":1.1428571428571428,"bytes":12.857142857142858},"count":11,"dimensions":{"date":"2000-01-01"}}]`, got)
	})
}

func TestOperationsByKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := call(t)
		q := inproq.Must(inproq.Declare[[]byte](t.Context(), c.broker, "q", inproq.QueueConfig{}))
		inproq.Must(c.broker.AttachConsumer(t.Context(), "q", inproq.ConsumerSpec{
			Kind: inproq.HTTPPull, Settings: inproq.ConsumerSettings{MaxRetries: 1, DeadLetterQueue: "dead"},
		}))
		inproq.Must(c.broker.Minutes(t.Context(), "q"))
		inproq.Must(q.Send(t.Context(), make([]byte, 7)))
		inproq.Must(q.Send(t.Context(), make([]byte, 70_000)))
		time.Sleep(2 * time.Second)
		for range 2 {
			res := inproq.Must(c.broker.Pull(t.Context(), "q", inproq.PullRequest{}))
			var req inproq.SettleRequest
			for _, m := range res.Messages {
				if len(m.Body) == 7 {
					req.Acks = append(req.Acks, m.LeaseID)
				} else {
					req.Retries = append(req.Retries, inproq.LeaseDelay{LeaseID: m.LeaseID})
				}
			}
			inproq.Must(c.broker.Settle(t.Context(), "q", req))
		}
		got := c.groups(only(`queueMessageOperationsAdaptiveGroups(
			filter: {queueId_neq: "x", AND: [{actionType_in: ["WriteMessage", "ReadMessage", "DeleteMessage"]}]}
			orderBy: [actionType_DESC, outcome_ASC]
		) {
			count sum { billableOperations bytes } avg { lagTime retryCount } max { messageSize }
			dimensions { actionType consumerType outcome }
		}`), nil)
		assert.JSONEq(t, `[
			{"count":2,"sum":{"billableOperations":5,"bytes":70007},"avg":{"lagTime":0,"retryCount":0},"max":{"messageSize":0},
				"dimensions":{"actionType":"WriteMessage","consumerType":"","outcome":""}},
			{"count":3,"sum":{"billableOperations":5,"bytes":140007},"avg":{"lagTime":2000,"retryCount":0.3333333333333333},"max":{"messageSize":70000},
				"dimensions":{"actionType":"ReadMessage","consumerType":"http","outcome":""}},
			{"count":1,"sum":{"billableOperations":0,"bytes":70000},"avg":{"lagTime":2000,"retryCount":1},"max":{"messageSize":70000},
				"dimensions":{"actionType":"DeleteMessage","consumerType":"http","outcome":"dlq"}},
			{"count":1,"sum":{"billableOperations":1,"bytes":7},"avg":{"lagTime":2000,"retryCount":0},"max":{"messageSize":7},
				"dimensions":{"actionType":"DeleteMessage","consumerType":"http","outcome":"success"}}
		]`, got)
	})
}
