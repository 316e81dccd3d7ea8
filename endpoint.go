package inproq

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inproq/inproq/internal/dispatch"
	"github.com/inproq/inproq/store"
)

// An endpoint is what the broker knows of one queue, whatever the type of its
// bodies: how to send to it, who consumes it here, and what happened so far.
type endpoint struct {
	broker *Broker
	name   string
	policy atomic.Pointer[policy] // nil: the queue is not known

	sent       atomic.Uint64 // accepted messages, but for those that the policy's inlet counts
	expiry     expiry
	consumed   atomic.Pointer[consumption] // nil: not needed yet
	nearlyFull atomic.Bool                 // the backlog may be close to its limit
	warned     atomic.Bool                 // that a lease is too short
	limiter    *limiter                    // nil: no limit

	mu       sync.Mutex
	typ      reflect.Type // of the bodies; nil: not bound yet
	consumer *Consumer    // with a handler in this process; nil: none
	stable   *stability   // nil: nobody waits for its end
}

// consumption is what an endpoint needs once its queue has a consumer, or is sent to
// otherwise than by an inlet: it is more than the endpoint itself.
type consumption struct {
	dispatch.Counters                                  // their WriteOps have those of large messages too
	sentBytes         atomic.Uint64                    // of accepted messages, but for those that the policy's inlet counts
	settler           atomic.Pointer[dispatch.Settler] // for what handlers do not settle; nil: not needed yet
}

// stability ends when the consumer's record changes.
type stability struct {
	context.Context
	end context.CancelFunc
}

// policy is what a queue's record says, with what every send needs of it.
type policy struct {
	delay    time.Duration
	ctype    ContentType // "": as the type wants
	inlet    store.Inlet // nil: the store has none
	consumer *consumerRecord
	record   *record // without an ID: the queue was deleted
}

// consumedAs reports whether both say the same of the queue's consumer.
func (p *policy) consumedAs(other *policy) bool {
	a, b := p.consumer, other.consumer
	return equal(a, b) || a != nil && b != nil && a.ID == b.ID && a.Settings == b.Settings
}

// currentPolicy returns what the newest record says, or nil when there is no queue.
func (ep *endpoint) currentPolicy() *policy {
	if p := ep.policy.Load(); p != nil && p.record.ID != "" {
		return p
	}
	return nil
}

// follow takes over a record that may be newer.
func (ep *endpoint) follow(r *record) {
	p := &policy{delay: r.DeliveryDelay, ctype: r.ContentType, consumer: r.Consumer, record: r}
	for {
		old := ep.policy.Load()
		if old != nil && old.record.Revision >= r.Revision {
			return
		}
		same := old != nil && old.record.ID == r.ID
		switch {
		case r.Deleted: // a tombstone has no ID
		case same:
			p.inlet = old.inlet
		case ep.broker.local != nil:
			p.inlet, _ = ep.broker.local.Inlet(ep.name) // gone already: Enqueue will say so
		}
		if ep.policy.CompareAndSwap(old, p) {
			if !same && !r.Deleted {
				ep.expiry.begin(ep.broker.owned || !r.Created.Before(ep.broker.epoch))
			}
			if old != nil && !same {
				ep.forget(old, p)
			}
			if old != nil && !p.consumedAs(old) {
				ep.disturb()
			}
			break
		}
	}
	if c := ep.current(); c != nil && ep.policy.Load() == p { // else a newer record has come
		c.follow(r)
	}
}

// forget lets go of a queue that was deleted. One that is declared in its place may
// have another type of bodies.
func (ep *endpoint) forget(old, successor *policy) {
	if old.inlet != nil {
		ep.sent.Add(uint64(old.inlet.Sent())) // it counts no more
		ep.consumption().sentBytes.Add(uint64(old.inlet.SentBytes()))
	}
	if c := ep.consumed.Load(); c != nil {
		c.Minutes.Forget()
	}
	ep.mu.Lock()
	defer ep.mu.Unlock()
	if ep.policy.Load() == successor {
		ep.typ = nil
	}
}

// consumerStays returns a context that ends when the record says something else of
// the queue's consumer than now.
func (ep *endpoint) consumerStays() context.Context {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	if ep.stable == nil {
		ep.stable = new(stability)
		ep.stable.Context, ep.stable.end = context.WithCancel(context.Background())
	}
	return ep.stable.Context
}

// disturb ends that context.
func (ep *endpoint) disturb() {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	if ep.stable != nil {
		ep.stable.end()
		ep.stable = nil
	}
}

// consumption returns that of the queue, new if need be.
func (ep *endpoint) consumption() *consumption {
	if c := ep.consumed.Load(); c != nil {
		return c
	}
	c := new(consumption)
	c.Minutes.Written = ep.written
	ep.consumed.CompareAndSwap(nil, c)
	return ep.consumed.Load()
}

// pulled reports whether the queue is known to be pulled from.
func (ep *endpoint) pulled() bool {
	p := ep.currentPolicy()
	return p != nil && p.consumer != nil && p.consumer.Kind == HTTPPull
}

// agree checks that a view with this type of bodies may be made: all views of
// the queue in this process have one type, but for verbatim ones.
func (ep *endpoint) agree(t reflect.Type, verbatim bool) error {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	return ep.agreeLocked(t, verbatim)
}

func (ep *endpoint) agreeLocked(t reflect.Type, verbatim bool) error {
	typ := ep.typ
	if typ == nil && ep.consumer != nil {
		typ = ep.consumer.typ
	}
	if verbatim || typ == nil || typ == t {
		return nil
	}
	return fmt.Errorf("%w: %q is %v, not %v", ErrTypeMismatch, ep.name, typ, t)
}

// bind does the same, and makes the type that of the queue.
func (ep *endpoint) bind(t reflect.Type, verbatim bool) error {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	if err := ep.agreeLocked(t, verbatim); err != nil {
		return err
	}
	if !verbatim {
		ep.typ = t
	}
	return nil
}

// current returns the consumer in this process, or nil.
func (ep *endpoint) current() *Consumer {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	return ep.consumer
}

// setConsumer makes c the consumer, if there is none.
func (ep *endpoint) setConsumer(c *Consumer) error {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	if ep.consumer != nil {
		return fmt.Errorf("%w: queue %q is consumed in this process", ErrConsumerExists, ep.name)
	}
	ep.consumer = c
	return nil
}

func (ep *endpoint) dropConsumer(c *Consumer) {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	if ep.consumer == c {
		ep.consumer = nil
	}
}

// engine returns the engine that delivers in this process, or nil.
func (ep *endpoint) engine() *dispatch.Engine {
	c := ep.current()
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.engine
}
