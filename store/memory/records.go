package memory

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/inproq/inproq/store"
)

// A record is what PutQueue has said of a queue, and from its first use on the queue
// itself: most of many hardly have one. One that was deleted stays as a tombstone;
// that of a queue which takes its name is another.
type record struct {
	store *Store
	made  atomic.Pointer[queue] // nil before the first use
	store.Queue
}

// record finds that of a name, if it has ever been there.
func (s *Store) record(name string) (*record, error) {
	if v, ok := s.records.Load(name); ok {
		return v.(*record), nil
	}
	if s.closed.Load() {
		return nil, store.ErrClosed
	}
	return nil, store.ErrQueueNotFound
}

// used returns the queue, or nil if it was not used yet.
func (r *record) used() (*queue, error) {
	if q := r.made.Load(); q != nil {
		return q, nil
	}
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	return r.usedLocked()
}

func (r *record) usedLocked() (*queue, error) {
	switch {
	case r.store.closed.Load():
		return nil, store.ErrClosed
	case r.Deleted:
		return nil, store.ErrQueueNotFound
	}
	return r.made.Load(), nil
}

// open returns the queue, and makes it if this is its first use.
func (r *record) open() (*queue, error) {
	if q := r.made.Load(); q != nil {
		return q, nil
	}
	s := r.store
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := r.usedLocked()
	if q == nil && err == nil {
		s.seq++
		q = newQueue(s, &r.Queue, s.seq)
		r.made.Store(q)
	}
	return q, err
}

// end makes the queue, if there is one, answer err to everything from now on. The
// caller holds the store's mu.
func (r *record) end(err error) {
	if q := r.made.Swap(nil); q != nil {
		q.end(err)
	}
}

// PutQueue creates or replaces a record.
func (s *Store) PutQueue(ctx context.Context, rec store.Queue) (store.Queue, error) {
	if err := ctx.Err(); err != nil {
		return store.Queue{}, err
	}
	kept, q, err := s.put(rec)
	if q != nil {
		q.configure(kept.Revision, kept.Retention)
	}
	return kept, err
}

// put is PutQueue without its effect on the queue, which it returns if there is one, but for
// the pause.
func (s *Store) put(rec store.Queue) (kept store.Queue, q *queue, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return store.Queue{}, nil, store.ErrClosed
	}
	r, _ := s.record(rec.Name)
	exists := r != nil && !r.Deleted
	switch {
	case !exists && rec.Revision != 0:
		return store.Queue{}, nil, store.ErrQueueNotFound
	case exists && rec.Revision != r.Revision:
		return store.Queue{}, nil, store.ErrConflict
	}
	if !exists {
		r = s.create(rec.Name, r)
	}
	rec.Deleted = false
	rec.Settings = bytes.Clone(rec.Settings)
	s.keep(r, rec)
	if q = r.made.Load(); q != nil {
		q.paused.Store(rec.Paused)
	}
	s.announce()
	return snapshot(r.Queue), q, nil
}

// create adds the record of a new queue, in the place of a tombstone unless that is
// nil. The caller holds mu.
func (s *Store) create(name string, tombstone *record) *record {
	if tombstone == nil {
		s.names++
	} else {
		tombstone.Revision = 0 // which makes its change out of date
	}
	r := &record{store: s}
	s.records.Store(name, r)
	return r
}

// DeleteQueue deletes a queue with its messages and leaves a tombstone.
func (s *Store) DeleteQueue(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.record(name)
	if err != nil {
		return err
	}
	if r.Deleted {
		return store.ErrQueueNotFound
	}
	s.keep(r, store.Queue{Name: name, Deleted: true})
	r.end(store.ErrQueueNotFound)
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
	record   *record
}

func (c change) outOfDate() bool { return c.record.Revision != c.revision }

// keep gives a record what is new of it, and a revision. The caller holds mu.
func (s *Store) keep(r *record, rec store.Queue) {
	s.last++
	r.Queue = rec
	r.Revision = s.last
	if len(s.changes) > 2*s.names+64 {
		s.changes = slices.DeleteFunc(s.changes, change.outOfDate)
	}
	s.changes = append(s.changes, change{r.Revision, r})
}

// since collects the records above a revision, in the order of revisions. The
// caller holds mu.
func (s *Store) since(after uint64) []store.Queue {
	if after >= s.last {
		return nil
	}
	var recs []store.Queue
	first, _ := slices.BinarySearchFunc(s.changes, after+1, func(c change, r uint64) int { return cmp.Compare(c.revision, r) })
	for _, c := range s.changes[first:] {
		if !c.outOfDate() && (after > 0 || !c.record.Deleted) {
			recs = append(recs, snapshot(c.record.Queue))
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
