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
	s.keep(rec)
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
	s.keep(store.Queue{Name: name, Deleted: true, Revision: s.last})
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

// A change is one revision of a record. It is out of date when the record has a
// later one.
type change struct {
	revision uint64
	name     string
}

// keep stores a record that has the newest revision. The caller holds mu.
func (s *Store) keep(rec store.Queue) {
	s.records[rec.Name] = rec
	if len(s.changes) > 2*len(s.records)+64 {
		s.changes = slices.DeleteFunc(s.changes, s.outOfDate)
	}
	s.changes = append(s.changes, change{rec.Revision, rec.Name})
}

func (s *Store) outOfDate(c change) bool { return s.records[c.name].Revision != c.revision }

// since collects the records above a revision, in the order of revisions. The
// caller holds mu.
func (s *Store) since(after uint64) []store.Queue {
	if after >= s.last {
		return nil
	}
	var recs []store.Queue
	first, _ := slices.BinarySearchFunc(s.changes, after+1, func(c change, r uint64) int { return cmp.Compare(c.revision, r) })
	for _, c := range s.changes[first:] {
		if rec := s.records[c.name]; rec.Revision == c.revision && (after > 0 || !rec.Deleted) {
			recs = append(recs, snapshot(rec))
		}
	}
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
