package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"github.com/inproq/inproq"
)

func (a *api) pullRoutes() []route {
	return []route{
		{"POST", messagesPath + "/pull", QueuesRead | QueuesWrite, a.pull},
		{"POST", messagesPath + "/ack", QueuesRead | QueuesWrite, a.ack},
	}
}

// mostLeases bounds one acknowledgement: ten pulls of the largest size.
const mostLeases = 1000

// pullRequest decodes what a pull wants; a body that is empty wants what the consumer's
// settings say. The documentation of visibility_timeout has milliseconds too.
func (a *api) pullRequest(raw []byte) (req inproq.PullRequest, err error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return req, nil
	}
	var d decoder
	o := d.body(raw, "batch_size", "visibility_timeout_ms", "visibility_timeout")
	req.BatchSize = number(o.count("batch_size", codeInvalid, 1, a.limits.MaxPullBatch))
	for _, key := range []string{"visibility_timeout", "visibility_timeout_ms"} {
		v := o.duration(key, time.Millisecond, codeInvalid, time.Millisecond, a.limits.MaxVisibility)
		if v != nil {
			req.VisibilityTimeout = *v
		}
	}
	return req, d.err
}

// wirePull is the result of a pull.
type wirePull struct {
	MessageBacklogCount int64         `json:"message_backlog_count"`
	Messages            []wireMessage `json:"messages"`
	Metadata            wireMetadata  `json:"metadata"`
}

func (a *api) pull(r *http.Request) (any, error) {
	q, raw, err := a.target(r)
	if err != nil {
		return nil, err
	}
	req, err := a.pullRequest(raw)
	if err != nil {
		return nil, err
	}
	pulled, err := a.pullFitting(r, &q, req)
	if err != nil {
		return nil, err
	}
	res := wirePull{Messages: make([]wireMessage, len(pulled.Messages))}
	backlog := pulled.Metrics
	for i := range pulled.Messages {
		m := &pulled.Messages[i]
		// Here the backlog has what is not acknowledged, so this batch too.
		backlog.BacklogCount++
		backlog.BacklogBytes += int64(len(m.Body))
		if backlog.OldestMessageTimestamp.IsZero() || m.Timestamp.Before(backlog.OldestMessageTimestamp) {
			backlog.OldestMessageTimestamp = m.Timestamp
		}
		res.Messages[i] = wireMessage{
			ID: m.ID, Body: bodyOnWire(m.Body, m.ContentType), TimestampMS: m.Timestamp.UnixMilli(), Attempts: m.Attempts,
			LeaseID: m.LeaseID, Metadata: metadataOnWire(m.Headers, m.ContentType),
		}
	}
	res.Metadata.Metrics = metricsOnWire(backlog)
	res.MessageBacklogCount = backlog.BacklogCount
	return res, nil
}

// pullFitting pulls until the reply has what it may have. What is pulled has a lease, so
// nothing can be left out afterwards: it is pulled in parts, each of which fits whatever
// the size of its messages, or has only one.
func (a *api) pullFitting(
	r *http.Request, q *inproq.QueueInfo, req inproq.PullRequest,
) (all inproq.PullResult, err error) {
	wanted, room := req.BatchSize, mostReply
	if wanted == 0 && q.Consumer != nil {
		wanted = min(q.Consumer.Settings.MaxBatchSize, a.limits.MaxPullBatch)
	}
	for {
		req.BatchSize = min(wanted, max(room/a.limits.MaxMessageBytes, 1))
		part, err := a.broker.Pull(r.Context(), q.Name, req)
		if err != nil {
			if len(all.Messages) > 0 {
				return all, nil // their leases run; whoever asks again gets the error
			}
			return part, err
		}
		// The metrics of a part leave out only its own messages.
		all.Metrics = part.Metrics
		all.Metrics.BacklogCount = max(all.Metrics.BacklogCount-int64(len(all.Messages)), 0)
		all.Metrics.BacklogBytes = max(all.Metrics.BacklogBytes-int64(mostReply-room), 0)
		all.Messages = append(all.Messages, part.Messages...)
		for i := range part.Messages {
			room -= len(part.Messages[i].Body)
		}
		wanted -= len(part.Messages)
		if len(part.Messages) < req.BatchSize || wanted <= 0 || room <= 0 {
			return all, nil
		}
	}
}

// ackRequest decodes what becomes of pulled messages.
func (a *api) ackRequest(raw []byte) (req inproq.SettleRequest, err error) {
	var d decoder
	o := d.body(raw, "acks", "retries")
	o.list("acks", mostLeases, func(element json.RawMessage, at string) {
		l := d.object(element, at, "lease_id")
		l.require(codeInvalid, "lease_id")
		req.Acks = append(req.Acks, l.text("lease_id"))
	})
	o.list("retries", mostLeases, func(element json.RawMessage, at string) {
		l := d.object(element, at, "lease_id", "delay_seconds")
		l.require(codeInvalid, "lease_id")
		retry := inproq.LeaseDelay{LeaseID: l.text("lease_id")}
		if delay := l.duration("delay_seconds", time.Second, codeMetadata, 0, a.limits.MaxDelay); delay != nil {
			retry.Delay = explicit(*delay)
		}
		req.Retries = append(req.Retries, retry)
	})
	return req, d.err
}

// wireAck is the result of an acknowledgement. These names are in camel case.
type wireAck struct {
	AckCount   int               `json:"ackCount"`
	RetryCount int               `json:"retryCount"`
	Warnings   map[string]string `json:"warnings"` // by lease id
}

func (a *api) ack(r *http.Request) (any, error) {
	q, raw, err := a.target(r)
	if err != nil {
		return nil, err
	}
	req, err := a.ackRequest(raw)
	if err != nil {
		return nil, err
	}
	settled, err := a.broker.Settle(r.Context(), q.Name, req)
	return wireAck{settled.Acked, settled.Retried, notNil(settled.Warnings)}, err
}

// notNil is a map that JSON has as {} instead of null.
func notNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
