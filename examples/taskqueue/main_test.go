package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproq/inproq/queuetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// journal keeps what was processed.
type journal struct {
	mu   sync.Mutex
	done []string
}

func (l *journal) process(_ context.Context, task Task) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = append(l.done, task.Message)
	return nil
}

func (l *journal) messages() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.done)
}

func do(h http.Handler, method, path, body string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestTasksAreProcessedInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := newService(t.Context())
		require.NoError(t, err)
		var done journal
		s.process = done.process
		queuetest.Start(t, s.broker)

		code, body := do(s, "POST", "/enqueue", `{"message":"hello"}`)
		assert.Equal(t, http.StatusOK, code)
		assert.JSONEq(t, `{"queued":true,"message":"hello","enqueuedAt":"2000-01-01T00:00:00.000Z"}`, body)

		time.Sleep(5*time.Second - 1)
		synctest.Wait()
		assert.Empty(t, done.messages(), "a batch waits for 5 seconds")
		time.Sleep(1)
		synctest.Wait()
		assert.Equal(t, []string{"hello"}, done.messages())

		for i := range 10 {
			do(s, "POST", "/enqueue", fmt.Sprintf(`{"message":"task %d"}`, i))
		}
		synctest.Wait()
		assert.Len(t, done.messages(), 11, "or until it has 10 messages")
		_, body = do(s, "GET", "/stats", "")
		assert.JSONEq(t, `{"enqueued":11,"processed":11}`, body)
	})
}

func TestBadInput(t *testing.T) {
	s, err := newService(t.Context())
	require.NoError(t, err)
	const refusal = `{"error":"Missing or invalid message (required string, max 500 chars)","code":"INVALID_MESSAGE"}`
	for _, body := range []string{
		``, `{`, `[]`, `{}`, `{"message":null}`, `{"message":7}`, `{"message":""}`, `{"message":"x"} {}`,
		`{"message":"` + strings.Repeat("x", 501) + `"}`,
		`{"message":"` + strings.Repeat("x", 1<<20) + `"}`,
	} {
		code, got := do(s, "POST", "/enqueue", body)
		assert.Equal(t, http.StatusBadRequest, code, "%.40s", body)
		assert.JSONEq(t, refusal, got, "%.40s", body)
	}
	for _, message := range []string{strings.Repeat("x", 500), strings.Repeat("ä", 500), strings.Repeat("\x01", 500)} {
		body, err := json.Marshal(Task{message})
		require.NoError(t, err)
		code, _ := do(s, "POST", "/enqueue", string(body))
		assert.Equal(t, http.StatusOK, code)
	}
	_, body := do(s, "GET", "/stats", "")
	assert.JSONEq(t, `{"enqueued":3,"processed":0}`, body)
	require.NoError(t, s.broker.Shutdown(t.Context()))
}

// What was accepted is processed before the service exits, although the batch
// timeout has not passed.
func TestGracefulExit(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var done journal
	s, err := newService(ctx)
	require.NoError(t, err)
	s.process = done.process
	exited := make(chan error, 1)
	go func() { exited <- s.run(ctx, l) }()

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for i := range 25 {
		resp, err := client.Post("http://"+l.Addr().String()+"/enqueue", "application/json", strings.NewReader(fmt.Sprintf(`{"message":"%d"}`, i)))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	cancel()
	require.NoError(t, <-exited)
	assert.Len(t, done.messages(), 25)
}
