package graphqlapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/inproq/inproq/httpapi"
)

// A listener gets its connections from a channel.
type listener chan net.Conn

func (l listener) Accept() (net.Conn, error) {
	conn, ok := <-l
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}
func (l listener) Close() error   { close(l); return nil }
func (l listener) Addr() net.Addr { return &net.IPAddr{} }

// dial runs the endpoint as an application does, on a connection in memory so that time is
// virtual.
func dial(t *testing.T, h http.Handler, set func(*http.Server)) net.Conn {
	t.Helper()
	conns := make(listener)
	s := &http.Server{Handler: h}
	set(s)
	ended := make(chan error)
	go func() { ended <- s.Serve(conns) }()
	here, there := net.Pipe()
	conns <- there
	t.Cleanup(func() {
		_ = here.Close()
		assert.NoError(t, s.Shutdown(context.Background()))
		assert.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	return here
}

func unlimited(*http.Server) {}

// A body that does not come has half a minute, or the time that the server gives it.
func TestBodiesThatDoNotCome(t *testing.T) {
	refused := httpapi.StaticTokens(nil)
	for _, x := range []struct {
		name, method string
		authorize    func(*http.Request, httpapi.Permission) error
		set          func(*http.Server)
		status       int
		after        time.Duration
	}{
		{"no time-out of the server", "POST", anybody, unlimited, 408, bodyTimeout},
		{"a shorter one", "POST", anybody, func(s *http.Server) { s.ReadTimeout = 5 * time.Second }, 408, 5 * time.Second},
		{"a longer one", "POST", anybody, func(s *http.Server) { s.ReadTimeout = time.Minute }, 408, time.Minute},
		{"not allowed", "POST", refused, unlimited, 403, bodyTimeout},
		{"another method", "PUT", anybody, unlimited, 405, bodyTimeout},
		{"a GET with a body", "GET", anybody, unlimited, 405, bodyTimeout},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := call(t)
				conn := dial(t, New(c.broker, Config{Authorize: x.authorize}), x.set)
				start := time.Now()
				_, err := fmt.Fprintf(conn, "%s / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{", x.method)
				require.NoError(t, err)
				in := bufio.NewReader(conn)
				res, err := http.ReadResponse(in, nil)
				require.NoError(t, err)
				_, err = io.ReadAll(res.Body)
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				assert.Equal(t, x.status, res.StatusCode)
				_, err = in.ReadByte()
				require.ErrorIs(t, err, io.EOF, "the connection ends")
				// The server itself lingers a little before it closes.
				assert.InDelta(t, x.after.Seconds(), time.Since(start).Seconds(), 1)
			})
		})
	}
}

// The time of a body is over when it has come, that of the server's is not: nobody takes
// that one back.
func TestTheTimeOfABodyEndsWithIt(t *testing.T) {
	const query = `{"query":"{viewer{accounts{accountTag}}}"}`
	synctest.Test(t, func(t *testing.T) {
		c := call(t)
		conn := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, status, err := read(w, r)
			assert.NoError(t, err)
			assert.Zero(t, status)
			time.Sleep(2 * bodyTimeout)
			assert.NoError(t, r.Context().Err())
			r.Body = io.NopCloser(strings.NewReader(query))
			c.handler.ServeHTTP(w, r)
		}), unlimited)
		in := bufio.NewReader(conn)
		for range 2 {
			_, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(query), query)
			require.NoError(t, err)
			res, err := http.ReadResponse(in, nil)
			require.NoError(t, err)
			_, err = io.ReadAll(res.Body)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			assert.Equal(t, 200, res.StatusCode)
			time.Sleep(time.Hour)
		}
	})
}

// deadlines notes those that are set.
type deadlines struct {
	*httptest.ResponseRecorder
	read, write []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.read = append(d.read, t)
	return nil
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.write = append(d.write, t)
	return nil
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := call(t)
		ask := func(s *http.Server, body io.Reader) *deadlines {
			w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
			ctx := context.WithValue(t.Context(), http.ServerContextKey, s)
			c.handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", body))
			return w
		}
		fine := func() io.Reader { return strings.NewReader(`{"query":"{viewer{accounts{accountTag}}}"}`) }
		now := time.Now()
		w := ask(&http.Server{}, fine())
		assert.Equal(t, []time.Time{now.Add(bodyTimeout), {}}, w.read)
		assert.Equal(t, []time.Time{now.Add(replyTimeout)}, w.write)

		// Broken off, or not read to its end: the server drains what there is left.
		for _, body := range []io.Reader{io.MultiReader(fine(), broken{}), strings.NewReader(strings.Repeat("x", maxBody+1))} {
			assert.Equal(t, []time.Time{now.Add(bodyTimeout)}, ask(&http.Server{}, body).read)
		}

		w = ask(&http.Server{ReadTimeout: time.Hour}, fine())
		assert.Empty(t, w.read)
		assert.Equal(t, []time.Time{now.Add(replyTimeout)}, w.write)
		w = ask(&http.Server{WriteTimeout: time.Hour}, fine())
		assert.Equal(t, []time.Time{now.Add(bodyTimeout), {}}, w.read)
		assert.Empty(t, w.write)
	})
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

// Who does not take a reply does not hold the handler for good.
func TestRepliesThatAreNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Time, 1)
		conn := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			reply(w, r, http.StatusOK, make([]byte, 1<<20), gqlerror.List{})
			ended <- time.Now()
		}), unlimited)
		start := time.Now()
		_, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
		assert.Equal(t, replyTimeout, (<-ended).Sub(start))
	})
}
