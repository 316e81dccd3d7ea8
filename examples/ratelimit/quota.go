package main

import (
	"net/http"
	"sync"
	"time"
)

// quota stands for the external API: it answers 429 to requests beyond its limit
// in a window, which begins with the first request in it.
type quota struct {
	limit  int
	window time.Duration

	mu    sync.Mutex
	begin time.Time
	used  int
}

func (q *quota) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now := time.Now(); now.Sub(q.begin) >= q.window {
		q.begin, q.used = now, 0
	}
	q.used++
	if q.used > q.limit {
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}
