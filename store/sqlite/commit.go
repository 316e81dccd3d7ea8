package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"
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
	rows  int       // it writes, about
	size  int       // bytes of them

	answer error // of an op that cannot be done, in a group that is written
}

func (h *opHead) head() *opHead { return h }

const (
	// A group takes no more rows and bytes than that, about a millisecond's work: what
	// comes next is written while the disk is at it, and who needs no disk does not
	// wait for many others.
	maxGroupRows  = 512
	maxGroupBytes = 1 << 20

	// manyRows are worth writing while the disk is at it; fewer wait for those whom the
	// disk is about to release.
	manyRows = 256

	// cohort is how long the committer waits for those who have just been released to come
	// again. Without that two cohorts form, each of which waits for the disk while
	// the other is on its way, and a wait for the disk serves half as many.
	cohort = 60 * time.Microsecond
)

// submit has an op written and waits for that. When ctx ends before its transaction has
// begun, the op is not written.
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

// post has an op written, and does not wait for that.
func (s *Store) post(o op) {
	h := o.head()
	h.done = make(chan error, 1)
	h.since = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed.Load() && s.broken == nil {
		s.pending = append(s.pending, o)
		s.start()
	}
}

// start sees to it that there is a committer, if there is something to do. The caller holds mu.
func (s *Store) start() {
	if !s.running && s.due() {
		s.running = true
		s.work.Go(s.commit)
	}
}

// due reports whether there is something to write now. While the disk is at it, it is
// best to wait for those whom it will release, so that one more wait serves all of
// them; but not with so much work that the disk would wait for us, and not with what
// needs no disk. The caller holds mu.
func (s *Store) due() bool {
	if len(s.pending) == 0 {
		return s.foreign && !s.closed.Load()
	}
	if !s.confirming {
		return true
	}
	rows := 0
	for _, o := range s.pending {
		h := o.head()
		if rows += h.rows; h.quick || rows >= manyRows {
			return true
		}
	}
	return false
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
	for s.more() {
		s.gather()
		s.round()
	}
}

// more reports whether there is anything to do. If not, the committer ends.
func (s *Store) more() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = s.due()
	return s.running
}

// gather waits a moment for as many ops as were released. It yields the processor
// rather than sleep, because the system wakes a sleeper after a millisecond; one caller alone
// is not waited for.
func (s *Store) gather() {
	for start := time.Now(); ; runtime.Gosched() {
		s.mu.Lock()
		over := s.released < 2 || len(s.pending) >= s.released || time.Since(start) >= cohort
		if over {
			s.released = 0
		}
		s.mu.Unlock()
		if over {
			return
		}
	}
}

// round writes one group.
func (s *Store) round() {
	s.wal.hold()
	defer s.wal.release()
	if err := s.usable(); err != nil {
		s.refuse(err)
		return
	}
	begun, err := s.begin()
	if err != nil {
		s.refuse(err)
	}
	if !begun {
		return
	}
	if err := s.absorb(); err != nil {
		s.refuse(errors.Join(err, s.w.exec("ROLLBACK")))
		return
	}
	g := &group{s: s, c: s.w, ops: s.takeGroup()}
	g.now = s.now() // which is during every call of the group
	err = g.write()
	if err == nil {
		err = s.w.exec("COMMIT")
	}
	if err != nil {
		s.rollback(g, err)
		return
	}
	s.confirm(g.finish())
	s.wal.grown(s, g)
}

// maxBusyWait is the longest wait between two looks whether the file is free.
const maxBusyWait = 20 * time.Millisecond

// begin starts a transaction, unless there is nothing left to write. While another one
// holds the file it tries again, after a tenth of the time that it has been trying:
// SQLite tells nobody when a lock is free. Ops that have waited for too long it fails.
func (s *Store) begin() (begun bool, err error) {
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
			return true, nil
		}
		s.mu.Lock()
		s.foreign = foreign || s.foreign
		s.mu.Unlock()
		if !isBusy(err) {
			return false, err
		}
		if s.closed.Load() {
			return false, errClosed // nobody waits for others then
		}
		if !s.giveUp(err) {
			return false, nil
		}
		time.Sleep(min(max(time.Since(start)/10, 100*time.Microsecond), maxBusyWait))
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

// takeGroup takes the ops of a group. While the disk is at it, and there is little to
// write, those are only the ones that need no disk.
func (s *Store) takeGroup() []op {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := 0
	for _, o := range s.pending {
		total += o.head().rows
	}
	quick := s.confirming && total < manyRows
	var ops []op
	rows, size := 0, 0
	left := s.pending[:0]
	for _, o := range s.pending {
		h := o.head()
		full := rows >= maxGroupRows || size >= maxGroupBytes || s.careful > 0 && len(ops) > 0
		if full || quick && !h.quick {
			left = append(left, o)
			continue
		}
		ops = append(ops, o)
		rows += h.rows
		size += h.size
	}
	clear(s.pending[len(left):])
	s.pending = left
	s.careful = max(s.careful-1, 0)
	return ops
}

// refuse fails everything that is pending.
func (s *Store) refuse(err error) {
	s.note(err)
	s.mu.Lock()
	ops := s.pending
	s.pending, s.careful = nil, 0
	again := s.foreign && s.broken == nil
	s.foreign = again
	s.mu.Unlock()
	if again {
		time.Sleep(maxBusyWait) // the committer is about to try once more
	}
	for _, o := range ops {
		o.abort()
		o.head().done <- err
	}
}

// rollback undoes a group that failed. What an op of several has done wrong is no affair of
// the others: then each is tried by itself.
func (s *Store) rollback(g *group, err error) {
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
		return
	}
	s.mu.Lock()
	s.pending = append(g.ops, s.pending...)
	s.careful = len(g.ops)
	s.mu.Unlock()
}
