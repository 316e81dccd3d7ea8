package graphqlapi

import (
	"net/http"
	"time"
)

const (
	// bodyTimeout is how long a request may take to arrive, where the server does not say.
	bodyTimeout = 30 * time.Second
	// replyTimeout is how long a reply may take to be sent, where the server does not say.
	replyTimeout = time.Minute
)

// limitBody gives the body of a request its time, unless the server has. Whoever reads it
// is bound by it: where the handler does not, the server does.
func limitBody(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil && r.Body != http.NoBody && !limitedBy(r, readTimeout) {
		// A writer that is not a connection has no deadline; neither can it be slow.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	}
}

// bodyArrived takes the time back once all of the body is there: left in place, it would
// end the request's context while the query runs.
func bodyArrived(w http.ResponseWriter, r *http.Request) {
	if !limitedBy(r, readTimeout) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
}

// limitReply gives the reply its time, unless the server has. The server takes it back
// itself, after the last byte.
func limitReply(w http.ResponseWriter, r *http.Request) {
	if !limitedBy(r, writeTimeout) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(replyTimeout))
	}
}

func readTimeout(s *http.Server) time.Duration  { return s.ReadTimeout }
func writeTimeout(s *http.Server) time.Duration { return s.WriteTimeout }

// limitedBy reports whether the server has a time-out, and so a deadline that is not to
// be touched.
func limitedBy(r *http.Request, timeout func(*http.Server) time.Duration) bool {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	return ok && timeout(server) > 0
}
