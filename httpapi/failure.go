package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/inproq/inproq"
)

// A failure is one error of an envelope, with the status that goes with it.
type failure struct {
	Code    int     `json:"code"` // Cloudflare's; 0: it has none
	Message string  `json:"message"`
	Source  *source `json:"source,omitempty"`

	status int
}

// source is the place of a problem in the body.
type source struct {
	Pointer string `json:"pointer"` // RFC 6901
}

func (f *failure) Error() string { return f.Message }

// Cloudflare's numbers that this package itself answers with. The others come from
// inproq.ErrorCode.
const (
	codeNoMethod     = 7001
	codeNoRoute      = 7003
	codeUnauthorized = 10000
	codeNoQueue      = 10104 // for messages
	codeQueueID      = 10107
	codeDisconnected = 10201
	codeBatchDelay   = 10202
	codeMetadata     = 10203 // content type and delay of a message
	codeMessageSize  = 10204
	codeBatchBytes   = 10205
	codeBatchCount   = 10206
	codeInvalid      = 10207 // JSON of another shape
	codeMalformed    = 10208 // not JSON
	codeNoQueueHere  = 11000 // for settings
	codeQueueName    = 11003
	codeConsumer     = 11004 // there is one
	codeNoConsumer   = 11006
	codeNameTaken    = 11009
	codeConsumerBad  = 100127
	codeQueueBad     = 100128
	codeUnknown      = 15000
)

var (
	errNoRoute  = &failure{Code: codeNoRoute, Message: "No route for that URI", status: http.StatusNotFound}
	errNoMethod = &failure{Code: codeNoMethod, Message: "Method not available for that URI", status: http.StatusMethodNotAllowed}
)

// unauthorized is the failure of a request that may not do what it wants.
func unauthorized(err error) *failure {
	text := "Authentication error"
	if why, ok := errors.AsType[refusal](err); ok {
		text += ": " + string(why)
	}
	return &failure{Code: codeUnauthorized, Message: text, status: http.StatusForbidden}
}

// invalid is the failure of a body with something wrong at a place.
func invalid(code int, at, format string, args ...any) *failure {
	f := &failure{Code: code, Message: fmt.Sprintf(format, args...), status: statusOf(code)}
	if at != "" {
		f.Source = &source{at}
	}
	return f
}

// statusOf returns the status that goes with a number of Cloudflare's.
func statusOf(code int) int {
	switch code {
	case codeNoQueue, codeNoQueueHere, codeNoConsumer:
		return http.StatusNotFound
	case codeConsumer, codeNameTaken:
		return http.StatusConflict
	case codeQueueID, codeBatchDelay, codeMetadata, codeBatchCount, codeInvalid, codeMalformed, codeQueueName, codeConsumerBad, codeQueueBad:
		return http.StatusBadRequest
	case codeMessageSize, codeBatchBytes:
		return http.StatusRequestEntityTooLarge
	case 10250, 10251, 10252, 10253:
		return http.StatusTooManyRequests
	}
	return http.StatusInternalServerError
}

// failureOf turns any error into what the caller gets to see.
func (a *api) failureOf(r *http.Request, err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	code := inproq.ErrorCode(err)
	f := &failure{Code: code, Message: wireText(err), status: statusOf(code)}
	switch {
	case errors.Is(err, inproq.ErrDeliveryPaused):
		f.Message, f.status = "queue_delivery_paused", http.StatusConflict
	case errors.Is(err, inproq.ErrNotPullConsumer):
		f.Message, f.status = "messages cannot be pulled unless http_pull mode is enabled", http.StatusMethodNotAllowed
	case errors.Is(err, inproq.ErrQueueNotFound):
		if !isDataPlane(r) {
			f.Code = codeNoQueueHere
		}
	case errors.Is(err, inproq.ErrConsumerExists):
		f.Message = "workers.api.error.consumer_exists: " + f.Message
	case errors.Is(err, inproq.ErrConflict):
		f.status = http.StatusConflict
	case errors.Is(err, inproq.ErrNotSupported):
		f.status = http.StatusNotImplemented
	case errors.Is(err, inproq.ErrBrokerClosed):
		f.status = http.StatusServiceUnavailable
	case f.status != http.StatusInternalServerError:
	case r.Context().Err() != nil:
		f.Code, f.Message, f.status = codeDisconnected, "Client Disconnected", http.StatusRequestTimeout
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		f.Message, f.status = "the store did not answer in time", http.StatusGatewayTimeout
	default:
		// What a store says is for the log: it may name hosts and files.
		a.log.Error("request failed", "route", r.Pattern, "err", err)
		f.Message = "Unknown Internal Error"
	}
	return f
}

// isDataPlane reports whether a request is about messages: its errors have other
// numbers than those about settings.
func isDataPlane(r *http.Request) bool { return strings.Contains(r.Pattern, "/messages") }

// wireNames are the names on the wire of settings that the broker's errors name.
var wireNames = strings.NewReplacer(
	"inproq: ", "",
	"DeliveryDelay", "delivery_delay",
	"MessageRetentionPeriod", "message_retention_period",
	"MaxBatchSize", "batch_size",
	"MaxBatchTimeout", "max_wait_time_ms",
	"MaxRetries", "max_retries",
	"RetryDelay", "retry_delay",
	"MaxConcurrency", "max_concurrency",
	"VisibilityTimeout", "visibility_timeout_ms",
	"DeadLetterQueue", "dead_letter_queue",
)

// wireText is an error's text in the words of the wire.
func wireText(err error) string { return wireNames.Replace(err.Error()) }
