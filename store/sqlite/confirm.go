package sqlite

import (
	"fmt"

	"github.com/inproq/inproq/store"
)

// A commit of SQLite's does not wait for the disk here (synchronous=NORMAL). The store
// waits itself, by an fdatasync of the write-ahead log before any caller returns, which
// is what synchronous=FULL does within a commit. This way the connection is free
// meanwhile: the next group is written, and leases are marked, while the disk works.
//
// The disk has a prefix of the log, so nothing is there without what it is based on: a
// message can be leased before its Send returns, but no Ack of it is on the disk before
// it is. Checkpoints wait for the disk by themselves, before they copy and after.

// confirm has the disk confirm what ops have written, and then answers their callers.
func (s *Store) confirm(ops []op) {
	if len(ops) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unconfirmed = append(s.unconfirmed, ops...)
	if !s.confirming {
		s.confirming = true
		s.work.Go(s.confirmAll)
	}
}

// confirmAll answers callers until there is none left.
func (s *Store) confirmAll() {
	for {
		s.mu.Lock()
		ops := s.unconfirmed
		s.unconfirmed = nil
		if s.confirming = len(ops) > 0; !s.confirming {
			s.start() // what has waited for this moment
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		err := s.usable()
		if err == nil {
			if err = s.log.Sync(); err != nil {
				err = explain(syncError{err})
				s.note(err)
			}
		}
		if err != nil {
			// Whether the disk has it is not known: it may be there when the file is opened
			// again.
			err = fmt.Errorf("%w (%w)", err, store.ErrUnavailable)
		}
		s.mu.Lock()
		s.released = len(ops) + len(s.pending)
		s.mu.Unlock()
		for _, o := range ops {
			h := o.head()
			if err == nil {
				h.done <- h.answer
			} else {
				h.done <- err
			}
		}
	}
}

// A syncError is what the system says when the disk has not confirmed a write.
type syncError struct{ error }

func (e syncError) Unwrap() error { return e.error }

// Code is what SQLite would call it.
func (syncError) Code() int { return codeIOErrFsync }
