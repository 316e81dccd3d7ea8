package memory

import (
	"context"

	"github.com/inproq/inproq/store"
)

// Purge deletes what is ready and delayed.
func (s *Store) Purge(ctx context.Context, name string) error {
	q, err := s.queue(ctx, name)
	if err != nil {
		return err
	}
	q.lock()
	defer q.unlock()
	if q.over != nil {
		return q.over
	}
	for i := range q.lanes {
		q.gather(i)
		for s := q.lanes[i].peek(); s != nil; s = q.lanes[i].peek() {
			q.dropFresh(i, s)
		}
	}
	for id := uint32(0); id < q.slab.used; id++ { //nolint:intrange // used falls to zero with the last entry
		if st := q.slab.at(id).state(); st == ready || st == delayed {
			q.remove(id)
		}
	}
	q.returned.clear()
	q.refreshOldest()
	return nil
}

// Stats counts what the queue holds.
func (s *Store) Stats(ctx context.Context, name string) (store.Stats, error) {
	if err := ctx.Err(); err != nil {
		return store.Stats{}, err
	}
	r, err := s.record(name)
	if err != nil {
		return store.Stats{}, err
	}
	q, err := r.used()
	if q == nil {
		return store.Stats{}, err
	}
	q.lock()
	defer q.unlock()
	if q.over != nil {
		return store.Stats{}, q.over
	}
	return q.stats(), nil
}
