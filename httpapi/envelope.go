package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
)

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
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if status == http.StatusConflict || status == http.StatusTooManyRequests || status >= http.StatusInternalServerError {
		h.Set("X-Should-Retry", "false") // else the SDK tries for minutes
	}
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}
