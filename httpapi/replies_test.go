package httpapi

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// Who asks and does not read has half a minute, or the time that the server gives it.
func TestSlowReadersAreCutOff(t *testing.T) {
	for name, x := range map[string]struct {
		set  func(*http.Server)
		time time.Duration
	}{
		"no time-out of the server": {func(*http.Server) {}, replyTimeout},
		"a longer one": {
			func(s *http.Server) { s.WriteTimeout = time.Minute }, time.Minute,
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := call(t, inproq.Config{})
			ended := make(chan time.Duration, 1)
			start := time.Now()
			conn := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c.handler.ServeHTTP(w, r)
				// A short reply is written when the handler has returned.
				_ = http.NewResponseController(w).Flush()
				ended <- time.Since(start)
			}), x.set)()
			_, err := fmt.Fprintf(conn, "GET %s/queues HTTP/1.1\r\nHost: a\r\n\r\n", prefix)
			require.NoError(t, err)
			select {
			case took := <-ended:
				assert.Equal(t, x.time, took, name)
			case <-time.After(time.Hour):
				assert.Fail(t, "the handler still waits for who does not read", name)
			}
			require.NoError(t, conn.Close())
		})
	}
}

func dialOnce(conn net.Conn) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		if conn == nil {
			return nil, net.ErrClosed // the first was cut off
		}
		one := conn
		conn = nil
		return one, nil
	}
}

// The deadline of a reply is not that of the next one on its connection.
func TestTheTimeOfAReplyEndsWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := call(t, inproq.Config{})
		conn := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/own" {
				_, _ = io.WriteString(w, "mine")
				return
			}
			c.handler.ServeHTTP(w, r)
		}), func(*http.Server) {})()
		client := http.Client{Transport: &http.Transport{DialContext: dialOnce(conn)}}
		for _, path := range []string{prefix + "/queues", "/own"} {
			res, err := client.Get("http://localhost" + path)
			require.NoError(t, err)
			_, err = io.ReadAll(res.Body)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			time.Sleep(time.Hour)
		}
		client.CloseIdleConnections()
	})
}

// One reply holds about 8 MB, and what did not fit is neither lost nor leased.
func TestRepliesAreBounded(t *testing.T) {
	const size, many = 3 << 20, 5
	c := call(t, inproq.Config{Limits: inproq.Limits{MaxMessageBytes: 2 * mostReply}})
	path := c.pulled("orders", `{"batch_size":100}`)
	send := func(size int) {
		body := strings.Repeat("x", size)
		c.do("POST", path+"/messages", `{"content_type":"text","body":"`+body+`"}`).ok(nil)
	}
	for range many {
		send(size)
	}
	var p pulled
	c.do("POST", path+"/messages/peek", `{"batch_size":100}`).ok(&p)
	assert.Len(t, p.Messages, mostReply/size)
	for _, n := range []int{3, 2, 0} {
		p = pulled{}
		c.do("POST", path+"/messages/pull", "").ok(&p)
		assert.Len(t, p.Messages, n)
	}
}

// A message that is larger than a reply comes alone.
func TestALargeMessageComesAlone(t *testing.T) {
	c := call(t, inproq.Config{Limits: inproq.Limits{MaxMessageBytes: 2 * mostReply}})
	path := c.pulled("orders", `{}`)
	body := `{"content_type":"text","body":"` + strings.Repeat("x", mostReply+1) + `"}`
	for range 2 {
		c.do("POST", path+"/messages", body).ok(nil)
	}
	for _, how := range []string{"peek", "pull", "pull"} {
		var p pulled
		c.do("POST", path+"/messages/"+how, `{"batch_size":2}`).ok(&p)
		assert.Len(t, p.Messages, 1, how)
	}
}

// With the usual limits, a batch of small messages is one batch.
func TestSmallMessagesComeTogether(t *testing.T) {
	c := call(t, inproq.Config{})
	path := c.pulled("orders", `{"batch_size":100}`)
	for range 100 {
		c.do("POST", path+"/messages", `{"body":1}`).ok(nil)
	}
	var p pulled
	c.do("POST", path+"/messages/pull", "").ok(&p)
	assert.Len(t, p.Messages, 100)
	assert.Equal(t, int64(100), p.Backlog)
}
