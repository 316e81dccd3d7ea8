// Package testhook lets package queuetest make the batches that a broker makes, and
// see what it does, without the root package exporting what nobody else could use.
package testhook

import (
	"context"

	"github.com/inproq/inproq/internal/dispatch"
	"github.com/inproq/inproq/store"
)

// Set by the root package when it is initialized. The batch is a
// *inproq.MessageBatch of any type.
var (
	// Bind makes the calls on a batch and its messages count for core.
	Bind func(batch any, core *dispatch.Batch)
	// Core returns what a batch was bound to, or nil.
	Core func(batch any) *dispatch.Batch
	// Tap calls f with every inproq.Event of a *inproq.Broker from now on, whatever its
	// kind, from the goroutine that causes it, before that goes on. The message is the
	// one that the event concerns, valid during the call, nil if it is not at hand;
	// implicit says that no call has decided an acknowledgement. f may not call the broker.
	Tap func(broker any, f func(event any, message *store.Message, implicit bool)) (stop func())
	// Broker returns the *inproq.Broker of a *inproq.Queue of any type.
	Broker func(queue any) (broker any)
	// Decode decodes a message as the handlers of a *inproq.Queue[T] get it, into a *T. A
	// []byte shares memory with the message.
	Decode func(queue any, m *store.Message, body any) error
	// Handled returns the names, in order, of the queues that have a handler in a
	// *inproq.Broker, whether it runs or not.
	Handled func(ctx context.Context, broker any) ([]string, error)
	// Idle returns when no handler of a *inproq.Broker runs and all that handlers have led
	// to is told, or with ctx's error.
	Idle func(ctx context.Context, broker any) error
)
