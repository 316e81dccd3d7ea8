package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// A countingReader tells how much of it was read.
type countingReader struct {
	io.Reader
	read int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += n
	return n, err
}

// Bodies beyond what a request can have are refused, unread when they say how long they
// are, and else when the bound is reached.
func TestLargeBodiesAreRefusedCheaply(t *testing.T) {
	c := call(t, inproq.Config{})
	const size = 10 << 20
	everyRoute(t, c, func(rt route, r *http.Request) {
		if rt.method == http.MethodGet || rt.method == http.MethodDelete {
			return
		}
		for _, length := range []int64{size, -1} {
			big := &countingReader{Reader: io.LimitReader(zeros{}, size)}
			try := r.Clone(t.Context())
			try.Body, try.ContentLength = io.NopCloser(big), length
			w := httptest.NewRecorder()
			c.handler.ServeHTTP(w, try)
			name := rt.method + " " + rt.pattern
			assert.Equal(t, http.StatusRequestEntityTooLarge, w.Code, "%s: %s", name, w.Body)
			assert.Contains(t, w.Body.String(), "the body of the request exceeds")
			switch {
			case length > 0:
				assert.Zero(t, big.read, name)
			case strings.Contains(rt.pattern, "/messages"):
				assert.LessOrEqual(t, big.read, 4<<20, name)
			default:
				assert.LessOrEqual(t, big.read, 256<<10, name)
			}
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

// Within the bound for bodies, what is in them costs no multiple of it.
func TestLongArraysAreRefusedCheaply(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.pulled("orders", `{}`)
	const million = 1_000_000
	deep := strings.Repeat("[", million)
	for _, x := range []struct {
		name, path, body string
		status           int
	}{
		{"numbers", "/messages/batch", `{"messages":[` + strings.Repeat("1,", million) + `1]}`, 400},
		{"half a million numbers", "/messages/batch", `{"messages":[` + strings.Repeat("1,", million/2) + `1]}`, 400},
		{"empty objects", "/messages/batch", `{"messages":[` + strings.Repeat("{},", million/2) + `{}]}`, 400},
		{"a million objects", "/messages/batch", `{"messages":[` + strings.Repeat("{},", million) + `{}]}`, 413},
		{"messages", "/messages/batch", `{"messages":[` + strings.Repeat(`{"body":1},`, 150_000) + `{"body":1}]}`, 400},
		{"acks", "/messages/ack", `{"acks":[` + strings.Repeat(`{"lease_id":"a"},`, 100_000) + `{"lease_id":"a"}]}`, 400},
		{"refs", "/messages/purge", `{"refs":[` + strings.Repeat(`{"ref":"a"},`, 100_000) + `{"ref":"a"}]}`, 400},
		{"keys", "/messages", `{` + strings.Repeat(`"a":1,`, 300_000) + `"a":1}`, 400},
		{"other keys", "/messages", `{"body":1,` + manyKeys(100_000) + `}`, 400},
		{"depth", "/messages", `{"body":` + deep + `}`, 400},
		{"closed depth", "/messages", `{"body":` + deep[:million/2] + strings.Repeat("]", million/2) + `}`, 400},
		{"depth of a batch", "/messages/batch", deep, 400},
		{"a long number", "/messages", `{"body":1,"delay_seconds":` + strings.Repeat("9", million) + `}`, 400},
		{"a long key", "/messages", `{"` + strings.Repeat("k", million) + `":1}`, 400},
		{"a long content type", "/messages", `{"body":1,"content_type":"` + strings.Repeat("c", million) + `"}`, 400},
		{"a long name", "/../../queues", `{"queue_name":"` + strings.Repeat("n", 60_000) + `"}`, 404},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		res := c.do("POST", path+x.path, x.body)
		runtime.ReadMemStats(&after)
		assert.Equal(t, x.status, res.status, "%s: %.200s", x.name, res.raw)
		assert.Less(t, len(res.raw), 1000, x.name)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(24<<20), "%s allocates", x.name)
	}
	var m wireMetrics
	c.do("GET", path+"/metrics", "").ok(&m)
	assert.Zero(t, m.BacklogCount)
}

func manyKeys(n int) string {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `"k%d":1,`, i)
	}
	return b.String() + `"z":1`
}

// A path is as long as the server's limit for headers lets it be, and costs its length.
func TestLongPathsAreRefusedCheaply(t *testing.T) {
	c := call(t, inproq.Config{})
	for _, part := range []string{"/accounts", "/user", "/a", "/%61ccounts", "/accounts/a/queues/b/messages"} {
		start := time.Now()
		c.send(c.request("GET", strings.Repeat(part, 1<<20/len(part))+"/x", "")).fails(404, 7003, "No route")
		assert.Less(t, time.Since(start), time.Minute, part)
	}
	c.send(c.request("GET", strings.Repeat("/a", 100_000)+"/accounts", "")).ok(nil)
}

// The bounds follow the broker's limits.
func TestBodiesFollowTheLimits(t *testing.T) {
	assert.Equal(t, int64(2<<20), dataBodyLimit(1000, 10))
	assert.Equal(t, int64(6*10_000_000+100<<10), dataBodyLimit(10_000_000, 100))
	assert.Equal(t, int64(mostData), dataBodyLimit(1<<31-1, 1<<62))
	c := call(t, inproq.Config{Limits: inproq.Limits{MaxMessageBytes: inproq.NoLimit, MaxBatchMessages: inproq.NoLimit, MaxBatchBytes: inproq.NoLimit}})
	path := c.queue("orders")
	c.do("POST", path+"/messages", `{"body":"`+strings.Repeat("x", 5<<20)+`"}`).ok(nil)
	c.do("POST", path+"/messages/batch", `{"messages":[`+strings.Repeat(`{"body":1},`, 999)+`{"body":1}]}`).ok(nil)
}

// server runs the API as an application does, on a connection in memory so that time is
// virtual, and returns how to reach it.
func server(t *testing.T, h http.Handler, set func(*http.Server)) (dial func() net.Conn) {
	conns := make(listener)
	s := &http.Server{Handler: h}
	set(s)
	ended := make(chan error)
	go func() { ended <- s.Serve(conns) }()
	t.Cleanup(func() {
		assert.NoError(t, s.Shutdown(context.Background()))
		assert.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	return func() net.Conn {
		here, there := net.Pipe()
		conns <- there
		return here
	}
}

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

// A body that trickles in has half a minute, or the time that the server gives it.
func TestSlowWritersAreRefused(t *testing.T) {
	for _, x := range []struct {
		name string
		set  func(*http.Server)
		body time.Duration // how long it may take
	}{
		{"no time-out of the server", func(*http.Server) {}, bodyTimeout},
		{"a shorter one", func(s *http.Server) { s.ReadTimeout = 5 * time.Second }, 5 * time.Second},
		{"a longer one", func(s *http.Server) { s.ReadTimeout = time.Minute }, time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := call(t, inproq.Config{})
			path := c.queue("orders")
			dial := server(t, c.handler, x.set)
			conn := dial()
			start := time.Now()
			_, err := fmt.Fprintf(conn, "POST %s/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n", prefix+path)
			require.NoError(t, err)
			stop := make(chan struct{})
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Second):
						_, _ = conn.Write([]byte("0"))
					}
				}
			}()
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err, x.name)
			body, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			assert.Equal(t, http.StatusRequestTimeout, answer.StatusCode, "%s: %s", x.name, body)
			assert.Contains(t, string(body), "did not arrive in time")
			assert.Equal(t, x.body, time.Since(start), x.name)
			close(stop)
			require.NoError(t, conn.Close())
			<-stopped
		})
	}
}

// Who is refused before the body is read has to send it in time, too: the server waits for
// the end of a short one.
func TestSlowWritersThatAreNotListenedTo(t *testing.T) {
	for _, target := range []string{"POST /nowhere", "GET " + prefix + "/queues", "POST " + prefix + "/queues", "BREW " + prefix + "/queues"} {
		synctest.Test(t, func(t *testing.T) {
			c := call(t, inproq.Config{})
			if strings.HasPrefix(target, "POST /client") {
				c.handler = New(c.broker, Config{Authorize: StaticTokens(nil)})
			}
			conn := server(t, c.handler, func(*http.Server) {})()
			start := time.Now()
			_, err := fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n", target)
			require.NoError(t, err)
			_, err = io.ReadAll(conn)
			require.NoError(t, err)
			assert.Equal(t, bodyTimeout, time.Since(start), target)
			require.NoError(t, conn.Close())
		})
	}
}

// The time that a body has is over when it has come: a request that takes longer, and the
// next one of its connection, are not cut off.
func TestTheTimeOfABodyEndsWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := call(t, inproq.Config{})
		path := c.queue("orders")
		dial := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.handler.ServeHTTP(w, r)
			time.Sleep(2 * bodyTimeout)
			assert.NoError(t, r.Context().Err())
		}), func(*http.Server) {})
		conn := dial()
		in := bufio.NewReader(conn)
		for range 2 {
			_, err := fmt.Fprintf(conn, "POST %s/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{\"body\":1}", prefix+path)
			require.NoError(t, err)
			answer, err := http.ReadResponse(in, nil)
			require.NoError(t, err)
			body, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			assert.Equal(t, 200, answer.StatusCode, string(body))
			time.Sleep(time.Hour)
		}
		require.NoError(t, conn.Close())
	})
}

// A body that breaks off is no message.
func TestABodyThatBreaksOff(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.queue("orders")
	r := c.request("POST", prefix+path+"/messages", "x")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"body":1}`), brokenReader{}))
	c.send(r).fails(400, 10201, "broke off")
	var m wireMetrics
	c.do("GET", path+"/metrics", "").ok(&m)
	assert.Zero(t, m.BacklogCount)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
