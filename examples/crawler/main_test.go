package main

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
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

func Example() {
	main()
	// Output:
	// /               200 Home
	// /broken         given up after 3 attempts: status 500 Internal Server Error
	// /gone           404
	// /news           200 News
	// /news/archive   200 Archive
	// /news/old       301 to /news/archive
	// /news/today     200 Today, in attempt 2
	// /private/pay    forbidden by robots.txt
	// /team           200 Team
}

const home = "http://site.test"

// A visited is a site that is reached without a network, so that virtual time
// passes, and that counts visits.
type visited struct {
	site http.Handler
	mu   sync.Mutex
	hits map[string]int // by host and path
}

func (v *visited) RoundTrip(r *http.Request) (*http.Response, error) {
	v.mu.Lock()
	v.hits[r.URL.Host+r.URL.Path]++
	v.mu.Unlock()
	w := httptest.NewRecorder()
	v.site.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// take returns the visits since it was called last.
func (v *visited) take() map[string]int {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer clear(v.hits)
	return maps.Clone(v.hits)
}

func newTestCrawler(t *testing.T, site http.Handler) (*crawler, *visited) {
	t.Helper()
	v := &visited{site: site, hits: make(map[string]int)}
	c, err := newCrawler(t.Context(), &http.Client{Transport: v}, home, time.Minute)
	require.NoError(t, err)
	return c, v
}

func TestEveryPageIsVisitedOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, v := newTestCrawler(t, newSite())
		queuetest.Start(t, c.broker)
		began := time.Now()
		require.NoError(t, c.start(t.Context()))
		<-c.frontier.idle
		assert.Equal(t, 2*time.Minute, time.Since(began), "two retries of what is broken")
		pages := map[string]int{
			"site.test/robots.txt": 1, "site.test/": 1, "site.test/news": 1, "site.test/news/archive": 1, "site.test/news/old": 1,
			"site.test/news/today": 2, "site.test/team": 1, "site.test/gone": 1, "site.test/broken": 3,
		}
		assert.Equal(t, pages, v.take())

		time.Sleep(time.Hour - time.Since(began) - 1)
		require.NoError(t, c.enqueue(t.Context(), c.home))
		synctest.Wait()
		assert.Empty(t, v.take(), "an hour has not passed")

		time.Sleep(1)
		require.NoError(t, c.enqueue(t.Context(), c.home))
		<-c.frontier.idle
		delete(pages, "site.test/robots.txt")
		pages["site.test/news/today"] = 1 // it works by now
		assert.Equal(t, pages, v.take())
	})
}

func TestRunEndsWhenNothingIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newTestCrawler(t, newSite())
		began := time.Now()
		require.NoError(t, c.run(t.Context()))
		assert.Equal(t, 2*time.Minute, time.Since(began))
		assert.Len(t, c.results, 9)
	})
}

func TestRobots(t *testing.T) {
	for name, tc := range map[string]struct {
		status  int
		text    string
		outcome string
	}{
		"all is forbidden":      {http.StatusOK, "User-agent: *\nDisallow: /", "forbidden by robots.txt"},
		"another is meant":      {http.StatusOK, "User-agent: other\nDisallow: /", "200 Home"},
		"this crawler is meant": {http.StatusOK, "User-agent: *\nAllow: /\n\nUser-agent: inproq-crawler\nDisallow: /", "forbidden by robots.txt"},
		"there is none":         {http.StatusNotFound, "", "200 Home"},
		"it cannot be had":      {http.StatusServiceUnavailable, "", "forbidden by robots.txt"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mux := http.NewServeMux()
				mux.HandleFunc("/robots.txt", func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(tc.status)
					_, err := w.Write([]byte(tc.text))
					assert.NoError(t, err)
				})
				mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { write(w, "<title>Home</title>") })
				c, _ := newTestCrawler(t, mux)
				require.NoError(t, c.run(t.Context()))
				assert.Equal(t, map[string]string{"/": tc.outcome}, c.results)
			})
		})
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newTestCrawler(t, newSite())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.NoError(t, c.run(ctx))
		assert.NotContains(t, c.results, "/broken", "it waits for its retry")
	})
}
