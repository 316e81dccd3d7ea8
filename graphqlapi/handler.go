package graphqlapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/httpapi"
)

// Config says what the endpoint answers to. The zero value is for this machine alone.
type Config struct {
	// AccountID is the one accountTag that there is, 32 lower-case hex digits. Empty:
	// whatever account a query names is this broker.
	AccountID string
	// Authorize is that of httpapi.Config: it is asked for QueuesRead. Nil: only requests
	// from this machine, whatever their token.
	Authorize func(r *http.Request, need httpapi.Permission) error
	// Logger gets errors that callers do not see. Nil: slog.Default().
	Logger *slog.Logger
}

// maxBody bounds the bytes of a request.
const maxBody = 64 << 10

// New returns the endpoint of a broker, for whatever path. It starts no goroutine.
//
// Panics if Config.AccountID is neither empty nor 32 lower-case hex digits.
func New(broker *inproq.Broker, cfg Config) http.Handler {
	if cfg.AccountID != "" && !isID(cfg.AccountID) {
		panic("graphqlapi: Config.AccountID is not 32 lower-case hex digits: " + cfg.AccountID)
	}
	h := &handler{
		broker: broker, account: cfg.AccountID, authorize: cfg.Authorize,
		log: cmp.Or(cfg.Logger, slog.Default()),
	}
	if h.authorize == nil {
		h.authorize = httpapi.ThisMachine()
	}
	return h
}

func isID(s string) bool {
	return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == ""
}

type handler struct {
	broker    *inproq.Broker
	account   string
	authorize func(*http.Request, httpapi.Permission) error
	log       *slog.Logger
}

// request is the body of a GraphQL request.
type request struct {
	Query         string                     `json:"query"`
	OperationName string                     `json:"operationName"`
	Variables     map[string]json.RawMessage `json:"variables"`
}

// ServeHTTP answers a query.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	limitBody(w, r) // first of all: who is refused must not hold the connection either
	if err := h.authorize(r, httpapi.QueuesRead); err != nil {
		reply(w, r, http.StatusForbidden, nil, gqlerror.List{gqlerror.Errorf("Authentication error")})
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		reply(w, r, http.StatusMethodNotAllowed, nil, gqlerror.List{gqlerror.Errorf("queries are sent by POST")})
		return
	}
	req, status, err := read(w, r)
	if err != nil {
		reply(w, r, status, nil, gqlerror.List{gqlerror.Errorf("%s", err.Error())})
		return
	}
	data, err := h.answer(r.Context(), req)
	if err != nil {
		reply(w, r, http.StatusOK, nil, h.visible(err))
		return
	}
	reply(w, r, http.StatusOK, data, nil)
}

// read decodes a request.
func read(w http.ResponseWriter, r *http.Request) (*request, int, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, http.StatusRequestTimeout, errors.New("the request did not arrive in time")
	}
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, http.StatusRequestEntityTooLarge, errors.New("the request has more than 65,536 bytes")
		}
		return nil, http.StatusBadRequest, errors.New("the request broke off")
	}
	bodyArrived(w, r)
	var req request
	if err := json.Unmarshal(raw, &req); err != nil || req.Query == "" {
		return nil, http.StatusBadRequest, errors.New("the request is no JSON object with a query")
	}
	return &req, 0, nil
}

// visible returns what of an error the caller gets to see. What a store says is for the
// log: it may name hosts and files.
func (h *handler) visible(err error) gqlerror.List {
	if list, ok := errors.AsType[gqlerror.List](err); ok {
		return list
	}
	if e, ok := errors.AsType[*gqlerror.Error](err); ok {
		return gqlerror.List{e}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return gqlerror.List{gqlerror.Errorf("the query was given up")} // nothing is wrong here
	}
	h.log.Error("query failed", "err", err)
	return gqlerror.List{gqlerror.Errorf("Unknown Internal Error")}
}

// reply sends a reply. The errors are those of gqlerror, or nil.
func reply(w http.ResponseWriter, r *http.Request, status int, data []byte, errs gqlerror.List) {
	list, err := json.Marshal(errs)
	if err != nil { // an extension that is no JSON: there are none such
		list = []byte(`[{"message":"Unknown Internal Error"}]`)
	}
	if data == nil {
		data = []byte("null")
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	limitReply(w, r)
	w.WriteHeader(status)
	// In pieces, as the data may be large. An error is one of the connection: the client
	// is gone.
	for _, piece := range [][]byte{[]byte(`{"data":`), data, []byte(`,"errors":`), list, []byte("}\n")} {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}
