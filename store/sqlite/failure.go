package sqlite

import (
	"fmt"
	"slices"

	"github.com/inproq/inproq/store"
)

// note ends all writing if an error says that the file or the disk is not to be trusted. It
// is told once. What was confirmed before is in the file.
func (s *Store) note(err error) {
	if !isFatal(err) {
		return
	}
	s.mu.Lock()
	first := s.broken == nil
	if first {
		s.broken = &brokenError{err}
	}
	reason, tell := s.broken, s.tell
	s.mu.Unlock()
	if !first {
		return
	}
	s.logger.Error("the store accepts no writes any more", "file", s.path, "err", err)
	for _, f := range tell {
		(*f)(reason)
	}
}

// OnFailure has f called when the store accepts no writes any more.
func (s *Store) OnFailure(f func(reason error)) (forget func()) {
	s.mu.Lock()
	s.tell = append(slices.Clone(s.tell), &f)
	broken := s.broken
	s.mu.Unlock()
	if broken != nil {
		f(broken)
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tell = slices.DeleteFunc(slices.Clone(s.tell), func(g *func(error)) bool { return g == &f })
	}
}

// usable returns why nothing can be written, nil if it can.
func (s *Store) usable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// brokenError is what calls get after a fatal error.
type brokenError struct{ cause error }

func (e *brokenError) Error() string {
	return fmt.Sprintf("sqlite: nothing is written since an error that the store cannot recover from; open the file again: %v", e.cause)
}

func (e *brokenError) Unwrap() []error { return []error{store.ErrReadOnly, e.cause} }
