package queuetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"time"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/internal/dispatch"
	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/internal/testhook"
)

// Messages makes the argument of NewBatch from bodies alone.
func Messages[T any](bodies ...T) []inproq.Message[T] {
	msgs := make([]inproq.Message[T], len(bodies))
	for i := range bodies {
		msgs[i].Body = bodies[i]
	}
	return msgs
}

// NewBatch makes a batch to call a handler with. What a message does not say is
// filled in: IDs that count from 1, the time now, the first attempt, and JSON, or
// Bytes for a []byte.
//
// Pass it to Deliver; or call the handler yourself, and ResultOf with what it
// returned.
func NewBatch[T any](queue string, msgs ...inproq.Message[T]) *inproq.MessageBatch[T] {
	b := &inproq.MessageBatch[T]{Queue: queue}
	now := time.Now()
	for i, m := range msgs {
		if m.ID == (inproq.MessageID{}) {
			binary.BigEndian.PutUint64(m.ID[8:], uint64(i+1))
		}
		if m.Timestamp.IsZero() {
			m.Timestamp = now
		}
		if m.Attempts == 0 {
			m.Attempts = 1
		}
		if m.ContentType == "" {
			m.ContentType = inproq.JSON
			if _, ok := any(m.Body).([]byte); ok {
				m.ContentType = inproq.Bytes
			}
		}
		b.Messages = append(b.Messages, &m)
	}
	testhook.Bind(b, dispatch.NewDetached(context.Background(), len(msgs), inproq.DefaultLimits().MaxDelay, slog.Default()))
	return b
}

// A Result is what a handler made of a batch: the calls that counted, and what
// becomes of each message. It has what Cloudflare's getQueueResult has. [AssertAcked]
// and [AssertRetried] look at it.
type Result[T any] struct {
	// Queue is the name of the queue, as it was given to NewBatch.
	Queue string
	// Err is why the invocation failed: the handler's error or panic, or that of a
	// function started with Go. Nil: it did not.
	Err error
	// AckAll and RetryAll tell which of the two counted.
	AckAll, RetryAll bool
	// RetryAllDelay is the delay given with RetryAll; inproq.NoDelay: none was.
	RetryAllDelay time.Duration
	// ExplicitAcks and ExplicitRetries are the messages with a call of their own.
	ExplicitAcks    []inproq.MessageID
	ExplicitRetries []Fate[T]
	// Fates tell what becomes of each message, in the order of the batch.
	Fates []Fate[T]
}

// Fate is what becomes of a message.
type Fate[T any] struct {
	ID      inproq.MessageID
	Body    T    // as it was given; what the handler has changed in it is changed here too
	Retried bool // otherwise it is acknowledged
	// Delay is that given with the retry; inproq.NoDelay: none was, so that the
	// consumer's Backoff or RetryDelay decides.
	Delay time.Duration
	// Cause is why: given with the retry, or the invocation's error.
	Cause error
}

// Acked returns the bodies of the messages that are acknowledged, in whatever way, in
// the order of the batch.
func (r Result[T]) Acked() []T { return r.with(false) }

// Retried returns the bodies of the messages that are retried, in whatever way, in the
// order of the batch.
func (r Result[T]) Retried() []T { return r.with(true) }

func (r Result[T]) with(retried bool) []T {
	var bodies []T
	for _, f := range r.Fates {
		if f.Retried == retried {
			bodies = append(bodies, f.Body)
		}
	}
	return bodies
}

func (r Result[T]) outcomes(kind inproq.EventKind) chronicle[T] {
	c := chronicle[T]{where: fmt.Sprintf("batch of queue %q", r.Queue), unknown: "not in the batch"}
	for _, f := range r.Fates {
		x := step{kind: inproq.EventAcked, delay: f.Delay, err: f.Cause}
		if f.Retried {
			x.kind = inproq.EventRetried
		}
		s := &story[T]{id: f.ID, body: f.Body, known: true, steps: []step{x}}
		c.all = append(c.all, s)
		if x.kind == kind {
			c.happened = append(c.happened, s)
		}
	}
	return c
}

// Deliver calls the handler with a batch of NewBatch, as a broker would: a panic
// is a failure, functions started with Go are waited for, and the batch is settled
// then.
//
// Panics if the batch was not made by NewBatch, or was settled before.
func Deliver[T any](ctx context.Context, h inproq.Handler[T], b *inproq.MessageBatch[T]) Result[T] {
	core := coreOf(b)
	if core.Sealed() {
		panic("queuetest: the batch was settled before")
	}
	ctx, end := context.WithCancel(ctx) // after the settlement, as a broker does
	defer end()
	core.SetContext(ctx)
	return ResultOf(b, dispatch.Protect(func() error { return h(ctx, b) }))
}

// ResultOf settles a batch of NewBatch whose handler has returned err, after it
// has waited for functions started with Go. Calls on the batch made later have no
// effect.
//
// Panics if the batch was not made by NewBatch.
func ResultOf[T any](b *inproq.MessageBatch[T], err error) Result[T] {
	core := coreOf(b)
	r := Result[T]{Queue: b.Queue, Err: core.Join(err), RetryAllDelay: inproq.NoDelay}
	core.Seal()
	record := core.Record()
	switch all, retry := record.All(); all {
	case settlement.Acked:
		r.AckAll = true
	case settlement.Retried:
		r.RetryAll = true
		if retry.HasDelay {
			r.RetryAllDelay = retry.Delay
		}
	}
	for i, m := range b.Messages {
		switch own, retry := record.Own(i); own {
		case settlement.Acked:
			r.ExplicitAcks = append(r.ExplicitAcks, m.ID)
		case settlement.Retried:
			r.ExplicitRetries = append(r.ExplicitRetries, fate(m, settlement.Verdict{
				Retry: true, Delay: retry.Delay, HasDelay: retry.HasDelay, Cause: retry.Cause,
			}))
		}
		r.Fates = append(r.Fates, fate(m, record.Verdict(i, r.Err)))
	}
	return r
}

func coreOf(b any) *dispatch.Batch {
	if core := testhook.Core(b); core != nil {
		return core
	}
	panic("queuetest: the batch was not made by NewBatch")
}

func fate[T any](m *inproq.Message[T], v settlement.Verdict) Fate[T] {
	f := Fate[T]{ID: m.ID, Body: m.Body, Retried: v.Retry, Delay: inproq.NoDelay, Cause: v.Cause}
	if v.HasDelay {
		f.Delay = v.Delay
	}
	return f
}
