package httpapi

import (
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/eventsub"
)

// Config says what the API answers to. The zero value is for this machine alone.
type Config struct {
	// AccountID is the one account that there is, 32 lower-case hex digits. Empty:
	// whatever account a request names is this broker.
	AccountID string
	// Authorize decides whether a request may do what needs a permission: nil, or an
	// error, which becomes a 403. Its text is shown only if it is one of this package's.
	// Nil: only requests from this machine, whatever their token.
	Authorize func(r *http.Request, need Permission) error
	// Events has the event subscriptions that the API manages. Nil: a service of the
	// broker's without sources of its own. Subscriptions to the sources "queues" and
	// "queues.queue" get their events from [eventsub.Service.Run], which the application
	// has to call, of this service or another one on the store: without it they can be
	// created, and never get anything.
	Events *eventsub.Service
	// Logger gets the errors that callers see as an "unknown internal error". Nil:
	// slog.Default().
	Logger *slog.Logger
}

// api is the handler.
type api struct {
	broker        *inproq.Broker
	account       string
	authorize     func(*http.Request, Permission) error
	log           *slog.Logger
	subscriptions *eventsub.Service
	mux           *http.ServeMux
	allowed       map[string]string // the methods of a pattern, as Allow has them
	names         sync.Map          // of queues that were asked for, by id
	limits        inproq.Limits
	dataBody      int64 // the largest body of a request about messages
}

// New returns the API of a broker. It starts no goroutine.
//
// Panics if Config.AccountID is neither empty nor 32 lower-case hex digits.
func New(broker *inproq.Broker, cfg Config) http.Handler { return newAPI(broker, cfg) }

func newAPI(broker *inproq.Broker, cfg Config) *api {
	if cfg.AccountID != "" && !isID(cfg.AccountID) {
		panic("httpapi: Config.AccountID is not 32 lower-case hex digits: " + cfg.AccountID)
	}
	a := &api{
		broker: broker, account: cfg.AccountID, authorize: cfg.Authorize, log: cfg.Logger,
		mux: http.NewServeMux(), allowed: make(map[string]string),
	}
	if a.subscriptions = cfg.Events; a.subscriptions == nil {
		// Its account is checked above, so nothing can go wrong.
		a.subscriptions, _ = eventsub.New(broker, eventsub.Config{AccountID: cfg.AccountID, Logger: cfg.Logger})
	}
	a.limits = broker.Limits()
	a.dataBody = dataBodyLimit(max(a.limits.MaxMessageBytes, a.limits.MaxBatchBytes), a.limits.MaxBatchMessages)
	if a.authorize == nil {
		a.authorize = thisMachine()
	}
	if a.log == nil {
		a.log = slog.Default()
	}
	for _, rt := range a.routes() {
		a.mux.Handle(rt.method+" "+rt.pattern, a.serve(rt))
		methods := rt.method
		if methods == http.MethodGet {
			methods = "GET, HEAD" // the mux takes it for both
		}
		if others, known := a.allowed[rt.pattern]; known {
			methods = others + ", " + methods
		} else {
			a.mux.Handle(rt.pattern, http.HandlerFunc(a.otherMethod))
		}
		a.allowed[rt.pattern] = methods
	}
	return a
}

// ServeHTTP finds the route of a request, below whatever prefix.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	limitTime(w, r)
	if routed := a.find(r); routed != nil {
		a.mux.ServeHTTP(w, routed)
		return
	}
	a.reply(w, r, nil, errNoRoute)
}

// roots are the first segments of Cloudflare's paths, where the prefix ends. There are no
// routes here below zones, nor may what is there be taken for one.
var roots = map[string]bool{"accounts": true, "memberships": true, "user": true, "zones": true}

// find returns the request with the path that a route knows, nil if none does. The prefix
// ends before the first segment that is a root: what comes later belongs to the route, or
// unknown routes would be answered as others that they end with.
func (a *api) find(r *http.Request) *http.Request {
	escaped := r.URL.EscapedPath()
	if !strings.HasPrefix(escaped, "/") || path.Clean(escaped) != escaped {
		return nil // the mux would answer with a redirection, which no client expects
	}
	rest := escaped
	for !roots[firstSegment(rest)] {
		next := strings.IndexByte(rest[1:], '/')
		if next < 0 {
			return nil
		}
		rest = rest[1+next:]
	}
	routed := withPath(r, rest)
	if _, pattern := a.mux.Handler(routed); pattern == "" {
		return nil
	}
	return routed
}

// withPath returns a shallow copy of a request with another path.
func withPath(r *http.Request, escaped string) *http.Request {
	routed, u := *r, *r.URL
	u.Path, u.RawPath = escaped, ""
	if plain, err := url.PathUnescape(escaped); err == nil {
		u.Path, u.RawPath = plain, escaped
	}
	routed.URL = &u
	return &routed
}

// firstSegment returns what is between the first and the second slash.
func firstSegment(p string) string {
	s, _, _ := strings.Cut(strings.TrimPrefix(p, "/"), "/")
	return s
}

// serve is the handler of one route.
func (a *api) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		result, err := a.perform(w, r, rt)
		a.reply(w, r, result, err)
	})
}

// perform does what is the same for all routes, and then what the route is for.
func (a *api) perform(w http.ResponseWriter, r *http.Request, rt route) (any, error) {
	if err := a.authorize(r, rt.need); err != nil {
		return nil, unauthorized(err)
	}
	if id := r.PathValue("account_id"); id != "" && a.account != "" && id != a.account {
		return nil, unauthorized(refusal("the token is not for this account"))
	}
	r.Body = a.bounded(w, r)
	return rt.do(r)
}

// otherMethod answers a request to a path that exists, by a method that it does not have.
func (a *api) otherMethod(w http.ResponseWriter, r *http.Request) {
	a.reply(w, r, nil, errNoMethod)
}

// isID reports whether s has the form of Cloudflare's ids: 32 lower-case hex digits.
func isID(s string) bool {
	if len(s) != 32 {
		return false
	}
	for _, c := range []byte(s) {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}
