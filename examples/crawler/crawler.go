package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/temoto/robotstxt"

	"github.com/inproq/inproq"
)

// revisit is how long a page that was queued is not queued again.
const revisit = time.Hour

// A crawler visits the pages of one host.
type crawler struct {
	client   *http.Client
	home     *url.URL
	broker   *inproq.Broker
	pages    *inproq.Queue[string] // their URLs
	frontier *frontier
	robots   *robotstxt.RobotsData // read once, by start

	mu      sync.Mutex
	results map[string]string // what became of each page, by path
}

// newCrawler wires a crawler of the site that begins at home. A page that fails is
// retried twice, each time after retryDelay.
func newCrawler(ctx context.Context, client *http.Client, home string, retryDelay time.Duration) (*crawler, error) {
	start, err := url.Parse(home)
	if err != nil {
		return nil, err
	}
	broker, err := inproq.NewBroker(inproq.Config{})
	if err != nil {
		return nil, err
	}
	c := &crawler{client: polite(client), home: start, broker: broker, frontier: newFrontier(revisit), results: make(map[string]string)}
	if c.pages, err = inproq.Declare[string](ctx, broker, "pages", inproq.QueueConfig{}); err != nil {
		return nil, err
	}
	_, err = c.pages.Consume(inproq.Each(c.visit), inproq.ConsumerConfig{
		MaxBatchSize:    1, // a page is slow enough to be a batch of its own
		MaxBatchTimeout: inproq.NoWait,
		MaxConcurrency:  4, // one host is asked for four pages at a time
		MaxRetries:      2,
		RetryDelay:      retryDelay,
		DeadLetterQueue: "failed-pages",
	})
	if err != nil {
		return nil, err
	}
	failed, err := inproq.Declare[string](ctx, broker, "failed-pages", inproq.QueueConfig{})
	if err != nil {
		return nil, err
	}
	_, err = failed.Consume(inproq.Each(c.giveUp), inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
	return c, err
}

// start asks what may be visited, and queues the first page.
func (c *crawler) start(ctx context.Context) error {
	var err error
	if c.robots, err = fetchRobots(ctx, c.client, c.home); err != nil {
		return err
	}
	return c.enqueue(ctx, c.home)
}

// enqueue queues a page, if it is on this site, was not queued within the last
// hour, and may be visited.
func (c *crawler) enqueue(ctx context.Context, u *url.URL) error {
	if u.Scheme != c.home.Scheme || u.Host != c.home.Host {
		return nil
	}
	page := canonical(u)
	if !c.frontier.add(page.String()) {
		return nil
	}
	if !c.robots.TestAgent(page.RequestURI(), agent) {
		c.finish(page.String(), "forbidden by robots.txt")
		return nil
	}
	if _, err := c.pages.Send(ctx, page.String()); err != nil {
		c.frontier.remove(page.String()) // the next attempt queues it
		return err
	}
	return nil
}

// visit is the handler. The links are queued before the page is finished: in
// between, the frontier would look as if nothing were left.
func (c *crawler) visit(ctx context.Context, m *inproq.Message[string]) error {
	p, err := fetch(ctx, c.client, m.Body)
	if err != nil {
		return err
	}
	for _, link := range p.links {
		if err := c.enqueue(ctx, link); err != nil {
			return err
		}
	}
	outcome := p.String()
	if m.Attempts > 1 {
		outcome += fmt.Sprintf(", in attempt %d", m.Attempts)
	}
	c.finish(m.Body, outcome)
	return nil
}

// giveUp is the handler of the dead letters.
func (c *crawler) giveUp(_ context.Context, m *inproq.Message[string]) error {
	outcome := "given up"
	if letter, ok := m.DeadLetter(); ok {
		outcome = fmt.Sprintf("given up after %d attempts: %s", letter.Attempts, letter.Error)
	}
	c.finish(m.Body, outcome)
	return nil
}

// finish notes what became of a page.
func (c *crawler) finish(page, outcome string) {
	path := "/"
	if u, err := url.Parse(page); err == nil {
		path = u.RequestURI()
	}
	c.mu.Lock()
	c.results[path] = outcome
	c.mu.Unlock()
	c.frontier.finish(page)
}
