package main

import (
	"io"
	"net/http"
	"sync/atomic"
)

// newSite makes the web site that is crawled.
func newSite() http.Handler {
	mux := http.NewServeMux()
	for path, text := range map[string]string{
		"/{$}":           `<title>Home</title> <a href="/news">News</a> <a href="team">Team</a> <a href="#top">Top</a> <a href="https://example.org/">Elsewhere</a>`,
		"/news":          `<title>News</title> <a href="/">Home</a> <a href="/news/today">Today</a> <a href="/news/old">Archive</a> <a href="/gone">Gone</a>`,
		"/team":          `<title>Team</title> <a href="/">Home</a> <a href="/private/pay">Salaries</a> <a href="/broken">Broken</a>`,
		"/news/archive":  `<title>Archive</title> <a href="/news">News</a>`,
		"/private/{any}": `<title>Nothing for crawlers</title>`,
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { write(w, text) })
	}
	var asked atomic.Int32
	mux.HandleFunc("GET /news/today", func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			http.Error(w, "please try again", http.StatusServiceUnavailable)
			return
		}
		write(w, `<title>Today</title> <a href="/news#today">News</a>`)
	})
	mux.HandleFunc("GET /broken", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "out of order", http.StatusInternalServerError)
	})
	mux.Handle("GET /news/old", http.RedirectHandler("/news/archive", http.StatusMovedPermanently))
	mux.HandleFunc("GET /robots.txt", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "User-agent: *\nDisallow: /private/\n")
	})
	return mux
}

func write(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, text) // the client has gone: nobody to tell
}
