package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/eventsub"
	"github.com/inproq/inproq/graphqlapi"
	"github.com/inproq/inproq/httpapi"
	"github.com/inproq/inproq/store/sqlite"
	"github.com/inproq/inproq/wranglerconfig"
)

// options are what the command line and the environment say. All may be empty.
type options struct {
	db, config, environment, account string
	token, readToken                 string
}

// A server is a broker with its API.
type server struct {
	broker  *inproq.Broker
	store   *sqlite.Store // nil: the broker's own, in memory
	events  *eventsub.Service
	handler http.Handler
}

// newServer sets everything up. What it returns has to be served, which also closes it.
func newServer(ctx context.Context, o options, log *log.Logger) (_ *server, err error) {
	s := &server{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(context.WithoutCancel(ctx)))
		}
	}()
	cfg := inproq.Config{Limits: inproq.Limits{MaxDelay: 24 * time.Hour}} // wrangler allows that much
	if o.db != "" {
		if s.store, err = sqlite.Open(o.db, sqlite.Options{}); err != nil {
			return nil, err
		}
		cfg.Store = s.store
	}
	if s.broker, err = inproq.NewBroker(cfg); err != nil {
		return nil, err
	}
	script, err := s.configure(ctx, o, log)
	if err != nil {
		return nil, err
	}
	if err := handlers(s.broker, script, log); err != nil {
		return nil, err
	}
	if o.account != "" && !accountID.MatchString(o.account) {
		return nil, fmt.Errorf("-account is %q, which is not 32 lower-case hex digits", o.account)
	}
	if s.events, err = eventsub.New(s.broker, eventsub.Config{AccountID: o.account}); err != nil {
		return nil, err
	}
	s.handler = s.routes(o)
	return s, nil
}

// configure applies the wrangler configuration, if there is one, and returns the name of
// its script.
func (s *server) configure(ctx context.Context, o options, log *log.Logger) (script string, err error) {
	if o.config == "" {
		return "", nil
	}
	file, err := wranglerconfig.Load(o.config)
	if err != nil {
		return "", err
	}
	file.Limits = s.broker.Limits()
	cfg, err := file.Environment(o.environment)
	if err != nil {
		return "", err
	}
	report, err := wranglerconfig.Apply(ctx, s.broker, cfg)
	for line := range strings.Lines(report.String()) {
		log.Printf("%s: %s", o.config, strings.TrimSpace(line))
	}
	return cfg.Script, err
}

var accountID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// routes mounts the APIs where wrangler and the SDKs expect it.
func (s *server) routes(o options) http.Handler {
	cfg := httpapi.Config{AccountID: o.account, Events: s.events}
	tokens := make(map[string]httpapi.Permission)
	if o.readToken != "" {
		tokens[o.readToken] = httpapi.QueuesRead
	}
	if o.token != "" {
		tokens[o.token] = httpapi.QueuesRead | httpapi.QueuesWrite
	}
	if len(tokens) > 0 {
		cfg.Authorize = httpapi.StaticTokens(tokens)
	}
	mux := http.NewServeMux()
	mux.Handle("/client/v4/", httpapi.New(s.broker, cfg))
	mux.Handle("/client/v4/graphql", graphqlapi.New(s.broker, graphqlapi.Config{AccountID: o.account, Authorize: cfg.Authorize}))
	return mux
}

// serve answers on l until ctx ends. Then come first no more requests, and then no more
// messages: a request that is being answered may still send one. Last is the file.
func (s *server) serve(ctx context.Context, l net.Listener) error {
	web := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	var serveErr, runErr, eventsErr error
	var wg sync.WaitGroup
	served, ran := make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		defer close(served)
		if serveErr = web.Serve(l); errors.Is(serveErr, http.ErrServerClosed) {
			serveErr = nil
		}
	})
	running, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()
	wg.Go(func() {
		defer close(ran)
		runErr = s.broker.Run(running)
	})
	wg.Go(func() { eventsErr = s.events.Run(running) }) // what happens to queues, for those subscribed to it
	select {
	case <-ctx.Done():
	case <-served: // it has failed
	case <-ran: // so has that
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	err := web.Shutdown(grace)
	drain() // Run has a grace of its own
	wg.Wait()
	return errors.Join(err, serveErr, runErr, eventsErr, s.close(grace))
}

// close closes what is there. After Run the broker is closed already.
func (s *server) close(ctx context.Context) error {
	var errs []error
	if s.broker != nil {
		errs = append(errs, s.broker.Shutdown(ctx))
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	return errors.Join(errs...)
}
