package main

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A groupLog is one file that several goroutines append to at once: whoever calls append
// waits until its records would outlive a loss of power, and one goroutine makes all that
// have come meanwhile so with one write and one flush. No store that keeps its promise on
// the same disk does less for a message.
//
// Its file begins with a reserve of zeros, as databases keep for their logs: to flush
// blocks that are there already is faster than to flush a file that grows.
type groupLog struct {
	file *os.File
	end  int64 // of what is written; the committer's own
	// committed is told of the messages of each group, before their senders are.
	committed func([]logged)

	mu      sync.Mutex
	pending *group
	closed  bool
	failed  error // ends the log: what a flush that failed has left on the disk is unknown

	waiting   atomic.Int64 // callers of the pending group
	wake      chan struct{}
	committer sync.WaitGroup
}

// logged is a message as it is in the log.
type logged struct {
	id   [16]byte
	body []byte
}

// A group is what one flush is for.
type group struct {
	records  []byte
	messages []logged
	callers  int
	done     chan struct{} // closed when err is known
	err      error
}

// A record is its length, a checksum of what follows, its kind, an id, and, of a message,
// the body.
const (
	recordHeader = 4 + 4 + 1 + 16
	messageKind  = 1
	ackKind      = 2
)

// cohort is how long a commit waits at most for those whom the one before has released.
// They come back at once, but one after the other: without a wait the first of them would
// be a group of their own, and so would the rest, and each had to sit out the other's
// flush.
const cohort = 60 * time.Microsecond

// reserve is the zeros that a log begins with.
const reserve = 32 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errLogClosed = errors.New("the log is closed")

func openGroupLog(path string, committed func([]logged)) (*groupLog, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = file.Write(make([]byte, reserve))
	if err = errors.Join(err, file.Sync()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	l := &groupLog{file: file, committed: committed, pending: newGroup(), wake: make(chan struct{}, 1)}
	l.committer.Go(l.commit)
	return l, nil
}

func newGroup() *group { return &group{done: make(chan struct{})} }

// append returns when messages, and the acknowledgements of others, are on the disk.
func (l *groupLog) append(messages, acks []logged) error {
	l.mu.Lock()
	if err := l.failed; err != nil || l.closed {
		l.mu.Unlock()
		return errors.Join(err, errLogClosed)
	}
	g := l.pending
	for _, m := range messages {
		g.records = appendRecord(g.records, messageKind, m.id, m.body)
	}
	for _, m := range acks {
		g.records = appendRecord(g.records, ackKind, m.id, nil)
	}
	g.messages = append(g.messages, messages...)
	g.callers++
	l.waiting.Store(int64(g.callers))
	l.mu.Unlock()
	l.rouse()
	<-g.done
	return g.err
}

func appendRecord(to []byte, kind byte, id [16]byte, body []byte) []byte {
	begin := len(to)
	to = append(to, 0, 0, 0, 0, 0, 0, 0, 0, kind)
	to = append(to, id[:]...)
	to = append(to, body...)
	record := to[begin:]
	binary.LittleEndian.PutUint32(record, uint32(len(record)))
	binary.LittleEndian.PutUint32(record[4:], crc32.Checksum(record[8:], castagnoli))
	return to
}

func (l *groupLog) rouse() {
	select {
	case l.wake <- struct{}{}:
	default: // the committer will look anyway
	}
}

// commit is the committer: it ends when the log is closed and nobody waits.
func (l *groupLog) commit() {
	for last := 1; ; {
		<-l.wake
		if last > 1 {
			l.awaitCohort(last)
		}
		l.mu.Lock()
		g, closed := l.pending, l.closed
		l.pending = newGroup()
		l.waiting.Store(0)
		l.mu.Unlock()
		if g.callers > 0 {
			l.write(g)
			last = g.callers
		}
		if closed {
			return
		}
	}
}

// awaitCohort returns when as many wait as the last group had, or after a moment. It does
// not sleep: a sleep takes a millisecond on some systems.
func (l *groupLog) awaitCohort(last int) {
	for began := time.Now(); l.waiting.Load() < int64(last) && time.Since(began) < cohort; {
		runtime.Gosched()
	}
}

func (l *groupLog) write(g *group) {
	_, g.err = l.file.WriteAt(g.records, l.end)
	if g.err == nil {
		g.err = flush(l.file)
	}
	if g.err == nil {
		l.end += int64(len(g.records))
		l.committed(g.messages)
	} else {
		l.mu.Lock()
		l.failed = g.err
		l.mu.Unlock()
	}
	close(g.done)
}

// close commits what is pending.
func (l *groupLog) close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.rouse()
	l.committer.Wait()
	return l.file.Close()
}
