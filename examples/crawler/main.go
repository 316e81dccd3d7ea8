// Crawler visits every page of a web site that it serves itself. Each page is a
// message, and the handler sends the links it finds to its own queue. The site has
// all that makes crawling hard: a cycle, a page that fails once, one that never
// works, one that is gone, a redirect, links to elsewhere, and a robots.txt.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"slices"
	"sync"
	"time"
)

func main() {
	site := httptest.NewServer(newSite())
	defer site.Close()
	c, err := newCrawler(context.Background(), site.Client(), site.URL, 100*time.Millisecond)
	if err != nil {
		log.Fatal(err)
	}
	if err := c.run(context.Background()); err != nil {
		log.Fatal(err)
	}
	c.report()
}

// run crawls until nothing is left.
func (c *crawler) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var runErr error
	var wg sync.WaitGroup
	ran := make(chan struct{})
	wg.Go(func() {
		defer close(ran)
		runErr = c.broker.Run(ctx)
	})
	err := c.start(ctx)
	if err == nil {
		// The queue being empty would not do: a page that is being visited may
		// still lead to others, and one that has failed waits for its retry.
		select {
		case <-c.frontier.idle:
		case <-ctx.Done():
		case <-ran: // it has failed
		}
	}
	stop()
	wg.Wait()
	return errors.Join(err, runErr)
}

// report prints what became of each page.
func (c *crawler) report() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var paths []string
	for path := range c.results {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		fmt.Printf("%-15s %s\n", path, c.results[path])
	}
}
