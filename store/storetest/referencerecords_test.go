package storetest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/inproq/inproq/store"
)

// The records of a reference.

func (s *reference) PutQueue(ctx context.Context, rec store.Queue) (store.Queue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := cmp.Or(ctx.Err(), s.open()); err != nil {
		return store.Queue{}, err
	}
	q := s.queues[rec.Name]
	exists := q != nil && !q.Deleted
	switch {
	case exists && rec.Revision != q.Revision:
		return store.Queue{}, store.ErrConflict
	case !exists && rec.Revision != 0:
		return store.Queue{}, store.ErrQueueNotFound
	case !exists && (q == nil || !s.is(buriesMessages)):
		q = &line{}
		s.queues[rec.Name] = q
	}
	s.sweep(time.Now())
	if !s.is(sharesSettings) {
		rec.Settings = fresh(rec.Settings)
	}
	if q.Revision != 0 && s.is(fixesRetention) {
		rec.Retention = q.Retention
	}
	rec.Revision, rec.Deleted = s.next(q), false
	q.Queue = rec
	s.sweep(time.Now())
	s.announce(putsSilently)
	return s.copied(rec), nil
}

// next is the revision of the next change.
func (s *reference) next(q *line) uint64 {
	if s.revision++; s.is(countsRevisionsByQueue) {
		return q.Revision + 1
	}
	return s.revision
}

func (s *reference) DeleteQueue(ctx context.Context, name string) error {
	q, _, err := s.enter(ctx, name)
	defer s.mu.Unlock()
	if err != nil {
		return err
	}
	q.Queue = store.Queue{Name: name, Deleted: true, Revision: s.next(q)}
	if !s.is(buriesMessages) {
		q.items = nil
	}
	s.announce(deletesSilently)
	return nil
}

func (s *reference) Queues(ctx context.Context, after uint64, wait time.Duration) ([]store.Queue, uint64, error) {
	var end time.Time
	if wait >= 0 {
		end = time.Now().Add(wait)
	}
	for {
		s.mu.Lock()
		all, newest, changed := s.since(after), s.revision, s.changed
		err := cmp.Or(ctx.Err(), s.open())
		s.mu.Unlock()
		if err != nil {
			return nil, 0, err
		}
		if newest > after || wait >= 0 && !time.Now().Before(end) {
			return all, newest, nil
		}
		if err := s.wait(ctx, changed, end); err != nil {
			return nil, 0, err
		}
	}
}

func (s *reference) since(after uint64) []store.Queue {
	var all []store.Queue
	for _, q := range s.queues {
		if q.Revision > after && (after > 0 || !q.Deleted) {
			all = append(all, s.copied(q.Queue))
		}
	}
	slices.SortFunc(all, func(a, b store.Queue) int { return cmp.Compare(a.Revision, b.Revision) })
	return all
}

func (s *reference) copied(q store.Queue) store.Queue {
	if !s.is(sharesSettings) {
		q.Settings = fresh(q.Settings)
	}
	return q
}
