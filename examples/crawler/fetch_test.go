package main

import (
	"maps"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFetch(t *testing.T) {
	const links = `<title> A title </title><body><a href="/b">b</a><a name="x">no link</a><a href="c?d=e#f">c</a><a href="://">broken</a>`
	for name, tc := range map[string]struct {
		status int
		header http.Header
		page   string // as the report shows it
		links  []string
		fails  string
	}{
		"page":            {http.StatusOK, http.Header{"Content-Type": {"text/html"}}, "200 A title", []string{home + "/b", home + "/a/c?d=e#f"}, ""},
		"other content":   {http.StatusOK, http.Header{"Content-Type": {"text/plain"}}, "200", nil, ""},
		"not found":       {http.StatusNotFound, http.Header{"Content-Type": {"text/html"}}, "404", nil, ""},
		"redirect":        {http.StatusFound, http.Header{"Location": {"z"}}, "302 to /a/z", []string{home + "/a/z"}, ""},
		"no redirect":     {http.StatusCreated, http.Header{"Location": {"z"}}, "201", nil, ""},
		"too many":        {http.StatusTooManyRequests, nil, "", nil, "status 429 Too Many Requests"},
		"out of order":    {http.StatusInternalServerError, nil, "", nil, "status 500 Internal Server Error"},
		"another is down": {http.StatusBadGateway, nil, "", nil, "status 502 Bad Gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, agent, r.Header.Get("User-Agent"))
				maps.Copy(w.Header(), tc.header)
				w.WriteHeader(tc.status)
				write(w, links)
			})
			client := polite(&http.Client{Transport: &visited{site: site, hits: make(map[string]int)}})
			p, err := fetch(t.Context(), client, home+"/a/")
			if tc.fails != "" {
				assert.EqualError(t, err, tc.fails)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tc.page, p.String())
			var got []string
			for _, l := range p.links {
				got = append(got, l.String())
			}
			assert.Equal(t, tc.links, got)
		})
	}
}
