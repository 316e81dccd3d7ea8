package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// decoders are those of every body.
func decoders(a *api) map[string]func([]byte) error {
	return map[string]func([]byte) error{
		"queue":        func(raw []byte) error { _, err := a.queueRequest(raw); return err },
		"consumer":     func(raw []byte) error { _, err := a.consumerRequest(raw); return err },
		"message":      func(raw []byte) error { var d decoder; a.message(&d, raw, ""); return d.err },
		"batch":        func(raw []byte) error { _, _, err := a.batch(raw); return err },
		"pull":         func(raw []byte) error { _, err := a.pullRequest(raw); return err },
		"ack":          func(raw []byte) error { _, err := a.ackRequest(raw); return err },
		"peek":         func(raw []byte) error { _, err := peekRequest(raw); return err },
		"refs":         func(raw []byte) error { _, err := refsRequest(raw); return err },
		"purge":        purgeRequest,
		"subdomain":    subdomainRequest,
		"subscription": func(raw []byte) error { _, err := a.subscriptionRequest(raw); return err },
	}
}

// What a decoder refuses, it refuses with one of the codes for bodies and a place within
// the body; what it takes is JSON.
func FuzzDecoders(f *testing.F) {
	for _, seed := range []string{
		`{"queue_name":"a","settings":{"delivery_delay":5,"delivery_paused":true,"message_retention_period":60.0}}`,
		`{"type":"worker","script_name":"s","settings":{"batch_size":1e1,"max_concurrency":null},"dead_letter_queue":"d"}`,
		`{"type":"http_pull","settings":{"visibility_timeout_ms":1000,"retry_delay":0}}`,
		`{"body":{"a":[1,2,{"b":null}]},"content_type":"json","delay_seconds":3}`,
		`{"body":"\ud83d\ude00","content_type":"text"}`,
		`{"messages":[{"body":1},{"body":"x","content_type":"text"}],"delay_seconds":1}`,
		`{"batch_size":5,"visibility_timeout_ms":1000}`,
		`{"acks":[{"lease_id":"a"}],"retries":[{"lease_id":"b","delay_seconds":3}]}`,
		`{"refs":[{"ref":"p.x"}]}`, `{"delete_messages_permanently":true}`, `{"enabled":false}`,
		`{"name":"s","enabled":true,"source":{"type":"r2"},"destination":{"type":"queues.queue","queue_id":"q"},"events":["bucket.created"]}`,
		``, `null`, `[`, `{"a":1,"a":2}`, `{"body":1}x`, `{"delay_seconds":1e400}`, "{\"\xff\":1}", `{"a~/b":1}`,
	} {
		f.Add([]byte(seed))
	}
	b, err := inproq.NewBroker(inproq.Config{})
	require.NoError(f, err)
	f.Cleanup(func() { _ = b.Shutdown(f.Context()) })
	list := decoders(newAPI(b, Config{}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for name, decode := range list {
			err := decode(raw)
			if err == nil {
				assert.True(t, json.Valid(raw) || len(bytes.TrimSpace(raw)) == 0 && (name == "pull" || name == "peek"), "%s: not JSON: %q", name, raw)
				continue
			}
			x, ok := errors.AsType[*failure](err)
			require.True(t, ok, "%s: %v", name, err)
			assert.Equal(t, 400, x.status, "%s: %v", name, err)
			assert.NotEmpty(t, x.Message)
			assert.Less(t, len(x.Message), 1000, "%s: %v", name, err)
			if x.Code == codeMalformed {
				assert.False(t, json.Valid(raw), "%s: valid JSON: %q: %v", name, raw, err)
			}
			if x.Source != nil && x.Source.Pointer != "" {
				assert.True(t, strings.HasPrefix(x.Source.Pointer, "/"), "%s: %q", name, x.Source.Pointer)
			}
		}
	})
}

// Whole numbers are exact, whatever their form, and durations within their bounds.
func FuzzNumbers(f *testing.F) {
	for _, seed := range []string{"0", "-0", "5.0", "5e0", "1.5", "9223372036854775807", "9223372036854775808", "1e400", "9007199254740993.0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d decoder
		o := d.body([]byte(`{"n":`+text+`}`), "n")
		n := o.number("n", codeMetadata)
		if n != nil {
			var exact json.Number
			require.NoError(t, json.Unmarshal([]byte(text), &exact))
			if whole, err := exact.Int64(); err == nil {
				assert.Equal(t, whole, *n)
			} else {
				f, err := exact.Float64()
				require.NoError(t, err)
				assert.Equal(t, f, float64(*n))
			}
		}
		if v := o.duration("n", time.Second, codeMetadata, 0, 12*time.Hour); v != nil {
			assert.True(t, *v >= 0 && *v <= 12*time.Hour && *v == time.Duration(*n)*time.Second, "%v", *v)
		}
	})
}

// Whatever is in a request, the reply is an envelope, and no request is the server's fault.
func FuzzRequests(f *testing.F) {
	f.Add("POST", "/client/v4/accounts/a/queues", "", "", `{"queue_name":"a"}`)
	f.Add("GET", "/accounts/a/queues", "page=2&name=x", "Bearer t", "")
	f.Add("POST", "/x/accounts/a/queues/%2e%2e/messages/pull", "", "Basic", "{}")
	f.Add("HEAD", "//accounts/../memberships", "%", "", "")
	b, err := inproq.NewBroker(inproq.Config{})
	require.NoError(f, err)
	f.Cleanup(func() { _ = b.Shutdown(f.Context()) })
	open := New(b, Config{Authorize: anybody})
	closed := New(b, Config{Authorize: StaticTokens(map[string]Permission{"token": QueuesRead})})
	f.Fuzz(func(t *testing.T, method, path, query, authorization, body string) {
		for _, h := range []*api{open.(*api), closed.(*api)} {
			r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(body))
			r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
			r.Header.Set("Authorization", authorization)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Less(t, w.Code, 500, w.Body)
			var e envelope
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e), w.Body)
			assert.Equal(t, w.Code == 200, e.Success)
			assert.NotContains(t, w.Body.String(), "<")
		}
	})
}
