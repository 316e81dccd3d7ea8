package inproq

import (
	"context"
	"fmt"
	"time"

	"github.com/inproq/inproq/internal/dispatch"
	"github.com/inproq/inproq/internal/headers"
	"github.com/inproq/inproq/internal/leasetoken"
	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/store"
)

// PullRequest says what a Pull of the account plane wants. Zero fields are as the
// consumer's settings say.
type PullRequest struct {
	BatchSize         int           // 1 to Limits.MaxPullBatch (100)
	VisibilityTimeout time.Duration // up to Limits.MaxVisibility (12 hours)
}

// PulledMessage is a message that was pulled. LeaseID settles it.
type PulledMessage struct {
	ID MessageID
	// LeaseID names this delivery. It is opaque, unguessable, and good in any process on
	// the same store; about 80 bytes, but up to 11 KB for a message with headers on its
	// last attempt.
	LeaseID     string
	Body        []byte // as it is stored; do not write to it
	ContentType ContentType
	Headers     map[string]string // nil: none, or they are malformed
	Timestamp   time.Time
	Attempts    int // 1 for the first delivery
}

// PullResult is what a Pull has found.
type PullResult struct {
	Messages []PulledMessage // none: nothing is ready
	Metrics  Metrics         // of what remains
}

// LeaseDelay names a lease and a time. In Retries, zero is the consumer's RetryDelay,
// and NoDelay at once. In Extends it is the visibility from now, zero the consumer's.
type LeaseDelay struct {
	LeaseID string
	Delay   time.Duration
}

// SettleRequest says what becomes of pulled messages.
type SettleRequest struct {
	Acks    []string // lease ids
	Retries []LeaseDelay
	Extends []LeaseDelay
}

// SettleResult says what was applied. Retried counts also those that had no attempt
// left and went to the dead-letter queue.
type SettleResult struct {
	Acked, Retried, Extended int
	// Warnings say, by lease id, why a lease was not settled, or that the request named it
	// twice. Nil: there are none.
	Warnings map[string]string
}

func settleResult(t dispatch.Tally) SettleResult {
	return SettleResult{Acked: t.Acked, Retried: t.Retried + t.Moved + t.Dropped, Extended: t.Extended}
}

func (r *SettleResult) warn(lease, text string) {
	if r.Warnings == nil {
		r.Warnings = make(map[string]string)
	}
	r.Warnings[lease] = text
}

const staleLease = "the lease is lost: the message is with another consumer by now, or gone"

// Pull leases messages of a queue with a pull consumer, for callers that settle them in
// another request, perhaps in another process: as an HTTP API does. It does not wait.
// Typed code uses [Queue.PullConsumer].
//
// Errors: [ErrInvalidQueueName], [ErrQueueNotFound], [ErrNotPullConsumer],
// [ErrDeliveryPaused], [ErrInvalidConfig], [ErrBrokerClosed], ctx's and the store's.
func (b *Broker) Pull(ctx context.Context, name string, req PullRequest) (PullResult, error) {
	s, key, err := b.pullSettings(ctx, name)
	if err != nil {
		return PullResult{}, err
	}
	// Settings that exceed limits which were lowered since are not this request's fault.
	req.BatchSize = or(req.BatchSize, min(s.MaxBatchSize, b.limits.MaxPullBatch))
	req.VisibilityTimeout = or(req.VisibilityTimeout, min(s.VisibilityTimeout, b.limits.MaxVisibility))
	var v violations
	within(&v, "BatchSize", req.BatchSize, 1, b.limits.MaxPullBatch)
	within(&v, "VisibilityTimeout", req.VisibilityTimeout, 1, b.limits.MaxVisibility)
	if err := v.err(ErrInvalidConfig); err != nil {
		return PullResult{}, fmt.Errorf("%w (queue %q)", err, name)
	}
	policy := s.policy(&b.limits)
	core, err := b.endpoint(name).settler().Pull(ctx, &policy, store.Claim{Max: req.BatchSize, Visibility: req.VisibilityTimeout})
	if err != nil {
		return PullResult{}, fromStore(err, name)
	}
	core.Begin(ctx)
	res := PullResult{Messages: make([]PulledMessage, len(core.Deliveries))}
	res.Metrics.set(&core.Backlog)
	tokens := leasetoken.NewCodec(key)
	for i := range core.Deliveries {
		d := &core.Deliveries[i]
		t := leasetoken.Token{Lease: string(d.Lease), ID: d.ID, Attempts: d.Attempts, Size: uint64(len(d.Body))}
		last := d.Attempts > s.MaxRetries && len(d.Headers) <= leasetoken.MaxHeaders
		if t.HeadersKnown = last || len(d.Headers) == 0; t.HeadersKnown {
			t.Headers = d.Headers
		}
		m := &res.Messages[i]
		*m = PulledMessage{
			ID: MessageID(d.ID), LeaseID: tokens.Encode(&t), Body: d.Body, ContentType: ContentType(d.ContentType),
			Timestamp: d.Sent, Attempts: d.Attempts,
		}
		m.Headers, _ = headers.Decode(d.Headers)
	}
	return res, nil
}

// Settle settles messages that Pull returned, here or in another process on the same
// store, in one call of the store. Every lease is settled for itself: one that is
// unknown, lost, or named before in this request has a warning and does not keep the
// others from being settled. Of a lease that is named twice, an ack comes before a
// retry, and a retry before an extension. A lease that has run out is good while nobody
// else has its message. A queue that is paused, or not pulled from any more, still takes
// acks and retries.
//
// Errors: [ErrInvalidQueueName], [ErrQueueNotFound], [ErrDelayOutOfRange] for a retry's
// delay, [ErrInvalidConfig] for an extension's, [ErrBrokerClosed], ctx's and the
// store's. The first four settle nothing.
func (b *Broker) Settle(ctx context.Context, name string, req SettleRequest) (SettleResult, error) {
	r, err := b.lookUp(ctx, name)
	if err != nil {
		return SettleResult{}, err
	}
	x := settlingLeases{broker: b, settings: r.settleSettings(), seen: make(map[string]bool)}
	if r.LeaseKey != nil {
		x.tokens = leasetoken.NewCodec(r.LeaseKey)
	}
	if err := x.gather(&req); err != nil {
		return SettleResult{}, fmt.Errorf("%w (queue %q)", err, name)
	}
	policy := x.settings.policy(&b.limits)
	t, lost, err := b.endpoint(name).settler().SettleHeld(ctx, &policy, x.decisions)
	if err != nil {
		return SettleResult{}, fromStore(err, name)
	}
	res := settleResult(t)
	res.Warnings = x.res.Warnings
	for _, i := range lost {
		res.warn(x.ids[i], staleLease)
	}
	return res, nil
}

// settleSettings are those by which leases are settled: the consumer's, whatever its
// kind, and without one the defaults that lose nothing.
func (r *record) settleSettings() consumerSettings {
	if r.Consumer != nil {
		return r.Consumer.Settings
	}
	return consumerSettings{MaxRetries: 1<<31 - 1}
}

// settlingLeases gathers what a SettleRequest asks for.
type settlingLeases struct {
	broker    *Broker
	tokens    *leasetoken.Codec // nil: the queue was never pulled from
	settings  consumerSettings
	seen      map[string]bool
	decisions []dispatch.Decision
	ids       []string // of decisions
	res       SettleResult
}

func (x *settlingLeases) gather(req *SettleRequest) error {
	n := len(req.Acks) + len(req.Retries) + len(req.Extends)
	x.decisions, x.ids = make([]dispatch.Decision, 0, n), make([]string, 0, n)
	for _, id := range req.Acks {
		x.add(id, dispatch.Decision{})
	}
	for _, l := range req.Retries {
		v := settlement.Verdict{Retry: true, Delay: toZero(l.Delay), HasDelay: l.Delay != 0}
		if err := x.broker.limits.checkDelay(v.Delay); err != nil {
			return err
		}
		x.add(l.LeaseID, dispatch.Decision{Verdict: v})
	}
	for _, l := range req.Extends {
		d := or(l.Delay, min(or(x.settings.VisibilityTimeout, defaultVisibility), x.broker.limits.MaxVisibility))
		var v violations
		within(&v, "Extends.Delay", d, 1, x.broker.limits.MaxVisibility)
		if err := v.err(ErrInvalidConfig); err != nil {
			return err
		}
		x.add(l.LeaseID, dispatch.Decision{Extend: d})
	}
	return nil
}

// add takes a decision up, unless its lease is none.
func (x *settlingLeases) add(id string, d dispatch.Decision) {
	var t leasetoken.Token
	ok := false
	if x.tokens != nil {
		t, ok = x.tokens.Decode(id)
	}
	switch {
	case !ok:
		x.res.warn(id, "not a lease id of this queue")
		return
	case x.seen[id]:
		x.res.warn(id, "the lease is named twice: the ack counts, or else the retry")
		return
	}
	x.seen[id] = true
	d.Delivery = store.Delivery{Lease: store.Lease(t.Lease), Attempts: t.Attempts}
	d.ID, d.Headers, d.Size, d.HeadersUnknown = t.ID, t.Headers, t.Size, !t.HeadersKnown
	x.decisions, x.ids = append(x.decisions, d), append(x.ids, id)
}

// pullSettings returns the settings of a queue that is pulled from, and its key for lease
// ids.
func (b *Broker) pullSettings(ctx context.Context, name string) (*consumerSettings, []byte, error) {
	if err := b.mayChange(name); err != nil {
		return nil, nil, err
	}
	if !b.owned { // others may have changed something
		if err := b.catalog.sync(ctx); err != nil {
			return nil, nil, fromStore(err, name)
		}
	}
	p, err := b.newestPolicy(ctx, name)
	switch {
	case err != nil:
		return nil, nil, err
	case p.consumer == nil:
		return nil, nil, fmt.Errorf("%w: queue %q has no consumer", ErrNotPullConsumer, name)
	case p.consumer.Kind != HTTPPull:
		return nil, nil, fmt.Errorf("%w: queue %q has %s", ErrNotPullConsumer, name, describeConsumer(p.consumer.Kind, p.consumer.Name))
	}
	return &p.consumer.Settings, p.record.LeaseKey, nil
}

// newestPolicy returns what the newest record that the catalog knows says, without
// taking it apart again.
func (b *Broker) newestPolicy(ctx context.Context, name string) (*policy, error) {
	if ep := b.known(name); ep != nil {
		if p := ep.currentPolicy(); p != nil && p.record.Revision == b.catalog.revision(name) {
			return p, nil
		}
	}
	r, err := b.lookUp(ctx, name)
	if err != nil {
		return nil, err
	}
	b.endpoint(name).follow(r)
	return &policy{consumer: r.Consumer, record: r}, nil
}

// settler carries out what is decided outside of handlers.
func (ep *endpoint) settler() *dispatch.Settler {
	c := ep.consumption()
	if s := c.settler.Load(); s != nil {
		return s
	}
	b := ep.broker
	s := &dispatch.Settler{
		Store: b.store, Queue: ep.name, EnsureQueue: b.ensureQueue,
		Log: b.log.With("queue", ep.name), Counters: &c.Counters, Observer: ep, Way: dispatch.ByPull,
	}
	c.settler.Store(s)
	return s
}
