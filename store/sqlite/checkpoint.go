package sqlite

import (
	"database/sql/driver"
	"errors"
	"sync"
)

// checkpointFrames is how long the write-ahead log gets before it is copied into the
// file: 32 MB of pages. The longer, the more of them are written several times and
// copied once; the shorter, the less there is to read when the file is opened after a
// crash.
const checkpointFrames = 4000

// checkpoints copy the log into the file, on a connection of their own. Most of a checkpoint
// runs beside the commits. But new commits lengthen the log while it runs, and only a
// log that is copied to its end is begun anew; so for the last part, a short one, commits wait.
type checkpoints struct {
	mu      sync.Mutex // held for each round of the committer, and for the last part
	c       *conn      // of the one that runs
	frames  int        // of the log, about; the committer's, and of the one that runs under mu
	running bool       // under mu
}

func (k *checkpoints) hold()    { k.mu.Lock() }
func (k *checkpoints) release() { k.mu.Unlock() }

func (k *checkpoints) close() error {
	if k.c == nil {
		return nil
	}
	return k.c.close()
}

// grown notes what a group has added to the log, and has it copied if it is long. The
// committer calls it, within its round.
func (k *checkpoints) grown(s *Store, g *group) {
	for _, c := range g.touched {
		k.frames += c.frames()
	}
	if k.frames >= checkpointFrames && !k.running {
		k.running = true
		s.work.Go(s.checkpoint)
	}
}

const (
	pageSize    = 8192
	rowOverhead = 64
)

// frames is about how many pages the change has written.
func (c *change) frames() int {
	const rowsOfAPage = 30
	return 2 + c.pages + len(c.removed)/rowsOfAPage + c.bytesAdded/pageSize
}

// checkpoint copies the log into the file.
func (s *Store) checkpoint() {
	k := &s.wal
	if s.usable() != nil {
		return // what the disk has of the log is not known
	}
	log, copied, err := s.copyLog()
	k.hold()
	defer k.release()
	// Once more: SQLite says how long the log was when it began.
	if err == nil && s.usable() == nil {
		log, copied, err = s.copyLog()
	}
	k.running = false
	k.frames = log - copied
	switch {
	case err == nil:
	case isBusy(err):
		k.frames = 0 // somebody else is at it
	default:
		k.frames = 0 // not again at once
		s.note(err)
		s.logger.Warn("the write-ahead log is not copied into the file", "file", s.path, "err", err)
	}
}

// copyLog copies as much as it can without waiting for anybody. It returns the length
// of the log and how much of it is in the file, in frames.
func (s *Store) copyLog() (log, copied int, err error) {
	k := &s.wal
	if k.c == nil {
		if k.c, err = s.connect("PRAGMA busy_timeout=0", "PRAGMA synchronous=FULL", "PRAGMA wal_autocheckpoint=0", "PRAGMA cache_size=-200"); err != nil {
			return 0, 0, err
		}
	}
	busy := false
	err = k.c.query("PRAGMA wal_checkpoint(PASSIVE)", nil, func(row []driver.Value) bool {
		busy, log, copied = integer(row[0]) != 0, int(integer(row[1])), int(integer(row[2]))
		return false
	})
	if err == nil && busy {
		err = &engineError{code: codeBusy, err: errors.New("a checkpoint by another connection")}
	}
	return log, copied, err
}
