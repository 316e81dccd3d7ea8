package e2e

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudflare/cloudflare-go/v6"
	"github.com/cloudflare/cloudflare-go/v6/option"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/httpapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account = "0123456789abcdef0123456789abcdef"
	unknown = "ffffffffffffffffffffffffffffffff"
)

// A cloud is a broker that runs, and the SDK pointed at it.
type cloud struct {
	*cloudflare.Client
	broker   *inproq.Broker
	srv      *httptest.Server
	repeated atomic.Int64
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	b, err := inproq.NewBroker(inproq.Config{
		Limits: inproq.Limits{MaxDelay: 24 * time.Hour},
		Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	c := &cloud{broker: b}
	c.srv = httptest.NewServer(c.counting(httpapi.New(b, httpapi.Config{
		AccountID: account,
		Authorize: httpapi.StaticTokens(map[string]httpapi.Permission{
			"secret": httpapi.QueuesRead | httpapi.QueuesWrite,
			"reader": httpapi.QueuesRead,
		}),
	})))
	t.Cleanup(func() {
		c.srv.Close()
		stop()
		assert.NoError(t, <-ended)
	})
	c.Client = c.as(option.WithAPIToken("secret"))
	return c
}

// as returns a client with other credentials.
func (c *cloud) as(credentials ...option.RequestOption) *cloudflare.Client {
	opts := append(credentials, option.WithBaseURL(c.srv.URL+"/client/v4"), option.WithHTTPClient(c.srv.Client()))
	return cloudflare.NewClient(opts...)
}

// fails checks that a call failed as Cloudflare would have it, and that it was not tried
// again: the SDK repeats some failures for minutes unless it is told not to.
func (c *cloud) fails(t *testing.T, err error, status int, code int64, text string) {
	t.Helper()
	var e *cloudflare.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, status, e.StatusCode)
	require.Len(t, e.Errors, 1)
	assert.Equal(t, code, e.Errors[0].Code)
	assert.Contains(t, e.Errors[0].Message, text)
	assert.Zero(t, c.repeated.Swap(0), "it was tried again")
}

// counting counts the requests that are not the first of their call, as the SDK says.
func (c *cloud) counting(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Stainless-Retry-Count") != "0" { // also when it says nothing
			c.repeated.Add(1)
		}
		h.ServeHTTP(w, r)
	})
}
