// Pipeline takes documents over HTTP, summarises them, and keeps the summaries in
// a database:
//
//	upload ─▶ queue "documents" ─▶ summarise ─▶ SQLite
//	                   └─▶ queue "failed-documents" ─▶ SQLite
//
// The upload is answered as soon as the queue has the document. A queue delivers at
// least once, so the database tells by a message's id what it has already. The
// program uploads a few documents to itself and shows what became of them.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// run uploads, waits until all is processed, and prints what the database has.
func run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "pipeline")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	db, err := openDatabase(ctx, filepath.Join(dir, "documents.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := newPipeline(ctx, db)
	if err != nil {
		return err
	}
	if err := p.serve(ctx, func(site *httptest.Server) error { return upload(ctx, site) }); err != nil {
		return err
	}
	rows, err := db.all(ctx)
	if err != nil {
		return err
	}
	for _, r := range rows {
		fmt.Println(r)
	}
	return nil
}

// serve runs the pipeline for as long as use takes. The order of its end matters:
// first no more uploads, then no more messages, then the caller closes the
// database.
func (p *pipeline) serve(ctx context.Context, use func(*httptest.Server) error) error {
	running, drain := context.WithCancel(ctx)
	defer drain()
	var runErr error
	var wg sync.WaitGroup
	wg.Go(func() { runErr = p.broker.Run(running) })
	site := httptest.NewServer(p)
	err := use(site)
	site.Close() // waits for requests
	drain()
	wg.Wait() // for what is queued
	return errors.Join(err, runErr)
}

// upload is the client.
func upload(ctx context.Context, site *httptest.Server) error {
	for _, d := range []struct{ name, text string }{
		{"queues.txt", "A queue keeps messages until somebody has time for them. Who sends a message does not wait. Who gets messages may fail!"},
		{"haiku.txt", "the line at the till\nnobody knows who is last\nthe shop has closed. oh"},
		{"blank.txt", " \n\t "},
		{"novel.txt", strings.Repeat("It was a dark and stormy night. ", 5000)},
	} {
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, site.URL+"/documents/"+d.name, strings.NewReader(d.text))
		if err != nil {
			return err
		}
		resp, err := site.Client().Do(req)
		if err != nil {
			return err
		}
		if err := resp.Body.Close(); err != nil {
			return err
		}
		fmt.Printf("uploaded %-10s %s\n", d.name, resp.Status)
	}
	return nil
}
