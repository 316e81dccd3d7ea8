package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/inproq/inproq/store"
)

// An op is a part of a transaction: what one call wants written. Its methods are called by
// the committer.
type op interface {
	// plan writes to the group's transaction.
	plan(g *group) error
	// undo undoes what plan has changed in memory. The op may be planned again.
	undo()
	// apply brings memory up to date, when the transaction is committed.
	apply(g *group)
	// abort gives back what the caller had taken for an op that will not be written.
	abort()
	// head is what all have.
	head() *opHead
}

type opHead struct {
	done  chan error
	since time.Time // it was submitted then
	quick bool      // it need not wait for the disk
	size  int       // bytes it writes, about

	answer error // of an op that cannot be done, in a group that is written
}

func (h *opHead) head() *opHead { return h }

const (
	// A group takes no more than that, so that the first in it does not wait for too many
	// others.
	maxGroupOps   = 4096
	maxGroupBytes = 4 << 20

	// cohort is how long the committer waits for those whom it has just released to come
	// again. Without that two cohorts form, each of which waits for the disk while
	// the other is on its way, and a wait for the disk serves half as many.
	cohort = 60 * time.Microsecond
)

// submit has an op written and waits for that. When ctx ends before its transaction has begun, the
// op is not written.
func (s *Store) submit(ctx context.Context, o op) error {
	h := o.head()
	h.done = make(chan error, 1)
	h.since = time.Now()
	s.mu.Lock()
	if s.closed.Load() {
		s.mu.Unlock()
		o.abort()
		return errClosed
	}
	s.pending = append(s.pending, o)
	s.start()
	s.mu.Unlock()
	select {
	case err := <-h.done:
		return err
	case <-ctx.Done():
	}
	if s.withdraw(o) {
		o.abort()
		return ctx.Err()
	}
	return <-h.done
}

// start sees to it that there is a committer. The caller holds mu.
func (s *Store) start() {
	if !s.running {
		s.running = true
		s.work.Go(s.commit)
	}
}

// withdraw takes an op back, unless its transaction has begun.
func (s *Store) withdraw(o op) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.pending, o)
	if i < 0 {
		return false
	}
	s.pending = slices.Delete(s.pending, i, i+1)
	s.careful = 0 // it is about neighbours; they may try together
	return true
}

// commit is the committer: it writes until nothing is pending.
func (s *Store) commit() {
	released := 0
	for s.more() {
		s.gather(released)
		released = s.round()
	}
}

// more reports whether there is anything to do. If not, the committer ends.
func (s *Store) more() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = len(s.pending) > 0 || s.foreign && !s.closed.Load()
	return s.running
}

// gather waits a moment for as many ops as there were last time. It yields the processor
// rather than sleep, because the system wakes a sleeper after a millisecond; one caller alone
// is not waited for.
func (s *Store) gather(n int) {
	if n < 2 {
		return
	}
	for start := time.Now(); time.Since(start) < cohort; runtime.Gosched() {
		s.mu.Lock()
		enough := len(s.pending) >= n
		s.mu.Unlock()
		if enough {
			return
		}
	}
}

// round writes one group. It returns how many callers that has released.
func (s *Store) round() int {
	s.wal.hold()
	defer s.wal.release()
	if err := s.usable(); err != nil {
		return s.refuse(err)
	}
	quick := s.allQuick()
	if err := s.synchronous(quick); err != nil {
		return s.refuse(err)
	}
	if err := s.begin(); err != nil {
		return s.refuse(err)
	}
	if err := s.absorb(); err != nil {
		return s.refuse(errors.Join(err, s.w.exec("ROLLBACK")))
	}
	g := &group{s: s, c: s.w, now: s.now(), ops: s.takeGroup(quick)}
	err := g.write()
	if err == nil {
		err = s.w.exec("COMMIT")
	}
	if err != nil {
		return s.rollback(g, err)
	}
	g.finish()
	s.wal.grown(s, g)
	return len(g.ops)
}

func (s *Store) usable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// allQuick reports whether nothing that is pending needs the disk to confirm it.
func (s *Store) allQuick() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.pending {
		if !o.head().quick {
			return false
		}
	}
	return true
}

// synchronous says whether the next commit waits for the disk.
func (s *Store) synchronous(quick bool) error {
	if quick == s.quick {
		return nil
	}
	mode := "PRAGMA synchronous=FULL"
	if quick {
		mode = "PRAGMA synchronous=NORMAL"
	}
	if err := s.w.run(mode); err != nil {
		return err
	}
	s.quick = quick
	return nil
}

// begin starts a transaction. While another one holds the file it tries again, after a
// tenth of the time that it has been trying: SQLite tells nobody when a lock is free. Ops that have waited for
// too long it fails.
func (s *Store) begin() error {
	start := time.Now()
	for {
		// Order: forget that a transaction of the application's may have ended, then take the
		// lock. One that ends later says so later.
		s.mu.Lock()
		foreign := s.foreign
		s.foreign = false
		s.mu.Unlock()
		err := s.w.exec("BEGIN IMMEDIATE")
		if err == nil {
			return nil
		}
		s.mu.Lock()
		s.foreign = foreign || s.foreign
		s.mu.Unlock()
		if !isBusy(err) {
			return err
		}
		if !s.giveUp(err) {
			return err
		}
		time.Sleep(min(max(time.Since(start)/10, 100*time.Microsecond), 20*time.Millisecond))
	}
}

// giveUp fails the ops that have waited for a busy file for too long. It reports whether it
// is worth trying again.
func (s *Store) giveUp(err error) bool {
	s.mu.Lock()
	var late []op
	if s.busy > 0 {
		i := 0
		for i < len(s.pending) && time.Since(s.pending[i].head().since) >= s.busy {
			i++
		}
		late = slices.Clone(s.pending[:i])
		s.pending = slices.Delete(s.pending, 0, i)
	}
	more := len(s.pending) > 0 || s.foreign && !s.closed.Load()
	s.mu.Unlock()
	for _, o := range late {
		o.abort()
		o.head().done <- fmt.Errorf("%w (for %v)", err, s.busy)
	}
	return more
}

// takeGroup takes the ops of a group. In one that does not wait for the disk, only those that need not.
func (s *Store) takeGroup(quick bool) []op {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, size := 0, 0
	for ; n < len(s.pending) && n < maxGroupOps && size < maxGroupBytes; n++ {
		h := s.pending[n].head()
		if quick && !h.quick || s.careful > 0 && n > 0 {
			break
		}
		size += h.size
	}
	s.careful = max(s.careful-1, 0)
	ops := slices.Clone(s.pending[:n])
	s.pending = slices.Delete(s.pending, 0, n)
	return ops
}

// refuse fails everything that is pending.
func (s *Store) refuse(err error) int {
	s.note(err)
	s.mu.Lock()
	ops := s.pending
	s.pending, s.foreign, s.careful = nil, false, 0
	s.mu.Unlock()
	for _, o := range ops {
		o.abort()
		o.head().done <- err
	}
	return len(ops)
}

// rollback undoes a group that failed. What an op of several has done wrong is no affair of
// the others: then each is tried by itself.
func (s *Store) rollback(g *group, err error) int {
	// A failed COMMIT may have ended the transaction itself.
	if undo := s.w.exec("ROLLBACK"); undo != nil && isFatal(undo) {
		err = errors.Join(err, undo)
	}
	g.undo()
	if !g.toBlame(err) {
		s.note(err)
		for _, o := range g.ops {
			o.abort()
			o.head().done <- err
		}
		return len(g.ops)
	}
	s.mu.Lock()
	s.pending = append(g.ops, s.pending...)
	s.careful = len(g.ops)
	s.mu.Unlock()
	return 0
}

// note ends all writing if an error says that the file or the disk is not to be trusted. It
// is told once.
func (s *Store) note(err error) {
	if !isFatal(err) {
		return
	}
	s.mu.Lock()
	first := s.broken == nil
	if first {
		s.broken = &brokenError{err}
	}
	tell := s.onBroken
	s.mu.Unlock()
	if !first {
		return
	}
	s.log.Error("the store accepts no writes any more", "file", s.path, "err", err)
	if tell != nil {
		tell(err)
	}
}

// brokenError is what calls get after a fatal error.
type brokenError struct{ cause error }

func (e *brokenError) Error() string {
	return fmt.Sprintf("sqlite: nothing is written since an error that the store cannot recover from; open the file again: %v", e.cause)
}

func (e *brokenError) Unwrap() []error { return []error{store.ErrReadOnly, e.cause} }
