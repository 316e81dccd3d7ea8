package inproq

import (
	"context"
	"time"

	"github.com/inproq/inproq/internal/dispatch"
	"github.com/inproq/inproq/store"
)

// Metrics describe a queue's backlog: the messages that are not acknowledged yet,
// those that are delayed or with a handler included.
//
// See https://developers.cloudflare.com/queues/observability/metrics/.
type Metrics struct {
	BacklogCount int64
	// BacklogBytes is the sum of the bodies' sizes.
	BacklogBytes int64
	// OldestMessageTimestamp is when the oldest of them was sent. Zero: there are
	// none, or it is not known.
	OldestMessageTimestamp time.Time
}

func (m *Metrics) set(st *store.Stats) {
	m.BacklogCount, m.BacklogBytes, m.OldestMessageTimestamp = st.Messages, st.Bytes, st.Oldest
}

// Backlog divides a queue's messages by what they wait for. A number that the
// store cannot tell cheaply is -1.
type Backlog struct {
	Ready   int64     // wait for a consumer
	Delayed int64     // wait for a delay or a retry delay to pass
	Leased  int64     // are with a consumer
	Bytes   int64     // of all bodies
	Oldest  time.Time // when the oldest of all was sent; zero: there are none, or it is not known
}

// ScaleDecision is what the autoscaler made of a finished batch, and why: the
// rule that had the last word, and the figures it went by.
type ScaleDecision struct {
	Time     time.Time
	From, To int // handlers that may run at once
	// Rule is "grow" or "shrink" towards what the load needs, "steady" when that is
	// so, "hold" above it because a descent takes time, "errors" when the batch
	// failed, "recover" while the handlers regain what failures have cost, and
	// "ceiling" at MaxConcurrency.
	Rule           string
	ArrivalRate    float64 // messages a second, smoothed
	ServiceSeconds float64 // wall time of an invocation, smoothed
	FailureRate    float64 // share of invocations that failed, 0 to 1, smoothed
	Ready          int64   // messages that waited for a handler
}

// Stats count what happened to a queue's messages in this process since the
// broker was made. Each is exact when no call is under way.
type Stats struct {
	Sent         uint64 // accepted
	Delivered    uint64 // handed to a handler or a pull, retries included
	Acked        uint64
	Retried      uint64 // settled by a retry, to be delivered again
	DeadLettered uint64 // moved to the dead-letter queue
	Dropped      uint64 // deleted because no attempts were left
	// Expired were deleted because their retention was over, whoever had sent them. In a
	// queue that is older than the broker they count from when it first asked the store.
	Expired     uint64
	Undecodable uint64 // deliveries withheld because their bodies do not decode
	// LeasesLost were settled too late, so that the message is delivered again; or by a
	// call whose answer was lost, and then by another.
	LeasesLost uint64
	Batches    uint64 // invocations of the handler
	Pulls      uint64 // by pull consumers
	EmptyPulls uint64 // of those, that found nothing
	// FailedBatches are invocations that ended in an error, a panic, or too late.
	FailedBatches uint64
	// Ops are operations as Cloudflare bills them: one for each started 64 KB of a
	// message that is written (to a dead-letter queue too), read (each delivery, and a
	// pull that finds nothing) or deleted (by an acknowledgement, by retention, or
	// because no attempts are left). A Redrive writes, too, counted where the letters
	// were. Of the expired only their sum is known: they count as if it were in as few
	// messages as can be.
	Ops struct{ Write, Read, Delete uint64 }
	// Outcomes divide the reads that were settled by what came of them.
	Outcomes struct {
		Success    uint64 // acknowledged
		DeadLetter uint64 // moved to the dead-letter queue
		Fail       uint64 // retried, or deleted because no attempts were left
	}

	Running   int // handlers that run now
	Limit     int // handlers that may
	LastScale ScaleDecision
	// Lag is how long before its delivery the oldest message of the latest batch
	// was sent.
	Lag time.Duration
	// Over is the time that the counts cover: since the broker was made.
	Over time.Duration
}

// Add adds the counts of another queue of the same broker, for [EstimateBill]. Of what
// is no count, Running and Limit are added too, Lag is the longer, and LastScale stays.
func (s Stats) Add(t Stats) Stats {
	for _, x := range [...]struct {
		to *uint64
		n  uint64
	}{
		{&s.Sent, t.Sent}, {&s.Delivered, t.Delivered}, {&s.Acked, t.Acked}, {&s.Retried, t.Retried},
		{&s.DeadLettered, t.DeadLettered}, {&s.Dropped, t.Dropped}, {&s.Expired, t.Expired},
		{&s.Undecodable, t.Undecodable}, {&s.LeasesLost, t.LeasesLost}, {&s.Batches, t.Batches},
		{&s.Pulls, t.Pulls}, {&s.EmptyPulls, t.EmptyPulls}, {&s.FailedBatches, t.FailedBatches},
		{&s.Ops.Write, t.Ops.Write}, {&s.Ops.Read, t.Ops.Read}, {&s.Ops.Delete, t.Ops.Delete},
		{&s.Outcomes.Success, t.Outcomes.Success}, {&s.Outcomes.DeadLetter, t.Outcomes.DeadLetter},
		{&s.Outcomes.Fail, t.Outcomes.Fail},
	} {
		*x.to += x.n
	}
	s.Running, s.Limit = s.Running+t.Running, s.Limit+t.Limit
	s.Lag, s.Over = max(s.Lag, t.Lag), max(s.Over, t.Over)
	return s
}

// Metrics describe a queue's backlog now.
//
// Errors: [ErrInvalidQueueName], [ErrQueueNotFound], ctx's and the store's.
func (b *Broker) Metrics(ctx context.Context, name string) (Metrics, error) {
	var m Metrics
	st, err := b.stats(ctx, name)
	m.set(&st)
	return m, err
}

// Backlog describes a queue's backlog in more detail.
//
// Errors: [ErrInvalidQueueName], [ErrQueueNotFound], ctx's and the store's.
func (b *Broker) Backlog(ctx context.Context, name string) (Backlog, error) {
	st, err := b.stats(ctx, name)
	if err != nil {
		return Backlog{}, err
	}
	bl := Backlog{Ready: -1, Delayed: st.Delayed, Leased: st.Leased, Bytes: st.Bytes, Oldest: st.Oldest}
	if st.Delayed >= 0 && st.Leased >= 0 {
		bl.Ready = st.Messages - st.Delayed - st.Leased
	}
	return bl, nil
}

func (b *Broker) stats(ctx context.Context, name string) (store.Stats, error) {
	if err := checkName(name); err != nil {
		return store.Stats{}, err
	}
	st, err := b.store.Stats(ctx, name)
	if ep := b.known(name); ep != nil && err == nil {
		ep.noteStats(&st)
	}
	return st, fromStore(err, name)
}

// statsTimeout bounds what Stats, which has no context, asks of the store.
const statsTimeout = time.Second

// Stats count what happened to a queue's messages in this process. They are zero
// for a queue that this broker has not met.
func (b *Broker) Stats(name string) Stats {
	ep := b.known(name)
	if ep == nil {
		return Stats{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), statsTimeout)
	defer cancel()
	if st, err := b.store.Stats(ctx, name); err == nil {
		ep.noteStats(&st)
	}
	return ep.stats()
}

// stats reads the counters. The expired are those last heard of.
func (ep *endpoint) stats() Stats {
	c := new(dispatch.Counters)
	if used := ep.consumed.Load(); used != nil {
		c = &used.Counters
	}
	s := Stats{
		Sent:          ep.sentSoFar(),
		Delivered:     c.Delivered.Load(),
		Acked:         c.Acked.Load(),
		Retried:       c.Retried.Load(),
		DeadLettered:  c.DeadLettered.Load(),
		Dropped:       c.Dropped.Load(),
		Undecodable:   c.Undecodable.Load(),
		LeasesLost:    c.LeasesLost.Load(),
		Batches:       c.Batches.Load(),
		Pulls:         c.Pulls.Load(),
		EmptyPulls:    c.EmptyPulls.Load(),
		FailedBatches: c.FailedBatches.Load(),
		Lag:           time.Duration(c.Lag.Load()),
		Over:          time.Since(ep.broker.epoch),
	}
	s.Outcomes.Success = c.SuccessOps.Load()
	s.Outcomes.DeadLetter = c.DeadLetterOps.Load()
	s.Outcomes.Fail = c.FailOps.Load()
	s.Ops.Write = s.Sent + c.WriteOps.Load()
	s.Ops.Read = c.ReadOps.Load()
	expired, expiredOps := ep.expiry.totals()
	s.Expired = expired
	s.Ops.Delete = c.DeleteOps.Load() + expiredOps
	if e := ep.engine(); e != nil {
		st := e.State()
		s.Running, s.Limit = st.Running, st.Limit
		s.LastScale = ScaleDecision(st.LastScale)
	}
	return s
}
