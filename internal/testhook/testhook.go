// Package testhook lets package queuetest make the batches that a broker makes, and
// see what it does, without the root package exporting what nobody else could use.
package testhook

import (
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
)
