package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/httpapi"
)

// What Cloudflare's documentation does with curl, against a broker of this process.
func Example() {
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	mux := http.NewServeMux()
	mux.Handle("/client/v4/", httpapi.New(broker, httpapi.Config{
		Authorize: httpapi.StaticTokens(map[string]httpapi.Permission{"secret": httpapi.QueuesRead | httpapi.QueuesWrite}),
	}))
	server := httptest.NewServer(mux) // in a program: http.Server with its time-outs
	defer server.Close()

	curl := func(path, body string) string {
		r := inproq.Must(http.NewRequest(http.MethodPost, server.URL+"/client/v4/accounts/any/queues"+path, strings.NewReader(body)))
		r.Header.Set("Authorization", "Bearer secret")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return err.Error()
		}
		defer func() { _ = res.Body.Close() }()
		return string(inproq.Must(io.ReadAll(res.Body)))
	}
	curl("", `{"queue_name":"orders"}`)
	id := inproq.Must(broker.Queue(context.Background(), "orders")).ID
	curl("/"+id+"/consumers", `{"type":"http_pull","settings":{"visibility_timeout_ms":60000}}`)
	curl("/"+id+"/messages", `{"body":"a lamp","content_type":"text"}`)
	pulled := curl("/"+id+"/messages/pull", `{"batch_size":10}`)
	_, lease, _ := strings.Cut(pulled, `"lease_id":"`)
	lease, _, _ = strings.Cut(lease, `"`)
	fmt.Println(strings.Contains(pulled, `"body":"a lamp"`))
	fmt.Print(curl("/"+id+"/messages/ack", `{"acks":[{"lease_id":"`+lease+`"}]}`))
	fmt.Println(broker.Shutdown(context.Background()))
	// Output:
	// true
	// {"success":true,"errors":[],"messages":[],"result":{"ackCount":1,"retryCount":0,"warnings":{}}}
	// <nil>
}

// A handler that an application registers is what a consumer of type worker runs, whoever
// attaches it: here it could be "wrangler queues consumer add orders mailer".
func ExampleNew() {
	ctx, stop := context.WithCancel(context.Background())
	broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
	err := inproq.Handle(broker, "mailer", inproq.Each(func(_ context.Context, m *inproq.Message[string]) error {
		fmt.Println("mail to", m.Body)
		return nil
	}))
	if err != nil {
		panic(err)
	}
	api := httpapi.New(broker, httpapi.Config{Authorize: func(*http.Request, httpapi.Permission) error { return nil }})
	post := func(path, body string) {
		api.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/accounts/any/queues"+path, strings.NewReader(body)))
	}
	post("", `{"queue_name":"orders"}`)
	id := inproq.Must(broker.Queue(ctx, "orders")).ID
	post("/"+id+"/consumers", `{"type":"worker","script_name":"mailer"}`)
	post("/"+id+"/messages/batch", `{"messages":[{"body":"ada@example.org"},{"body":"alan@example.org"}]}`)
	stop() // Run delivers what is ready before it returns
	fmt.Println(broker.Run(ctx))
	// Output:
	// mail to ada@example.org
	// mail to alan@example.org
	// <nil>
}
