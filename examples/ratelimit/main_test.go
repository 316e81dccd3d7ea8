package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// transport answers requests without a socket, on which virtual time would not
// pass.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// serve makes a transport of a handler.
func serve(h http.Handler) transport {
	return func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result(), nil
	}
}

// newCaller has the real figures.
func newCaller(api transport) *caller {
	return &caller{client: &http.Client{Transport: api}, url: "http://api.invalid", window: time.Second, delay: 5 * time.Second}
}

func TestTwoRequestsASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCaller(serve(&quota{limit: 2, window: time.Second}))
		var out bytes.Buffer
		require.NoError(t, run(t.Context(), &out, c))
		assert.Equal(t, `    0s report 1, attempt 1: accepted
    0s report 2, attempt 1: accepted
    1s report 3, attempt 1: accepted
    1s report 4, attempt 1: accepted
    2s report 5, attempt 1: accepted
    2s report 6, attempt 1: accepted
`, out.String())
	})
}

// An API that is slow is not asked by several handlers at once.
func TestOneHandlerAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		asking, most := 0, 0
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			asking += n
			most = max(most, asking)
		}
		c := newCaller(func(*http.Request) (*http.Response, error) {
			count(1)
			time.Sleep(20 * time.Second)
			count(-1)
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		})
		var out bytes.Buffer
		require.NoError(t, run(t.Context(), &out, c))
		assert.Equal(t, 1, most)
	})
}

// Another program has used one of the two requests.
func TestWhatIsRefusedComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCaller(serve(&quota{limit: 2, window: time.Second}))
		require.NoError(t, another(t.Context(), c))
		var out bytes.Buffer
		require.NoError(t, run(t.Context(), &out, c))
		assert.Equal(t, `    0s report 1, attempt 1: accepted
    0s report 2, attempt 1: 429 Too Many Requests
    1s report 3, attempt 1: accepted
    1s report 4, attempt 1: accepted
    2s report 5, attempt 1: accepted
    2s report 6, attempt 1: accepted
    5s report 2, attempt 2: accepted
`, out.String())
	})
}

func TestReportsAreStillOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		var out bytes.Buffer
		err := run(ctx, &out, newCaller(serve(&quota{limit: 0, window: time.Second})))
		assert.EqualError(t, err, "stopped early; reports that the API has not got: 6")
	})
}
