package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/temoto/robotstxt"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

const (
	agent    = "inproq-crawler" // as robots.txt knows it
	maxBytes = 1 << 20          // that are read of a page
)

// A page is what a visit brings.
type page struct {
	status int
	title  string
	links  []*url.URL
}

func (p page) String() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", p.status, p.title))
}

// polite returns a client that does not wait forever, and that leaves redirects to
// the crawler: they are links, and what holds for links holds for them.
func polite(client *http.Client) *http.Client {
	c := *client
	c.Timeout = 10 * time.Second
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

func get(ctx context.Context, client *http.Client, address string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", agent)
	return client.Do(req)
}

// fetch gets a page. An error means that another attempt may succeed.
func fetch(ctx context.Context, client *http.Client, address string) (page, error) {
	resp, err := get(ctx, client, address)
	if err != nil {
		return page{}, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
		return page{}, fmt.Errorf("status %s", resp.Status)
	}
	p := page{status: resp.StatusCode}
	if to, err := resp.Location(); err == nil && resp.StatusCode/100 == 3 {
		p.title, p.links = "to "+to.RequestURI(), []*url.URL{to}
		return p, nil
	}
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return p, nil
	}
	doc, err := html.Parse(io.LimitReader(resp.Body, maxBytes))
	if err != nil {
		return page{}, err
	}
	base, err := url.Parse(address)
	if err != nil {
		return page{}, err
	}
	for n := range doc.Descendants() {
		switch {
		case n.DataAtom == atom.Title && n.FirstChild != nil:
			p.title = cmp.Or(p.title, strings.TrimSpace(n.FirstChild.Data))
		case n.DataAtom == atom.A:
			for _, a := range n.Attr {
				if a.Key != "href" {
					continue
				}
				if link, err := base.Parse(a.Val); err == nil { // others write what they like
					p.links = append(p.links, link)
				}
			}
		}
	}
	return p, nil
}

// fetchRobots gets the robots.txt of a site. One that is missing allows
// everything; one that cannot be had at present, nothing.
func fetchRobots(ctx context.Context, client *http.Client, site *url.URL) (*robotstxt.RobotsData, error) {
	resp, err := get(ctx, client, site.ResolveReference(&url.URL{Path: "/robots.txt"}).String())
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxBytes))
	if err != nil {
		return nil, err
	}
	return robotstxt.FromStatusAndBytes(resp.StatusCode, text)
}

// canonical returns the URL as it is asked for: two that differ in their fragments
// are one page.
func canonical(u *url.URL) *url.URL {
	c := *u
	c.Fragment, c.RawFragment, c.Path = "", "", cmp.Or(u.Path, "/")
	return &c
}
