package sqlite

import (
	"errors"
	"fmt"

	"github.com/inproq/inproq/store"
)

// The result codes of SQLite that the store tells apart; the lowest byte is the kind.
const (
	codeBusy     = 5
	codeReadOnly = 8
	codeIOErr    = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeNotADB   = 26

	codeBusySnapshot  = codeBusy | 2<<8
	codeIOErrFsync    = codeIOErr | 4<<8
	codeIOErrDirFsync = codeIOErr | 5<<8
)

var errClosed = store.ErrClosed

// errDamaged says of a table what SQLite has not noticed.
var errDamaged error = damage{}

type damage struct{}

func (damage) Error() string { return "rows are not in their order" }

// Code is what SQLite would call it.
func (damage) Code() int { return codeCorrupt }

// An engineError is what SQLite says, with what that means for a user of the store.
type engineError struct {
	code    int
	meaning error // of package store; nil: none of them
	hint    string
	err     error
}

func (e *engineError) Error() string {
	if e.hint == "" {
		return fmt.Sprintf("sqlite: %v", e.err)
	}
	return fmt.Sprintf("sqlite: %s: %v", e.hint, e.err)
}

func (e *engineError) Unwrap() []error {
	if e.meaning == nil {
		return []error{e.err}
	}
	return []error{e.meaning, e.err}
}

// code is SQLite's extended result code of an error, 0 if it has none.
func code(err error) int {
	if known, ok := errors.AsType[*engineError](err); ok {
		return known.code
	}
	if coded, ok := errors.AsType[interface {
		error
		Code() int
	}](err); ok {
		return coded.Code()
	}
	// Other drivers have a type of their own for the same numbers.
	return foreignCode(err)
}

// explain says what an error of the driver's means.
func explain(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*engineError](err); ok {
		return err
	}
	c := code(err)
	e := &engineError{code: c, err: err}
	switch c & 0xff {
	case codeFull:
		e.meaning, e.hint = store.ErrFull, "the disk is full, or the file as large as it may be"
	case codeBusy:
		e.meaning, e.hint = store.ErrUnavailable, "another transaction holds the file"
	case codeReadOnly:
		e.meaning, e.hint = store.ErrReadOnly, "the file cannot be written"
	case codeCantOpen:
		e.hint = "the file cannot be opened"
	case codeNotADB:
		e.meaning, e.hint = store.ErrReadOnly, "the file is no SQLite database, or its beginning is damaged"
	case codeCorrupt:
		e.meaning, e.hint = store.ErrReadOnly, "the file is damaged; the sqlite3 shell's .recover saves what can be read"
	case codeIOErr:
		e.hint = "the disk fails"
		if isSync(c) {
			e.meaning, e.hint = store.ErrReadOnly, "the disk has not confirmed a write"
		}
	}
	return e
}

// isSync reports whether a code says that the operating system could not confirm what
// was written. What the disk has is then unknown, and asking again would be answered
// with a yes that means nothing.
func isSync(code int) bool { return code == codeIOErrFsync || code == codeIOErrDirFsync }

// isFatal reports whether nothing may be written to the file after this error.
func isFatal(err error) bool {
	c := code(err)
	switch c & 0xff {
	case codeCorrupt, codeNotADB:
		return true
	}
	return isSync(c)
}

// isBusy reports whether another transaction was in the way.
func isBusy(err error) bool { return code(err)&0xff == codeBusy }
