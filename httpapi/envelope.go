package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// replyTimeout is how long a client may take to read a reply, where the server does not
// say.
const replyTimeout = 30 * time.Second

// envelope is the form of every reply, successful or not. Messages stay empty: clients
// disagree on the type of their elements.
type envelope struct {
	Success    bool        `json:"success"`
	Errors     []*failure  `json:"errors"`
	Messages   []string    `json:"messages"`
	Result     any         `json:"result"`
	ResultInfo *resultInfo `json:"result_info,omitempty"`
}

// resultInfo tells where a page is in a list. Clients go on while page*per_page is less
// than total_count.
type resultInfo struct {
	Page       int `json:"page"`
	PerPage    int `json:"per_page"`
	Count      int `json:"count"`
	TotalCount int `json:"total_count"`
	TotalPages int `json:"total_pages"`
}

// A page is the result of a list.
type page struct {
	items any // a slice, not nil
	info  resultInfo
}

// reply writes the envelope. An error of the connection is nobody's concern here: the
// client is gone.
func (a *api) reply(w http.ResponseWriter, r *http.Request, result any, err error) {
	e := envelope{Success: err == nil, Errors: []*failure{}, Messages: []string{}}
	status := http.StatusOK
	switch p, isPage := result.(page); {
	case err != nil:
		f := a.failureOf(r, err)
		e.Errors, status = append(e.Errors, f), f.status
	case isPage:
		e.Result, e.ResultInfo = p.items, &p.info
	default:
		e.Result = result
	}
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(&e); err != nil { // of our own types: a bug
		a.log.Error("reply not encoded", "err", err)
		status = http.StatusInternalServerError
		body.Reset()
		body.WriteString(`{"success":false,"errors":[{"code":15000,"message":"Unknown Internal Error"}],"messages":[],"result":null}`)
	}
	if status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", a.allowed[r.Pattern[strings.IndexByte(r.Pattern, '/'):]])
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if status == http.StatusConflict || status == http.StatusTooManyRequests || status >= http.StatusInternalServerError {
		h.Set("X-Should-Retry", "false") // else the SDK tries for minutes
	}
	limitReply(w, r, func() error {
		w.WriteHeader(status)
		_, err := w.Write(body.Bytes())
		return err
	})
}

// limitReply gives the client its time to read: one that does not read would otherwise
// hold the reply and a goroutine for good. When it has read, the deadline ends, for an
// application may have something to do after this handler.
func limitReply(w http.ResponseWriter, r *http.Request, write func() error) {
	s, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok || s.WriteTimeout > 0 {
		_ = write()
		return
	}
	c := http.NewResponseController(w)
	if c.SetWriteDeadline(time.Now().Add(replyTimeout)) != nil {
		_ = write() // to what is not a connection, and nobody reads slowly
		return
	}
	if write() == nil && c.Flush() == nil {
		_ = c.SetWriteDeadline(time.Time{})
	}
}
