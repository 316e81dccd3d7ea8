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
	// with what was known before, nil if that was nothing, then follow. Deleted may be
	// set in after.
	changed func(before, after *record)
	follow  func(*record)

	mu       sync.Mutex
	queues   map[string]*record // also malformed ones
	complete uint64             // the revision up to which queues has everything
	listed   bool               // a list of all queues has come; on an empty store complete is still 0
}

// get returns a queue's record as it is in the store now.
func (c *catalog) get(ctx context.Context, name string) (*record, error) {
	if err := c.sync(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	r := c.queues[name]
	c.mu.Unlock()
	if r == nil {
		return nil, store.ErrQueueNotFound
	}
	return r, r.check()
}

// list returns the records of all queues, in no order.
func (c *catalog) list(ctx context.Context) ([]*record, error) {
	if err := c.sync(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*record, 0, len(c.queues))
	for _, r := range c.queues {
		if err := r.check(); err != nil {
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
	before, news := c.learn(r)
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
	if r := c.queues[name]; r != nil {
		return r.Revision
	}
	return 0
}

// known returns a queue's record as it was last heard of, nil if there is none.
func (c *catalog) known(name string) *record {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.queues[name]
	if r != nil && r.malformed {
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
	records := make([]*record, len(changes))
	for i, q := range changes {
		records[i], _ = parseRecord(q)
	}
	type change struct{ before, after *record }
	var fresh []change
	c.mu.Lock()
	listed := c.listed
	c.listed = true
	// When another sync was faster, it knows all that this one does.
	if upTo > c.complete {
		if after == 0 {
			records = append(records, c.missing(changes, upTo)...)
		}
		for _, r := range records {
			if before, news := c.learn(r); news {
				fresh = append(fresh, change{before, r})
			}
		}
		c.complete = upTo
	}
	c.mu.Unlock()
	var errs []error
	for _, x := range fresh {
		if err := x.after.check(); err != nil {
			errs = append(errs, err)
			continue // the others' changes count all the same
		}
		if listed || x.before != nil {
			c.changed(x.before, x.after) // else it was there before the broker
		}
		c.follow(x.after)
	}
	return errors.Join(errs...)
}

// missing returns tombstones for the records that a list of all queues up to a
// revision does not have: it comes without. The caller holds mu.
func (c *catalog) missing(list []store.Queue, upTo uint64) []*record {
	listed := make(map[string]bool, len(list))
	for i := range list {
		listed[list[i].Name] = true
	}
	var gone []*record
	for name, r := range c.queues {
		if !listed[name] && r.Revision < upTo {
			gone = append(gone, &record{Queue: store.Queue{Name: name, Deleted: true, Revision: upTo}})
		}
	}
	return gone
}

// learn notes a record unless it is old news, and returns what was known before. The
// caller holds mu.
func (c *catalog) learn(r *record) (before *record, news bool) {
	before = c.queues[r.Name]
	if r.Revision <= c.complete || before != nil && r.Revision <= before.Revision {
		return before, false
	}
	if r.Deleted {
		delete(c.queues, r.Name)
	} else {
		c.queues[r.Name] = r
	}
	return before, true
}
