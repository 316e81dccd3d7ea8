package inproq

import (
	"context"
	"errors"
	"fmt"

	"github.com/inproq/inproq/store"
)

// QueueChange is what became of a queue.
type QueueChange struct {
	QueueInfo       // of a deleted one Name and Revision only
	Deleted   bool  // the queue is no more
	Err       error // its record in the store is malformed, and QueueInfo as if it were deleted
}

// Changes lists the queues that have changed after a revision, in the order of their
// changes, each as it is now, and the revision up to which that is all. Who asks again
// with that one gets what has changed since, whichever process on the store has done it:
// a way to keep something up to date that is made of all queues, at the cost of what
// changes. After zero are all queues, without those that were deleted.
//
// It asks the store, once, and waits for nothing.
//
// Errors: [ErrBrokerClosed], ctx's and the store's.
func (b *Broker) Changes(ctx context.Context, after uint64) (changes []QueueChange, upTo uint64, err error) {
	list, upTo, err := b.store.Queues(ctx, after, 0)
	if err != nil {
		if errors.Is(err, store.ErrClosed) {
			err = fmt.Errorf("%w: %w", ErrBrokerClosed, err)
		}
		return nil, 0, fmt.Errorf("inproq: changes of queues: %w", err)
	}
	changes = make([]QueueChange, 0, len(list))
	for i := range list {
		r, err := parseRecord(list[i])
		c := QueueChange{QueueInfo: QueueInfo{Name: r.Name, Revision: r.Revision}, Deleted: r.Deleted, Err: err}
		if !r.Deleted && err == nil {
			c.QueueInfo = r.info()
		}
		changes = append(changes, c)
	}
	return changes, upTo, nil
}
