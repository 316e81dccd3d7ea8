package wranglerconfig

import (
	"regexp"
	"strings"
	"time"

	"github.com/inproq/inproq"
)

// queues reads the block of an environment. Keys of problems begin with at, "" or
// "env.staging.".
func (r *reader) queues(env *value, at string, cfg *Config) {
	for _, m := range env.members {
		if m.name != "queues" && strings.EqualFold(strings.TrimSuffix(m.name, "s"), "queue") {
			r.problem(m.line, at+bare(m.name), "is not a key here; queues is")
		}
	}
	block := env.get("queues")
	if block == nil {
		if top := r.file.root.get("queues"); at != "" && top != nil {
			r.warning(top.line, "queues", "is not inherited: %squeues does not exist", at)
		}
		return
	}
	at += "queues"
	if !r.is(block, object, at) {
		return
	}
	r.unknown(block, at+".", "producers", "consumers")
	r.each(block, at, "producers", func(p *value, at string) { r.producer(p, at, cfg) })
	r.each(block, at, "consumers", func(c *value, at string) { r.consumer(c, at, cfg) })
	if len(cfg.Consumers) > 0 && cfg.Script == "" {
		r.problem(block.line, at+".consumers", "need the script's name, and the file has no valid key name for it")
	}
}

// each calls read for the objects of an array.
func (r *reader) each(block *value, at, name string, read func(v *value, at string)) {
	list, at := block.get(name), at+"."+name
	if !r.is(list, array, at) {
		return
	}
	for i, v := range list.elements {
		if at := index(at, i); r.is(v, object, at) {
			read(v, at+".")
		}
	}
}

func (r *reader) producer(p *value, at string, cfg *Config) {
	r.unknown(p, at, "binding", "queue", "delivery_delay", "remote")
	binding := r.required(p, at, "binding")
	if _, taken := cfg.Queue(binding); taken && binding != "" {
		r.problem(p.get("binding").line, at+"binding", "is %s, which another producer has", quote(binding))
	}
	if v := p.get("delivery_delay"); r.is(v, number, at+"delivery_delay") {
		r.warning(v.line, at+"delivery_delay", "has no effect: the delay is a setting of the queue")
	}
	if v := p.get("remote"); r.is(v, boolean, at+"remote") && v.text == "true" {
		r.warning(v.line, at+"remote", "has no effect: the queue is in this process")
	}
	queue := ""
	switch v := p.get("queue"); {
	case v != nil:
		queue = r.queueName(v, at+"queue")
	case cfg.Script == "":
		r.problem(p.line, at+"queue", "is missing, and without a script's name there is none by default")
	case binding != "":
		// The one that wrangler provisions for such a binding.
		queue = cfg.Script + "-" + strings.ReplaceAll(strings.ToLower(binding), "_", "-")
		if !queueName.MatchString(queue) {
			r.problem(p.line, at+"queue", "is missing, and the default %s is no queue's name, allowed: %s", quote(queue), queueNameRule)
		}
	}
	cfg.Producers = append(cfg.Producers, Producer{Binding: binding, Queue: queue})
}

func (r *reader) consumer(c *value, at string, cfg *Config) {
	r.unknown(c, at, "queue", "type", "max_batch_size", "max_batch_timeout", "max_retries",
		"dead_letter_queue", "max_concurrency", "visibility_timeout_ms", "retry_delay")
	if v := c.get("type"); r.is(v, text, at+"type") && v.text != string(inproq.Worker) {
		r.problem(v.line, at+"type", "is %s, allowed: \"worker\"; other consumers are not configured in this file", v.quoted())
	}
	queue := ""
	if r.required(c, at, "queue") != "" {
		queue = r.queueName(c.get("queue"), at+"queue")
	}
	for _, other := range cfg.Consumers {
		if other.Queue == queue && queue != "" {
			r.problem(c.get("queue").line, at+"queue", "is %s, which another consumer has: a queue has one", quote(queue))
		}
	}
	l := &r.limits
	s := inproq.ConsumerSettings{
		MaxBatchSize:    r.count(c, at, "max_batch_size", 1, l.MaxConsumerBatch),
		MaxBatchTimeout: r.seconds(c, at, "max_batch_timeout", l.MaxBatchTimeout, time.Millisecond),
		MaxRetries:      r.count(c, at, "max_retries", 0, l.MaxRetries),
		RetryDelay:      r.seconds(c, at, "retry_delay", l.MaxDelay, time.Second),
	}
	if v := c.get("max_concurrency"); v != nil && v.kind == null {
		// Cloudflare's API and its documentation have it, wrangler's own check does not.
		r.warning(v.line, at+"max_concurrency", "is null, which wrangler refuses: left out, it means the same")
	} else {
		s.MaxConcurrency = r.count(c, at, "max_concurrency", 1, l.MaxConcurrency)
	}
	if v := c.get("dead_letter_queue"); r.is(v, text, at+"dead_letter_queue") && v.text != "" {
		s.DeadLetterQueue = r.queueName(v, at+"dead_letter_queue")
		if s.DeadLetterQueue == queue && queue != "" {
			r.problem(v.line, at+"dead_letter_queue", "is %s, allowed: any other queue than the consumed one", v.quoted())
		}
	}
	if v := c.get("visibility_timeout_ms"); r.is(v, number, at+"visibility_timeout_ms") {
		r.warning(v.line, at+"visibility_timeout_ms", "has no effect: it is a setting of pull consumers")
	}
	cfg.Consumers = append(cfg.Consumers, Consumer{Queue: queue, Settings: withDefaults(s, l)})
}

// required returns a text that has to be there; "", with a problem, if it is not.
func (r *reader) required(in *value, at, name string) string {
	v := in.get(name)
	switch {
	case v == nil:
		r.problem(in.line, at+name, "is missing")
	case r.is(v, text, at+name):
		if v.text == "" {
			r.problem(v.line, at+name, "is empty")
		}
		return v.text
	}
	return ""
}

// queueName and its rule are the broker's.
var queueName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

const queueNameRule = "1 to 63 letters, digits and dashes, with a letter or digit at both ends"

// queueName returns the name of a queue; "", with a problem, if it is none.
func (r *reader) queueName(v *value, at string) string {
	if !r.is(v, text, at) {
		return ""
	}
	if !queueName.MatchString(v.text) {
		r.problem(v.line, at, "is %s, allowed: %s", v.quoted(), queueNameRule)
		return ""
	}
	return v.text
}
