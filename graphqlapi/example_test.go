package graphqlapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/graphqlapi"
	"github.com/inproq/inproq/httpapi"
)

// The endpoint stands beside the HTTP API, and goes by the same tokens.
func Example() {
	ctx := context.Background()
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	mails := inproq.Must(inproq.Declare[string](ctx, broker, "mails", inproq.QueueConfig{}))
	inproq.Must(mails.SendBatch(ctx, inproq.Bodies("one", "two", "three")))

	tokens := httpapi.StaticTokens(map[string]httpapi.Permission{"secret": httpapi.QueuesRead})
	mux := http.NewServeMux()
	mux.Handle("/client/v4/graphql", graphqlapi.New(broker, graphqlapi.Config{Authorize: tokens}))
	mux.Handle("/client/v4/", httpapi.New(broker, httpapi.Config{Authorize: tokens}))

	body := `{"query": "{ viewer { accounts { queuesBacklogAdaptiveGroups { avg { messages } } } } }"}`
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/client/v4/graphql", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer secret")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Print(w.Body)
	// Output:
	// {"data":{"viewer":{"accounts":[{"queuesBacklogAdaptiveGroups":[{"avg":{"messages":3}}]}]}},"errors":null}
}
