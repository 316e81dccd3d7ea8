package memory

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/inproq/inproq/store"
)

// PutQueue creates or replaces a record.
func (s *Store) PutQueue(ctx context.Context, rec store.Queue) (store.Queue, error) {
	if err := ctx.Err(); err != nil {
		return store.Queue{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return store.Queue{}, store.ErrClosed
	}
	old, exists := s.records[rec.Name]
	exists = exists && !old.Deleted
	switch {
	case !exists && rec.Revision != 0:
		return store.Queue{}, store.ErrQueueNotFound
	case exists && rec.Revision != old.Revision:
		return store.Queue{}, store.ErrConflict
	}
	s.last++
	rec.Revision, rec.Deleted = s.last, false
	rec.Settings = bytes.Clone(rec.Settings)
	s.records[rec.Name] = rec
	if exists {
		q, _ := s.queues.Load(rec.Name)
		q.(*queue).configure(rec.Paused, rec.Retention)
	} else {
		s.seq++
		s.queues.Store(rec.Name, newQueue(s, rec, s.seq))
	}
	s.announce()
	return snapshot(rec), nil
}

// DeleteQueue deletes a queue with its messages and leaves a tombstone.
func (s *Store) DeleteQueue(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return store.ErrClosed
	}
	rec, ok := s.records[name]
	if !ok || rec.Deleted {
		return store.ErrQueueNotFound
	}
	s.last++
	s.records[name] = store.Queue{Name: name, Deleted: true, Revision: s.last}
	if q, ok := s.queues.LoadAndDelete(name); ok {
		q.(*queue).end(store.ErrQueueNotFound)
	}
	s.announce()
	return nil
}

// Queues lists what changed after a revision, and waits for a change if nothing
// did.
func (s *Store) Queues(ctx context.Context, after uint64, wait time.Duration) ([]store.Queue, uint64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	var timeout <-chan time.Time
	for {
		s.mu.Lock()
		if s.closed.Load() {
			s.mu.Unlock()
			return nil, 0, store.ErrClosed
		}
		if s.last > after || wait == 0 {
			defer s.mu.Unlock()
			return s.since(after), s.last, nil
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		if wait > 0 && timeout == nil {
			t := time.NewTimer(wait)
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-changed:
		case <-timeout:
			wait = 0
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// since collects the records above a revision. The caller holds mu.
func (s *Store) since(after uint64) []store.Queue {
	var recs []store.Queue
	for _, rec := range s.records {
		if rec.Revision > after && (after > 0 || !rec.Deleted) {
			recs = append(recs, snapshot(rec))
		}
	}
	slices.SortFunc(recs, func(a, b store.Queue) int { return cmp.Compare(a.Revision, b.Revision) })
	return recs
}

// announce wakes those who wait in Queues. The caller holds mu.
func (s *Store) announce() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

func snapshot(rec store.Queue) store.Queue {
	rec.Settings = bytes.Clone(rec.Settings)
	return rec
}
