package dispatch

import (
	"context"
	"sync"
	"time"

	"github.com/inproq/inproq/store"
)

// fill leases one batch: a full one, or what there is when the batch timeout
// has passed since its first message. Most stores do the waiting themselves,
// while the messages are not leased. One that returns early is asked for the
// rest.
func (e *Engine) fill(x *scratch) (err error) {
	e.ask(x)
	if e.local != nil {
		e.out, _ = e.local.Outlet(e.cfg.Queue) // gone already: the store will say so
		e.local = nil
	}
	if x.counted = e.out != nil; x.counted {
		x.found, err = e.out.Lease(x.fetch, &x.claim, x.found[:0], &x.after)
		return err
	}
	return e.fillRemote(x)
}

// fillRemote is fill for a store that has no outlet.
func (e *Engine) fillRemote(x *scratch) (err error) {
	x.found, err = e.cfg.Store.Lease(x.fetch, e.cfg.Queue, x.claim, x.found[:0])
	if err == nil && e.guarantee.Partial && len(x.found) > 0 {
		e.topUp(x)
	}
	return err
}

// topUp asks for the rest of a batch until its time is over.
func (e *Engine) topUp(x *scratch) {
	c := &x.claim
	until := time.Now().Add(c.Linger)
	for len(x.found) < c.Min {
		left := time.Until(until)
		if left <= 0 {
			return
		}
		n := c.Max - len(x.found)
		rest := store.Claim{Min: n, Max: n, Visibility: e.visibility(x.settings) + left, Wait: left, Linger: left}
		more, err := e.cfg.Store.Lease(x.fetch, e.cfg.Queue, rest, x.found)
		if err != nil {
			return // what is here is delivered or given back; the next lease will tell
		}
		x.found = more
	}
}

// release gives messages back that no handler has seen.
func (e *Engine) release(x *scratch) {
	for i := range x.found {
		x.list = append(x.list, store.Outcome{Lease: x.found[i].Lease, Verb: store.Release})
	}
	ctx := new(invocation)
	ctx.begin(e.base, settleTime)
	defer ctx.end()
	_, _, _ = e.apply(ctx, x.list) // logged there
}

// A scratch is what a turn of the filler needs, and then holds the buffers of its batch:
// what was leased, and how it is settled. A handler never sees them.
type scratch struct {
	settings *Settings // by which it leases
	fetch    context.Context
	drain    bool // takes what is ready, and does not wait for more

	claim   store.Claim
	found   []store.Delivery
	counted bool        // after is known
	after   store.Stats // of the queue, when they were leased
	list    []store.Outcome
}

// scratches are shared by all engines; they are plain memory.
var scratches = sync.Pool{New: func() any { return new(scratch) }}

func newScratch() *scratch { return scratches.Get().(*scratch) }

// free gives the buffers back.
func (x *scratch) free() {
	clear(x.found)
	clear(x.list)
	*x = scratch{found: x.found[:0], list: x.list[:0]}
	scratches.Put(x)
}
