package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/queuetest"
)

// A page is what was told, by several goroutines.
type page struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *page) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(text)
}

// turn returns what was told since the last call.
func (p *page) turn() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.text.Reset()
	return p.text.String()
}

// do makes a request without a socket.
func do(h http.Handler, body string) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/signup", strings.NewReader(body)))
	return w.Code
}

// The response does not wait for anything that the queue does.
func TestTheAnswerComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out page
		story := log.New(&out, "", 0)
		effects := newEffects(story)
		email := effects[Email]
		effects[Email] = func(ctx context.Context, p Person) error {
			time.Sleep(3 * time.Second) // a slow server
			return email(ctx, p)
		}
		a, err := newApp(t.Context(), effects, story)
		require.NoError(t, err)
		queuetest.Start(t, a.broker)

		began := time.Now()
		assert.Equal(t, http.StatusAccepted, do(a, `{"name":"Alan","email":"alan@example.org"}`))
		assert.Zero(t, time.Since(began))
		synctest.Wait()
		assert.Zero(t, a.broker.Stats("signups").Delivered, "a batch of 3 waits for 5 seconds")
		assert.Empty(t, out.turn())

		time.Sleep(8 * time.Second)
		synctest.Wait()
		assert.Equal(t, "analytics: sign-up of alan@example.org\nchat: Alan has joined\n", out.turn(), "the mailbox was busy")

		time.Sleep(8 * time.Second)
		synctest.Wait()
		assert.Equal(t, "email to alan@example.org: Welcome, Alan!\n", out.turn(), "the retry is for the email alone")

		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Empty(t, out.turn(), "that was all")
	})
}

// Four people make twelve jobs: ten are a batch, and two wait for more.
func TestBatchesOfTen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		story := log.New(io.Discard, "", 0)
		a, err := newApp(t.Context(), newEffects(story), story)
		require.NoError(t, err)
		queuetest.Start(t, a.broker)
		for range 4 {
			do(a, `{"name":"Ada","email":"ada@example.org"}`)
		}
		synctest.Wait()
		assert.EqualValues(t, 10, a.broker.Stats("signups").Delivered)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		assert.EqualValues(t, 12, a.broker.Stats("signups").Delivered)
	})
}

// Three retries are four deliveries, and then the dead letter is reported.
func TestAMailboxThatDoesNotExist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out page
		story := log.New(&out, "", 0)
		a, err := newApp(t.Context(), newEffects(story), story)
		require.NoError(t, err)
		queuetest.Start(t, a.broker)
		assert.Equal(t, http.StatusAccepted, do(a, `{"name":"Grace","email":"grace@example.org"}`))

		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, `analytics: sign-up of grace@example.org
chat: Grace has joined
dead letter from signups: email for Grace, retries_exhausted after 4 attempts: 550 grace@example.org: no such mailbox
`, out.turn())
		assert.EqualValues(t, 6, a.broker.Stats("signups").Delivered)
		assert.EqualValues(t, 1, a.broker.Stats("signups").DeadLettered)
	})
}

func TestWhatIsRefused(t *testing.T) {
	jobs := queuetest.NewRecorder[Job](t)
	a, err := newApp(t.Context(), nil, log.New(io.Discard, "", 0))
	require.NoError(t, err)
	a.jobs = jobs
	for _, body := range []string{
		``, `[]`, `{}`, `{"name":"Ada"}`, `{"email":"ada@example.org"}`, `{"name":"Ada","email":"ada"}`,
		`{"name":"Ada","email":"Ada <ada@example.org>"}`, `{"name":"` + strings.Repeat("a", 4<<10) + `","email":"ada@example.org"}`,
	} {
		assert.Equal(t, http.StatusBadRequest, do(a, body), "%.40s", body)
	}
	assert.Empty(t, jobs.Sent())

	ada := Person{"Ada", "ada@example.org"}
	assert.Equal(t, http.StatusAccepted, do(a, `{"name":"Ada","email":"ada@example.org"}`))
	assert.Equal(t, []Job{{Email, ada}, {Analytics, ada}, {Chat, ada}}, jobs.Bodies())

	jobs.Fail(errors.New("no more room"))
	assert.Equal(t, http.StatusServiceUnavailable, do(a, `{"name":"Ada","email":"ada@example.org"}`))
	require.NoError(t, a.broker.Shutdown(t.Context()))
}
