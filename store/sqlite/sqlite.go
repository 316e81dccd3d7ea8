// Package sqlite is the durable store: queues in a file of SQLite, which outlive the
// process and the power.
//
//	s, err := sqlite.Open("queues.db", sqlite.Options{})
//	…
//	broker, err := inproq.NewBroker(inproq.Config{Store: s})
//
// It uses modernc.org/sqlite, which is Go throughout, so there is nothing to install
// and no cgo.
//
// # What is promised
//
// A Send that returned nil is on the disk: it survives the death of the process and,
// with a disk that does what it says, a loss of power. So do acknowledgements, retries,
// moves to a dead-letter queue, and settings. That a message was delivered, which
// counts as an attempt, is written before the handler sees it, but the disk is not
// waited for: it survives the death of the process, and a loss of power may forget the
// last ones.
//
// One process uses a file; a second one gets an error. Where producers and consumers
// are different processes, one of them opens the file and the others go through it.
//
// # How it works
//
// Each queue has a table. Messages are appended to it, each with the next number, and
// stay where they are; that they are leased, to whom, and which come next, is in
// memory. So is which delayed messages are due within the current five minutes; all
// others, and all bodies, are only in the file.
//
//	Send ──▶ pending ─▶ committer: one transaction for all ─▶ fsync ─▶ Send returns
//	Settle ─▶   "                                                      Settle returns
//	Lease ──▶ read from the file ─▶ committer: "seen up to here", no fsync ─▶ Lease returns
//
// The committer is the one goroutine that writes. It is there while there is something
// to write. What comes while it waits for the disk goes into the next transaction, so
// with many senders a wait for the disk serves many of them.
//
// The write-ahead log is copied into the file beside the commits, which wait for the
// last part of it only.
//
// # Transactions of the application
//
// The file may be the application's own. Then a send can be part of a transaction of
// the application, begun with database/sql on the same file, see [Store.EnqueueTx].
// SQLite has one writer at a time: while that transaction is open, other sends and
// settlements wait. Begin it with BEGIN IMMEDIATE and a busy timeout (modernc:
// _txlock=immediate&_pragma=busy_timeout(5000)), and keep it short.
//
// # Looking into it
//
// The sqlite3 shell may read the file at any time; see the README of this package for
// the tables and some queries. Nobody but the store may write to its tables.
//
// # Costs
//
// With a disk that takes 0.5 ms for an fdatasync, one sender waits 0.7 ms; the more there
// are, the less each message costs, to about 4 µs in batches of 100. A waiting message
// takes its body and 50 to 60 bytes of the file, and nothing of memory; one that is
// leased some 150 bytes, one that waits in line after a retry 32. The file does not
// shrink: what is free is used again. Purge and DeleteQueue take time in proportion to
// the backlog, 0.1 to 0.3 s for a million messages, during which nothing else is
// written. Messages past their retention leave the file when their queue is next used.
//
// Time is the process's monotonic clock, from the moment of Open: after the machine was
// suspended or its clock was set, times of new messages are off by as much.
package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"

	"github.com/inproq/inproq/store"
)

// Options of a Store. The zero value is a good choice.
type Options struct {
	// Logger is told what no call can return: that the store accepts no writes any
	// more, and why. Nil: slog.Default().
	Logger *slog.Logger
	// BusyTimeout is how long a call waits for a transaction of the application, or of
	// another process, that holds the file; then it fails with store.ErrUnavailable. Zero:
	// 10 seconds. Negative: until the call's context ends.
	BusyTimeout time.Duration
	// Connector opens connections to the file, with a driver for SQLite of another
	// make, or with a file system of its own. Nil: modernc.org/sqlite. The path is then used
	// for the lock alone.
	Connector driver.Connector
	// Log is the write-ahead log, with a Connector whose files are not those beside
	// path. The store closes it. Nil: the file at path + "-wal".
	Log Log
}

const defaultBusyTimeout = 10 * time.Second

// Store is a [store.Store] in a file. Open makes one.
type Store struct {
	path      string
	logger    *slog.Logger
	busy      time.Duration // negative: without end
	connector driver.Connector
	log       Log
	lock      *flock.Flock
	id        string    // of the file
	epoch     time.Time // with a monotonic reading
	unix      int64     // the same in nanoseconds since 1970
	readers   readers
	records   records

	mu       sync.Mutex
	pending  []op
	careful  int         // of pending, to be tried one by one
	foreign  bool        // a transaction of the application's may have ended
	running  bool        // there is a committer
	closed   atomic.Bool // changed under mu: nothing new is accepted
	closing  sync.Once
	closeErr error
	broken   error          // why nothing is written any more
	tell     []*func(error) // of that, see OnFailure
	work     sync.WaitGroup // the committer, who waits for the disk, and a checkpoint

	unconfirmed []op // committed; the disk has not said so yet
	confirming  bool // somebody waits for it to
	released    int  // callers, the last time that it has

	// The committer's.
	w       *conn
	version int64 // data_version when it last looked
	sends   int64 // of transactions of the application, as far as they are in memory
	wal     checkpoints
}

var (
	_ store.Store      = (*Store)(nil)
	_ store.TxEnqueuer = (*Store)(nil)
	_ store.Reporter   = (*Store)(nil)
)

// timerGrain covers the wake-up, and reading a bucket.
const timerGrain = 10 * time.Millisecond

// Guarantee says that sends survive a loss of power.
func (s *Store) Guarantee() store.Guarantee {
	return store.Guarantee{
		Survives:   store.PowerLoss,
		Fenced:     true,
		AtomicMove: true,
		TimerGrain: timerGrain,
	}
}

// Open opens the file at path, and creates it if there is none. The directory must
// exist. Beside the file there will be two others while it is open, with -wal and -shm
// at the end of their names, and an empty one with -lock.
//
// Errors: that another process, or another Store, has it open; that it is of a newer
// version; that it is no file of SQLite, or damaged.
func Open(path string, opts Options) (*Store, error) {
	path, err := resolve(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	s := &Store{
		path:      path,
		logger:    opts.Logger,
		busy:      opts.BusyTimeout,
		connector: opts.Connector,
		log:       opts.Log,
		lock:      flock.New(path + "-lock"),
		epoch:     time.Now(),
		readers:   newReaders(),
	}
	if s.logger == nil {
		s.logger = slog.Default()
	}
	if s.busy == 0 {
		s.busy = defaultBusyTimeout
	}
	s.unix = s.epoch.UnixNano()
	if s.connector == nil {
		s.connector = newConnector(path)
	}
	locked, err := s.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("sqlite: the lock of %s: %w", path, err)
	}
	if !locked {
		return nil, fmt.Errorf("sqlite: %s is in use by another process, or another Store in this one", path)
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: %s: %w", filepath.Base(path), err), s.release())
	}
	return s, nil
}

// resolve finds the file behind links, as SQLite does: it has one name, and one lock.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	found, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path)) // a new file
	return filepath.Join(dir, filepath.Base(path)), err
}

// writerSetup is what the writing connection begins with. The page size holds for a new
// file only; checkpoints are made beside, see checkpoint.go.
var writerSetup = []string{
	"PRAGMA page_size=8192",
	"PRAGMA busy_timeout=5000", // for the beginning: another connection may be about to end
	"PRAGMA journal_mode=WAL",
	"PRAGMA busy_timeout=0",     // who waits, and how long, is decided in commit.go
	"PRAGMA synchronous=NORMAL", // see confirm.go
	"PRAGMA wal_autocheckpoint=0",
	"PRAGMA cache_size=-65536",
	"PRAGMA temp_store=MEMORY",
	"CREATE TEMP TABLE " + asideTable + " (seq INTEGER PRIMARY KEY, sent, content_type, id, body, headers, due, attempts, since)",
}

func (s *Store) open() (err error) {
	if s.w, err = s.connect(writerSetup...); err != nil {
		return err
	}
	mode := ""
	err = s.w.query("PRAGMA journal_mode", nil, func(row []driver.Value) bool {
		mode = text(row[0])
		return false
	})
	if err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("the journal mode is %q and does not change to WAL: %w", mode, store.ErrReadOnly)
	}
	if err := s.trustLog(); err != nil {
		return err
	}
	if s.id, err = migrate(s.w, migrations); err != nil {
		return err
	}
	if err := s.loadRecords(); err != nil {
		return err
	}
	if s.sends, err = s.w.number("SELECT value FROM inproq_store WHERE key = 'sends'"); err != nil {
		return err
	}
	s.version, err = s.w.number("PRAGMA data_version")
	return err
}

// release closes connections and gives the lock back.
func (s *Store) release() (err error) {
	err = errors.Join(s.readers.close(), s.wal.close())
	if s.log != nil {
		err = errors.Join(err, s.log.Close())
	}
	// The last connection makes a checkpoint and removes the log. When a write was not
	// confirmed, nobody may do that: then the connection stays, and with it the log, which
	// is written again when the file is opened.
	if s.w != nil && s.usable() == nil {
		err = errors.Join(err, explain(s.w.close()))
	}
	return errors.Join(err, s.lock.Unlock())
}

// Close ends blocked calls with store.ErrClosed, waits for those that are about to be
// written, and closes the file. What is in the write-ahead log is copied into the file.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.mu.Lock()
		s.closed.Store(true)
		s.mu.Unlock()
		s.work.Wait()
		s.endQueues()
		s.closeErr = s.release()
	})
	return s.closeErr
}

// now is the time in nanoseconds since 1970, as monotonic as the process's clock.
func (s *Store) now() int64 { return s.unix + int64(time.Since(s.epoch)) }

// queue finds a queue for a call with ctx.
func (s *Store) queue(ctx context.Context, name string) (*queue, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.records.find(name)
}
