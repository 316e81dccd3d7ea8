// Taskqueue is a small HTTP service that accepts tasks and processes them later:
//
//	POST /enqueue {"message": "..."}   accepts a task
//	GET  /stats                        counts tasks
//
// On SIGTERM or SIGINT it stops accepting, processes what it has accepted, and
// exits.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on http://%s", l.Addr())
	s, err := newService(ctx)
	if err != nil {
		log.Fatal(err)
	}
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := s.run(ctx, l); err != nil {
		log.Fatal(err)
	}
}

// run serves on l until ctx ends, and returns when all that was accepted is
// processed.
func (s *service) run(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
	var serveErr, runErr error
	var wg sync.WaitGroup
	served, ran := make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		defer close(served)
		if serveErr = server.Serve(l); errors.Is(serveErr, http.ErrServerClosed) {
			serveErr = nil
		}
	})
	running, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()
	wg.Go(func() {
		defer close(ran)
		runErr = s.broker.Run(running)
	})

	select {
	case <-ctx.Done():
	case <-served: // it has failed
	case <-ran: // so has that
	}
	// First no more requests, then no more tasks: a request that is being served
	// may still enqueue one.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	err := server.Shutdown(grace)
	drain() // Run has a grace of its own
	wg.Wait()
	return errors.Join(err, serveErr, runErr)
}
