package httpapi

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// controlBody bounds bodies that are not about messages: names and numbers.
	controlBody = 64 << 10
	// escaped is how many bytes of JSON one byte of a text may take: \u0000.
	escaped = 6
	// leastData and mostData bound the bound for messages, whatever the broker's limits.
	leastData, mostData = 2 << 20, 256 << 20
	// bodyTimeout is how long a body may take, where the server does not say.
	bodyTimeout = 30 * time.Second
)

// bounded bounds a request's body in size and time.
func (a *api) bounded(w http.ResponseWriter, r *http.Request) io.ReadCloser {
	limit := int64(controlBody)
	if isDataPlane(r) {
		limit = a.dataBody
	}
	b := &boundedBody{ReadCloser: r.Body, limit: limit, code: codeInvalid}
	switch {
	case strings.HasSuffix(r.Pattern, messagesPath):
		b.code = codeMessageSize
	case strings.HasSuffix(r.Pattern, messagesPath+"/batch"):
		b.code = codeBatchBytes
	}
	if r.Body == nil || r.Body == http.NoBody {
		b.ReadCloser = http.NoBody
		return b
	}
	if r.ContentLength > limit {
		b.ReadCloser = http.NoBody // it is refused unread
		b.tooLarge = true
		w.Header().Set("Connection", "close")
		return b
	}
	b.ReadCloser = http.MaxBytesReader(w, r.Body, limit)
	b.deadline = http.NewResponseController(w)
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && server.ReadTimeout > 0 {
		b.deadline = nil // it is the server's
	}
	return b
}

// boundedBody is the body of a request whose route is about to read it.
type boundedBody struct {
	io.ReadCloser
	limit    int64
	code     int // of one that exceeds it
	tooLarge bool
	deadline *http.ResponseController // nil: none is to be set
}

// readBody reads the whole body. It is UTF-8: encoding/json would put U+FFFD in the place
// of what is not, and change a message that way.
func readBody(r *http.Request) ([]byte, error) {
	b := r.Body.(*boundedBody)
	if b.tooLarge {
		return nil, b.exceeded()
	}
	if b.deadline != nil {
		// A writer that is not a connection has none; neither can it be slow.
		if b.deadline.SetReadDeadline(time.Now().Add(bodyTimeout)) == nil {
			// Left in place it would end the request's context while the action runs.
			defer func() { _ = b.deadline.SetReadDeadline(time.Time{}) }()
		}
	}
	raw, err := io.ReadAll(b)
	switch {
	case err == nil && !utf8.Valid(raw):
		return nil, invalid(codeMalformed, "", "the body is not valid UTF-8")
	case err == nil:
		return raw, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &failure{Code: codeDisconnected, Message: "the body did not arrive in time", status: http.StatusRequestTimeout}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, b.exceeded()
	}
	return nil, &failure{Code: codeDisconnected, Message: "the body broke off", status: http.StatusBadRequest}
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
