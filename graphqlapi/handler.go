package graphqlapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

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

// maxBody bounds the bytes of a request, and bodyTimeout the time that it takes.
const (
	maxBody     = 64 << 10
	bodyTimeout = 30 * time.Second
)

// New returns the endpoint of a broker, for whatever path. It starts no goroutine.
func New(broker *inproq.Broker, cfg Config) http.Handler {
	h := &handler{broker: broker, account: cfg.AccountID, authorize: cfg.Authorize, log: cmp.Or(cfg.Logger, slog.Default())}
	if h.authorize == nil {
		h.authorize = httpapi.ThisMachine()
	}
	return h
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

// response is the body of a reply.
type response struct {
	Data   any           `json:"data"`
	Errors gqlerror.List `json:"errors"`
}

// ServeHTTP answers a query.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h.authorize(r, httpapi.QueuesRead); err != nil {
		reply(w, http.StatusForbidden, response{Errors: gqlerror.List{gqlerror.Errorf("Authentication error")}})
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		reply(w, http.StatusMethodNotAllowed, response{Errors: gqlerror.List{gqlerror.Errorf("queries are sent by POST")}})
		return
	}
	req, status, err := read(w, r)
	if err != nil {
		reply(w, status, response{Errors: gqlerror.List{gqlerror.Errorf("%s", err.Error())}})
		return
	}
	data, err := h.answer(r.Context(), req)
	if err != nil {
		reply(w, http.StatusOK, response{Errors: h.visible(err)})
		return
	}
	reply(w, http.StatusOK, response{Data: data})
}

// read decodes a request.
func read(w http.ResponseWriter, r *http.Request) (*request, int, error) {
	// A writer that is not a connection has no deadline; neither can it be slow.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, http.StatusRequestEntityTooLarge, errors.New("the request has more than 65,536 bytes")
		}
		return nil, http.StatusBadRequest, errors.New("the request broke off")
	}
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
	h.log.Error("query failed", "err", err)
	return gqlerror.List{gqlerror.Errorf("Unknown Internal Error")}
}

func reply(w http.ResponseWriter, status int, res response) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(res) // an error of the connection: the client is gone
}
