package httpapi

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	"github.com/inproq/inproq"
)

func (a *api) consumerRoutes() []route {
	return []route{
		{"GET", consumersPath, QueuesRead, a.listConsumers},
		{"POST", consumersPath, QueuesWrite, a.createConsumer},
		{"GET", consumerPath, QueuesRead, a.getConsumer},
		{"PUT", consumerPath, QueuesWrite, a.updateConsumer},
		{"DELETE", consumerPath, QueuesWrite, a.deleteConsumer},
	}
}

// consumer returns the consumer that a request's path names, and its queue.
func (a *api) consumer(r *http.Request) (inproq.QueueInfo, *inproq.ConsumerInfo, error) {
	q, err := a.queue(r)
	if err != nil {
		return q, nil, err
	}
	if q.Consumer == nil || q.Consumer.ID != r.PathValue("consumer_id") {
		return q, nil, fmt.Errorf("%w: queue %q has none with this id", inproq.ErrConsumerNotFound, q.Name)
	}
	return q, q.Consumer, nil
}

func (a *api) listConsumers(r *http.Request) (any, error) {
	q, err := a.queue(r)
	return queueOnWire(&q).Consumers, err
}

func (a *api) getConsumer(r *http.Request) (any, error) {
	q, c, err := a.consumer(r)
	if err != nil {
		return nil, err
	}
	return consumerOnWire(q.ID, c), nil
}

// consumerRequest is what a body says of a consumer; nil is what it does not say.
type consumerRequest struct {
	kind            inproq.ConsumerKind
	script          string
	deadLetterQueue string
	batchSize       *int
	maxWait         *time.Duration
	maxRetries      *int
	retryDelay      *time.Duration
	maxConcurrency  *int
	visibility      *time.Duration
}

// consumerRequest decodes it. Fields of a consumer that was read and cannot be set are
// accepted, and do nothing.
func (a *api) consumerRequest(raw []byte) (c consumerRequest, err error) {
	var d decoder
	o := d.body(raw, "type", "script_name", "environment_name", "settings", "dead_letter_queue",
		"script", "service", "environment", "consumer_id", "created_on", "queue_id", "queue_name")
	o.require(codeConsumerBad, "type")
	c.kind = inproq.ConsumerKind(o.text("type"))
	c.script = cmp.Or(o.text("script_name"), o.text("script"), o.text("service"))
	c.deadLetterQueue = o.text("dead_letter_queue")
	keys, other := []string{"batch_size", "max_retries", "retry_delay"}, []string(nil)
	switch c.kind {
	case inproq.Worker:
		keys, other = append(keys, "max_wait_time_ms", "max_concurrency"), []string{"visibility_timeout_ms"}
		if c.script == "" {
			d.fail(codeConsumerBad, o.place("script_name"), "script_name is required")
		}
	case inproq.HTTPPull:
		keys, other = append(keys, "visibility_timeout_ms"), []string{"max_wait_time_ms", "max_concurrency"}
		c.script = ""
	default:
		d.fail(codeConsumerBad, o.place("type"), `type should be "worker" or "http_pull"`)
	}
	if settings := o.value("settings"); settings != nil {
		a.consumerSettings(&c, d.object(settings, o.place("settings"), append(keys, other...)...), other)
	}
	return c, d.err
}

// consumerSettings decodes the settings within the broker's limits. Null is the default,
// of max_concurrency too; those of the other kind of consumers may only be null.
func (a *api) consumerSettings(c *consumerRequest, s object, other []string) {
	const code = codeConsumerBad
	l := &a.limits
	for _, key := range other {
		if s.value(key) != nil {
			s.fail(code, s.place(key), "%s is no setting of a consumer of type %s", key, c.kind)
		}
	}
	most := l.MaxConsumerBatch
	if c.kind == inproq.HTTPPull {
		most = l.MaxPullBatch
	}
	c.batchSize = s.count("batch_size", code, 1, most)
	c.maxRetries = s.count("max_retries", code, 0, l.MaxRetries)
	c.retryDelay = s.duration("retry_delay", time.Second, code, 0, l.MaxDelay)
	if c.kind == inproq.HTTPPull {
		c.visibility = s.duration("visibility_timeout_ms", time.Millisecond, code, time.Millisecond, l.MaxVisibility)
		return
	}
	c.maxWait = s.duration("max_wait_time_ms", time.Millisecond, code, 0, l.MaxBatchTimeout)
	c.maxConcurrency = s.count("max_concurrency", code, 1, l.MaxConcurrency)
}

// settings are the ones of the broker: there, zero is the default.
func (c *consumerRequest) settings() inproq.ConsumerSettings {
	s := inproq.ConsumerSettings{
		MaxBatchSize:      number(c.batchSize),
		MaxConcurrency:    number(c.maxConcurrency),
		VisibilityTimeout: duration(c.visibility),
		RetryDelay:        duration(c.retryDelay),
		DeadLetterQueue:   c.deadLetterQueue,
	}
	if c.maxWait != nil {
		s.MaxBatchTimeout = cmp.Or(*c.maxWait, inproq.NoWait)
	}
	if c.maxRetries != nil {
		s.MaxRetries = cmp.Or(*c.maxRetries, inproq.NoRetries)
	}
	return s
}

func (a *api) readConsumerRequest(r *http.Request) (c consumerRequest, err error) {
	raw, err := readBody(r)
	if err != nil {
		return c, err
	}
	return a.consumerRequest(raw)
}

func (a *api) createConsumer(r *http.Request) (any, error) {
	q, raw, err := a.target(r)
	if err != nil {
		return nil, err
	}
	req, err := a.consumerRequest(raw)
	if err != nil {
		return nil, err
	}
	c, err := a.broker.AttachConsumer(r.Context(), q.Name, inproq.ConsumerSpec{Kind: req.kind, Script: req.script, Settings: req.settings()})
	return consumerOnWire(q.ID, &c), err
}

// updateConsumer replaces the settings: what a request does not name gets its default.
// What the consumer is, stays.
func (a *api) updateConsumer(r *http.Request) (any, error) {
	q, c, err := a.consumer(r)
	if err != nil {
		return nil, err
	}
	req, err := a.readConsumerRequest(r)
	if err != nil {
		return nil, err
	}
	switch {
	case req.kind != c.Kind:
		return nil, invalid(codeConsumerBad, "/type", "type cannot be changed: delete the consumer first")
	case req.script != c.Script:
		return nil, invalid(codeConsumerBad, "/script_name", "script_name cannot be changed: delete the consumer first")
	}
	updated, err := a.broker.UpdateConsumer(r.Context(), q.Name, a.replacement(&req))
	return consumerOnWire(q.ID, &updated), err
}

// replacement is the update that sets everything. The defaults are the broker's, which
// has them for new consumers only.
func (a *api) replacement(c *consumerRequest) inproq.ConsumerUpdate {
	l := &a.limits
	u := inproq.ConsumerUpdate{
		MaxRetries:      cmp.Or(c.maxRetries, new(min(3, l.MaxRetries))),
		RetryDelay:      cmp.Or(c.retryDelay, new(time.Duration(0))),
		DeadLetterQueue: &c.deadLetterQueue,
	}
	if c.kind == inproq.HTTPPull {
		u.MaxBatchSize = cmp.Or(c.batchSize, new(min(5, l.MaxPullBatch)))
		u.VisibilityTimeout = cmp.Or(c.visibility, new(min(30*time.Second, l.MaxVisibility)))
		return u
	}
	u.MaxBatchSize = cmp.Or(c.batchSize, new(min(10, l.MaxConsumerBatch)))
	u.MaxBatchTimeout = cmp.Or(c.maxWait, new(min(5*time.Second, l.MaxBatchTimeout)))
	u.MaxConcurrency = cmp.Or(c.maxConcurrency, new(0))
	return u
}

func (a *api) deleteConsumer(r *http.Request) (any, error) {
	q, _, err := a.consumer(r)
	if err != nil {
		return nil, err
	}
	return nil, a.broker.RemoveConsumer(r.Context(), q.Name)
}
