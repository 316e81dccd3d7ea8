package inproq

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/inproq/inproq/store"
)

// A catalog is the broker's copy of the store's records. It fetches what has
// changed since the last time, so that reading one record out of thousands costs
// little, and tells the broker of each change it learns of.
type catalog struct {
	store store.Store
	// Called with what changed, also by others: first changed, once for each change,
	// with what was known before, then follow. Deleted may be set in both.
	changed func(before store.Queue, after *record)
	follow  func(*record)

	mu       sync.Mutex
	queues   map[string]store.Queue
	complete uint64 // the revision up to which queues has everything
	listed   bool   // a list of all queues has come; on an empty store complete is still 0
}

// get returns a queue's record as it is in the store now. The caller may change
// it.
func (c *catalog) get(ctx context.Context, name string) (*record, error) {
	if err := c.sync(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	q, ok := c.queues[name]
	c.mu.Unlock()
	if !ok {
		return nil, store.ErrQueueNotFound
	}
	return parseRecord(q)
}

// list returns the records of all queues, in no order.
func (c *catalog) list(ctx context.Context) ([]*record, error) {
	if err := c.sync(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*record, 0, len(c.queues))
	for _, q := range c.queues {
		r, err := parseRecord(q)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// put writes a record, if nobody has changed it since it was read, and returns
// it as stored.
func (c *catalog) put(ctx context.Context, r *record) (*record, error) {
	q, err := r.pack()
	if err != nil {
		return nil, err
	}
	if q, err = c.store.PutQueue(ctx, q); err != nil {
		return nil, err
	}
	if r, err = parseRecord(q); err != nil {
		return nil, err
	}
	c.mu.Lock()
	before, news := c.learn(q)
	c.mu.Unlock()
	if news {
		c.changed(before, r)
	}
	c.follow(r) // also if a sync has learned it: that may not have come so far
	return r, nil
}

// revision returns that of a queue's record as it was last heard of, 0 if there is none.
func (c *catalog) revision(name string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queues[name].Revision
}

// known returns a queue's record as it was last heard of, nil if there is none.
func (c *catalog) known(name string) *record {
	c.mu.Lock()
	q, ok := c.queues[name]
	c.mu.Unlock()
	if !ok {
		return nil
	}
	r, err := parseRecord(q)
	if err != nil {
		return nil // who learned of it has said so
	}
	return r
}

// sync fetches what has changed in the store.
func (c *catalog) sync(ctx context.Context) error { return c.await(ctx, 0) }

// await fetches what has changed, and waits for a change if nothing did.
func (c *catalog) await(ctx context.Context, wait time.Duration) error {
	c.mu.Lock()
	after := c.complete
	c.mu.Unlock()
	changes, upTo, err := c.store.Queues(ctx, after, wait)
	if err != nil {
		return err
	}
	type change struct{ before, after store.Queue }
	var fresh []change
	c.mu.Lock()
	listed := c.listed
	c.listed = true
	// When another sync was faster, it knows all that this one does.
	if upTo > c.complete {
		if after == 0 {
			changes = append(changes, c.missing(changes, upTo)...)
		}
		for _, q := range changes {
			if before, news := c.learn(q); news {
				fresh = append(fresh, change{before, q})
			}
		}
		c.complete = upTo
	}
	c.mu.Unlock()
	var errs []error
	for _, x := range fresh {
		r, err := parseRecord(x.after)
		if err != nil {
			errs = append(errs, err)
			continue // the others' changes count all the same
		}
		if listed || x.before.Name != "" {
			c.changed(x.before, r) // else it was there before the broker
		}
		c.follow(r)
	}
	return errors.Join(errs...)
}

// missing returns tombstones for the records that a list of all queues up to a
// revision does not have: it comes without. The caller holds mu.
func (c *catalog) missing(list []store.Queue, upTo uint64) []store.Queue {
	listed := make(map[string]bool, len(list))
	for i := range list {
		listed[list[i].Name] = true
	}
	var gone []store.Queue
	for name, q := range c.queues {
		if !listed[name] && q.Revision < upTo {
			gone = append(gone, store.Queue{Name: name, Deleted: true, Revision: upTo})
		}
	}
	return gone
}

// learn notes a record unless it is old news, and returns what was known before. The
// caller holds mu.
func (c *catalog) learn(q store.Queue) (before store.Queue, news bool) {
	before = c.queues[q.Name]
	if q.Revision <= c.complete || q.Revision <= before.Revision {
		return before, false
	}
	if q.Deleted {
		delete(c.queues, q.Name)
	} else {
		c.queues[q.Name] = q
	}
	return before, true
}
