package inproq

import (
	"context"
	"errors"
	"sync"

	"github.com/inproq/inproq/store"
)

// A catalog is the broker's copy of the store's records. It fetches what has
// changed since the last time, so that reading one record out of thousands costs
// little, and tells the broker of each change it learns of.
type catalog struct {
	store  store.Store
	follow func(*record) // called with what changed, also by others; Deleted may be set

	mu       sync.Mutex
	queues   map[string]store.Queue
	complete uint64 // the revision up to which queues has everything
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
	c.learn(q)
	c.mu.Unlock()
	c.follow(r) // also if a sync has learned it: that may not have come so far
	return r, nil
}

// sync fetches what has changed in the store.
func (c *catalog) sync(ctx context.Context) error {
	c.mu.Lock()
	after := c.complete
	c.mu.Unlock()
	changes, upTo, err := c.store.Queues(ctx, after, 0)
	if err != nil {
		return err
	}
	var fresh []store.Queue
	c.mu.Lock()
	// When another sync was faster, it knows all that this one does.
	if upTo > c.complete {
		if after == 0 {
			changes = append(changes, c.missing(changes, upTo)...)
		}
		for _, q := range changes {
			if c.learn(q) {
				fresh = append(fresh, q)
			}
		}
		c.complete = upTo
	}
	c.mu.Unlock()
	var errs []error
	for _, q := range fresh {
		r, err := parseRecord(q)
		if err != nil {
			errs = append(errs, err)
			continue // the others' changes count all the same
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

// learn notes a record unless it is old news. The caller holds mu.
func (c *catalog) learn(q store.Queue) bool {
	if q.Revision <= c.complete || q.Revision <= c.queues[q.Name].Revision {
		return false
	}
	if q.Deleted {
		delete(c.queues, q.Name)
	} else {
		c.queues[q.Name] = q
	}
	return true
}
