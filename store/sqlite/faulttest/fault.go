package faulttest

import (
	"slices"
	"syscall"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// Rule says which calls fail, and how.
type Rule struct {
	// Files and Calls that are meant.
	Files Kind
	Calls Call
	// Error is what they fail with.
	Error Error
	// After is how many calls succeed before the first fails.
	After int
	// Times is how many fail then. Zero: all, until Lift.
	Times int
	// Growing means only calls that make a file longer: on a full disk, what is there
	// can still be changed.
	Growing bool
	// Short leaves a part of a failed write behind.
	Short bool
}

// Error is what a call fails with, as the operating system names it.
type Error uint8

// The errors.
const (
	IOError   Error = iota // EIO
	NoSpace                // ENOSPC
	Forbidden              // EROFS
)

// errno returns the error as the operating system reports it.
func (e Error) errno() syscall.Errno {
	switch e {
	case NoSpace:
		return syscall.ENOSPC
	case Forbidden:
		return syscall.EROFS
	}
	return syscall.EIO
}

// of returns the error as SQLite's own file system reports it.
func (e Error) of(call Call) error {
	switch {
	case e == NoSpace && call != Sync:
		return vfs.SystemError(e.errno(), sqlite3.FULL)
	case e == Forbidden && call != Sync && call != Open:
		return vfs.SystemError(e.errno(), sqlite3.READONLY)
	}
	codes := map[Call]sqlite3.ExtendedErrorCode{
		Read:   sqlite3.IOERR_READ,
		Write:  sqlite3.IOERR_WRITE,
		Resize: sqlite3.IOERR_TRUNCATE,
		Sync:   sqlite3.IOERR_FSYNC,
		Delete: sqlite3.IOERR_DELETE,
	}
	if code, ok := codes[call]; ok {
		return vfs.SystemError(e.errno(), code)
	}
	return vfs.SystemError(e.errno(), sqlite3.CANTOPEN)
}

// Fault is a rule in force.
type Fault struct {
	disk *Disk
	rule Rule
	seen int
	hits int
	hit  chan struct{}
}

// Inject puts a rule in force. Of several that fit a call, the oldest decides.
func (d *Disk) Inject(r Rule) *Fault {
	f := &Fault{disk: d, rule: r, hit: make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = append(d.faults, f)
	d.injured.Store(true)
	return f
}

// Lift ends the fault.
func (f *Fault) Lift() {
	d := f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = slices.DeleteFunc(d.faults, func(g *Fault) bool { return g == f })
	d.injured.Store(len(d.faults) > 0)
}

// Hits returns how many calls have failed.
func (f *Fault) Hits() int {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.hits
}

// Hit returns a channel that is closed when the first call fails.
func (f *Fault) Hit() <-chan struct{} { return f.hit }

// strike reports whether a call fails by the rule.
func (f *Fault) strike(u use, grows bool) bool {
	if f.rule.Files&u.file == 0 || f.rule.Calls&u.call == 0 || f.rule.Growing && !grows {
		return false
	}
	f.seen++
	if f.seen <= f.rule.After || f.rule.Times > 0 && f.hits == f.rule.Times {
		return false
	}
	if f.hits++; f.hits == 1 {
		close(f.hit)
	}
	return true
}

// call counts a call, and returns the rule that makes it fail, or nil. The disk's mu
// is held.
func (d *Disk) call(file Kind, call Call, grows bool) *Rule {
	if call != Read {
		d.step()
	}
	u := use{file, call}
	d.counts[u]++
	for _, f := range d.faults {
		if f.strike(u, grows) {
			return &f.rule
		}
	}
	return nil
}
