package sqlite_test

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/inproq/inproq/store"
)

var background = context.Background()

// An entry of the journal is about one call of a child to its store. There are two of
// each: one before the call is made and one after it has returned. So whatever moment
// the child is killed at, the parent knows what was confirmed, and what may or may not
// have been done.
type entry struct {
	Call   int // the same in both
	Done   bool
	At     int64 // on the child's clock: before the call, or after it
	What   what
	Queue  string
	Short  bool // a lease may run out while the child works
	Notes  []note
	Lost   []int // of a settle
	Ended  bool  // a lease that returned nothing since its context ended
	Record store.Queue
	Text   string
}

type what uint8

const (
	callReady what = iota + 1 // the store is open
	callSend
	callLease
	callSettle
	callPurge
	callPut
	callDrop
	callFailed // something that must not happen, in Text
)

// A note is about one message of a call.
type note struct {
	ID       string
	Delay    time.Duration
	Verb     store.Verb
	Lease    store.Lease
	Attempts int
	Sent     int64
}

// A journal writes entries to the parent. Each is in the pipe, where it outlives the process,
// before begin returns, or what that has returned.
type journal struct {
	clock clock
	mu    sync.Mutex
	enc   *gob.Encoder
	calls int
}

func newJournal(w io.Writer) *journal { return &journal{clock: newClock(), enc: gob.NewEncoder(w)} }

// begin writes that a call is about to be made. What it returns writes that it has returned.
func (j *journal) begin(e entry) (done func(entry)) {
	e.At = j.clock.now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calls++
	e.Call = j.calls
	j.write(&e)
	return func(d entry) {
		d.At = j.clock.now()
		d.Call, d.What, d.Queue, d.Short, d.Done = e.Call, e.What, e.Queue, e.Short, true
		j.mu.Lock()
		defer j.mu.Unlock()
		j.write(&d)
	}
}

// fail ends the child. The caller must not hold mu.
func (j *journal) fail(format string, args ...any) {
	j.mu.Lock()
	j.write(&entry{What: callFailed, Text: fmt.Sprintf(format, args...)})
	os.Exit(2)
}

func (j *journal) write(e *entry) {
	if err := j.enc.Encode(e); err != nil {
		os.Exit(3) // the parent is gone
	}
}

// readJournal reads all entries of a child, until it has died. The last one may be cut
// off: it was not written before its call then, so that was not made, or after it, so
// that is not confirmed.
func readJournal(r io.Reader, each func(entry)) error {
	dec := gob.NewDecoder(r)
	for {
		var e entry
		switch err := dec.Decode(&e); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		}
		each(e)
	}
}

// A clock is read as the store reads its own: the system's time when it was made, plus
// what has passed since on the monotonic clock.
type clock struct{ epoch time.Time }

func newClock() clock { return clock{time.Now()} }

func (c clock) now() int64 { return c.epoch.UnixNano() + int64(time.Since(c.epoch)) }
