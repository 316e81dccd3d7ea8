// Package testhook lets package queuetest make the batches that a broker makes,
// without the root package exporting a constructor that nobody else could use.
package testhook

import "github.com/inproq/inproq/internal/dispatch"

// Set by the root package when it is initialized. The batch is a
// *inproq.MessageBatch of any type.
var (
	// Bind makes the calls on a batch and its messages count for core.
	Bind func(batch any, core *dispatch.Batch)
	// Core returns what a batch was bound to, or nil.
	Core func(batch any) *dispatch.Batch
)
