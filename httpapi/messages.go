package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/inproq/inproq"
)

func (a *api) messageRoutes() []route {
	return []route{
		{"POST", messagesPath, QueuesWrite, a.push},
		{"POST", messagesPath + "/batch", QueuesWrite, a.pushBatch},
	}
}

// A sendRequest is one message on its way in. A body is bytes from here on, in the form
// of its content type.
type sendRequest = inproq.MessageSendRequest[[]byte]

// message decodes one that is at some place.
func (a *api) message(d *decoder, raw []byte, at string) (m sendRequest) {
	o := d.object(raw, at, "body", "content_type", "delay_seconds")
	switch ct := o.text("content_type"); strings.ToLower(ct) {
	case "", "json":
		m.ContentType = inproq.JSON
	case "text":
		m.ContentType = inproq.Text
	default:
		d.fail(codeMetadata, o.place("content_type"), `content_type is %s, allowed: "json", "text"`, quote(ct))
	}
	if delay := o.duration("delay_seconds", time.Second, codeMetadata, 0, a.limits.MaxDelay); delay != nil {
		m.Delay = explicit(*delay)
	}
	body, there := o.fields["body"] // null is a value of JSON's
	switch {
	case d.err != nil:
	case !there:
		d.fail(codeInvalid, o.place("body"), "body is required")
	case m.ContentType == inproq.Text:
		var text string
		if !unquote(body, &text) {
			d.wrongType(body, o.place("body"), "a string, since content_type is text", nil)
		}
		if loneSurrogate(body) {
			d.fail(codeInvalid, o.place("body"), "body has half a surrogate pair, which is no text")
		}
		m.Body = []byte(text)
	default:
		var compact bytes.Buffer // what is between its tokens is not part of the body
		if err := json.Compact(&compact, body); err != nil {
			d.malformed(o.place("body"), err)
		}
		m.Body = compact.Bytes()
	}
	return m
}

// batch decodes many, and the delay of those that have none of their own.
func (a *api) batch(raw []byte) (msgs []sendRequest, opts []inproq.SendOption, err error) {
	var d decoder
	o := d.body(raw, "messages", "delay_seconds")
	if delay := o.duration("delay_seconds", time.Second, codeBatchDelay, 0, a.limits.MaxDelay); delay != nil {
		opts = append(opts, inproq.Delay(*delay))
	}
	o.require(codeInvalid, "messages")
	o.list("messages", a.limits.MaxBatchMessages, func(element json.RawMessage, at string) {
		msgs = append(msgs, a.message(&d, element, at))
	})
	return msgs, opts, d.err
}

// explicit is a delay that was said: zero is none, and not the queue's.
func explicit(d time.Duration) time.Duration {
	if d == 0 {
		return inproq.NoDelay
	}
	return d
}

// sendOne decodes the body of a push, which is one message.
func (a *api) sendOne(raw []byte) (sendRequest, error) {
	var d decoder
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = nil
		d.body(raw)
	}
	m := a.message(&d, raw, "")
	return m, d.err
}

func (a *api) push(r *http.Request) (any, error) {
	info, raw, err := a.target(r)
	if err != nil {
		return nil, err
	}
	m, err := a.sendOne(raw)
	if err != nil {
		return nil, err
	}
	// Bytes may be sent to any queue, whatever the type that it is declared with.
	q, err := inproq.Bind[[]byte](r.Context(), a.broker, info.Name)
	if err != nil {
		return nil, err
	}
	opts := []inproq.SendOption{inproq.ContentAs(m.ContentType)}
	if m.Delay != 0 {
		opts = append(opts, inproq.Delay(max(m.Delay, 0)))
	}
	sent, err := q.Send(r.Context(), m.Body, opts...)
	return withMetrics{wireMetadata{metricsOnWire(sent.Metrics)}}, err
}

func (a *api) pushBatch(r *http.Request) (any, error) {
	info, raw, err := a.target(r)
	if err != nil {
		return nil, err
	}
	msgs, opts, err := a.batch(raw)
	if err != nil {
		return nil, err
	}
	q, err := inproq.Bind[[]byte](r.Context(), a.broker, info.Name)
	if err != nil {
		return nil, err
	}
	sent, err := q.SendBatch(r.Context(), msgs, opts...)
	return withMetrics{wireMetadata{metricsOnWire(sent.Metrics)}}, err
}
