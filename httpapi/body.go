package httpapi

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/inproq/inproq"
)

const (
	// controlBody bounds bodies that are not about messages: names and numbers.
	controlBody = 64 << 10
	// escaped is how many bytes of JSON one byte of a text may take: \u0000.
	escaped = 6
	// leastData and mostData bound the bound for messages, whatever the broker's limits.
	leastData, mostData = 2 << 20, 256 << 20
	// mostReply bounds the bodies of messages in one reply, unless it has only one.
	mostReply = 8 << 20
	// bodyTimeout is how long a body may take, where the server does not say.
	bodyTimeout = 30 * time.Second
)

// limitTime gives the body of a request its time, unless the server has. That goes for
// whoever reads it: after an action that does not, the server itself.
func limitTime(w http.ResponseWriter, r *http.Request) {
	if hasBody(r) && !serverLimitsTime(r) {
		// A writer that is not a connection has no deadline; neither can it be slow.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	}
}

func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

// serverLimitsTime reports whether there is a deadline that is not to be touched.
func serverLimitsTime(r *http.Request) bool {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	return ok && server.ReadTimeout > 0
}

// boundedBody is the body of a request whose action is about to read it.
type boundedBody struct {
	io.ReadCloser
	w        http.ResponseWriter
	limit    int64
	code     int // of one that exceeds the limit
	tooLarge bool
}

// bounded bounds the size of a request's body.
func (a *api) bounded(w http.ResponseWriter, r *http.Request) *boundedBody {
	b := &boundedBody{ReadCloser: http.NoBody, w: w, limit: controlBody, code: codeInvalid}
	if isDataPlane(r) {
		b.limit = a.dataBody
	}
	switch {
	case strings.HasSuffix(r.Pattern, messagesPath):
		b.code = codeMessageSize
	case strings.HasSuffix(r.Pattern, messagesPath+"/batch"):
		b.code = codeBatchBytes
	}
	switch {
	case r.ContentLength > b.limit:
		b.tooLarge = true // it is refused unread
		w.Header().Set("Connection", "close")
	case hasBody(r):
		b.ReadCloser = http.MaxBytesReader(w, r.Body, b.limit)
	}
	return b
}

// readBody reads the whole body. It is UTF-8: encoding/json would put U+FFFD in the place
// of what is not, and change a message that way.
func readBody(r *http.Request) ([]byte, error) {
	b := r.Body.(*boundedBody)
	if b.tooLarge {
		return nil, b.exceeded()
	}
	raw, err := io.ReadAll(b)
	switch {
	case err == nil:
		if !serverLimitsTime(r) {
			// Left in place, the deadline would end the request's context while the action runs.
			_ = http.NewResponseController(b.w).SetReadDeadline(time.Time{})
		}
		if !utf8.Valid(raw) {
			return nil, invalid(codeMalformed, "", "the body is not valid UTF-8")
		}
		return raw, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &failure{Code: codeDisconnected, Message: "the body did not arrive in time", status: http.StatusRequestTimeout}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, b.exceeded()
	}
	return nil, &failure{Code: codeDisconnected, Message: "the body broke off", status: http.StatusBadRequest}
}

// target returns what a request is about: the queue that its path names, and its body. A
// queue that is not there is told first, before the body is read.
func (a *api) target(r *http.Request) (q inproq.QueueInfo, raw []byte, err error) {
	if q, err = a.queue(r); err == nil {
		raw, err = readBody(r)
	}
	return q, raw, err
}

func (b *boundedBody) exceeded() error {
	f := invalid(b.code, "", "the body of the request exceeds %d bytes", b.limit)
	f.status = http.StatusRequestEntityTooLarge
	return f
}

// dataBodyLimit is the largest body that can be within the broker's limits.
func dataBodyLimit(bytes, messages int) int64 {
	const perMessage = 1 << 10 // keys and punctuation
	size := min(int64(bytes), mostData/escaped)*escaped + min(int64(messages), mostData/perMessage)*perMessage
	return min(max(size, leastData), mostData)
}
