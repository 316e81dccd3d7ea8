package inproq

import (
	"context"
	"time"

	"github.com/inproq/inproq/internal/dispatch"
)

// Action is what an operation does with a message, under Cloudflare's name.
type Action string

// The actions.
const (
	WriteMessage  Action = "WriteMessage"  // a send
	ReadMessage   Action = "ReadMessage"   // a delivery to a handler or a pull
	DeleteMessage Action = "DeleteMessage" // by an acknowledgement, a move to the dead-letter queue, or retention
)

// Outcome is what became of a message that is delivered no more, under Cloudflare's
// name.
type Outcome string

// The outcomes.
const (
	OutcomeSuccess    Outcome = "success" // acknowledged
	OutcomeDeadLetter Outcome = "dlq"     // moved to the dead-letter queue
	OutcomeFail       Outcome = "fail"    // deleted, with no attempt and no dead-letter queue left
)

// Minute is what happened to a queue in one minute, in this process.
type Minute struct {
	Start time.Time // in UTC; the minute may not be over
	// Operations on messages, no two with the same Action, Consumer and Outcome; what
	// did not happen is not there.
	Operations []Operations
	// Busy is the time that handlers ran, in sum: a minute of two handlers that do
	// nothing else has two minutes. Of a handler that still runs nothing is in it yet.
	Busy time.Duration
	// Backlog is the average of what was counted after each batch and each pull.
	Backlog struct {
		Samples         int64 // that were taken; zero: the averages are not known
		Messages, Bytes float64
	}
}

// Operations adds up operations of one kind.
type Operations struct {
	Action   Action
	Consumer ConsumerKind // of reads and deletions; "": no consumer has done it
	Outcome  Outcome      // of deletions by a consumer
	Count    uint64       // messages
	Billable uint64       // operations as in Stats.Ops: those of dead letters are writes, and a pull that finds nothing is a read
	Bytes    uint64       // of bodies; of expired messages, which are gone, they are not known
	Retries  uint64       // deliveries before this one, in sum; of writes and expired messages zero
	// Lag is the time from sends to operations, in sum: of messages that Broker.Settle
	// has settled, to the millisecond; of writes and expired messages zero.
	Lag     time.Duration
	Largest int64 // bytes of the largest body; of writes and expired messages it is not known, and zero
}

// Minutes tells what happened to a queue minute by minute, in this process: the last
// 360 minutes in which something did, the oldest first, and the current one with the
// backlog as it is now. Minutes in which nothing was settled, pulled or asked for are
// not there, nor those before the queue had a consumer or was first asked about. A batch
// counts where it ends, and the time of its handler in each minute that it ran in. A send
// counts when it is noticed: by the next batch, pull or call of Minutes that is a second
// after such a one, or else a call. So what was sent before there was any counts for the
// first minute.
//
// A queue takes about 300 bytes for each minute in which something happened; asking adds
// none. They go with the queue. Counting takes some 50 ns a batch.
//
// Errors: [ErrInvalidQueueName], [ErrQueueNotFound], ctx's and the store's.
func (b *Broker) Minutes(ctx context.Context, name string) ([]Minute, error) {
	st, err := b.stats(ctx, name)
	if err != nil {
		return nil, err
	}
	ep := b.endpoint(name)
	if ep.policy.Load() == nil {
		if err := ep.refresh(ctx); err != nil {
			return nil, fromStore(err, name)
		}
	}
	slots := ep.consumption().Minutes.Look(&dispatch.Activity{
		Now: time.Now(), Way: ep.way(), BacklogCount: st.Messages, BacklogSum: st.Bytes,
	})
	minutes := make([]Minute, 0, len(slots))
	for i := range slots {
		s := &slots[i]
		if n := len(minutes); n == 0 || minutes[n-1].Start.Unix() != s.At*60 {
			minutes = append(minutes, Minute{Start: time.Unix(s.At*60, 0).UTC()})
		}
		minutes[len(minutes)-1].add(s)
	}
	return minutes, nil
}

// written is what was sent to the queue so far, and what was billed as written.
func (ep *endpoint) written() dispatch.Written {
	w := dispatch.Written{Count: ep.sentSoFar()}
	w.Units = w.Count
	if c := ep.consumed.Load(); c != nil {
		w.Bytes = c.sentBytes.Load()
		w.Units += c.WriteOps.Load()
	}
	if p := ep.policy.Load(); p != nil && p.inlet != nil {
		w.Bytes += uint64(p.inlet.SentBytes())
	}
	return w
}

// way is how the queue is consumed.
func (ep *endpoint) way() dispatch.Way {
	if ep.pulled() {
		return dispatch.ByPull
	}
	return dispatch.ByPush
}

// outcomes are those of dispatch, as it numbers them.
var outcomes = [...]Outcome{
	dispatch.Succeeded: OutcomeSuccess,
	dispatch.Buried:    OutcomeDeadLetter,
	dispatch.Discarded: OutcomeFail,
}

// add adds what is kept of the minute.
func (m *Minute) add(s *dispatch.Minute) {
	consumer := Worker
	if s.Way == dispatch.ByPull {
		consumer = HTTPPull
	}
	m.operations(WriteMessage, "", "", &dispatch.Ops{Count: s.Written.Count, Units: s.Written.Units, Bytes: s.Written.Bytes})
	m.operations(ReadMessage, consumer, "", &s.Reads)
	for i := range s.Outs {
		m.operations(DeleteMessage, consumer, outcomes[i], &s.Outs[i])
	}
	m.operations(DeleteMessage, "", "", &dispatch.Ops{Count: s.Expired, Units: s.Expired})
	m.Busy += s.Busy
	if all := m.Backlog.Samples + s.Samples; s.Samples > 0 {
		old := float64(m.Backlog.Samples)
		m.Backlog.Messages = (m.Backlog.Messages*old + s.BacklogCount) / float64(all)
		m.Backlog.Bytes = (m.Backlog.Bytes*old + s.BacklogSum) / float64(all)
		m.Backlog.Samples = all
	}
}

// operations adds some of one kind, if there are any.
func (m *Minute) operations(action Action, consumer ConsumerKind, outcome Outcome, x *dispatch.Ops) {
	if x.Count == 0 && x.Units == 0 {
		return
	}
	o := Operations{Action: action, Consumer: consumer, Outcome: outcome}
	at := len(m.Operations)
	for i := range m.Operations {
		if k := &m.Operations[i]; k.Action == action && k.Consumer == consumer && k.Outcome == outcome {
			o, at = *k, i
		}
	}
	o.Count += x.Count
	o.Billable += x.Units
	o.Bytes += x.Bytes
	o.Retries += x.Retries
	o.Lag += x.Lag
	o.Largest = max(o.Largest, x.Largest)
	if at == len(m.Operations) {
		m.Operations = append(m.Operations, o)
	} else {
		m.Operations[at] = o
	}
}
