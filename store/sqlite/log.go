package sqlite

import (
	"errors"
	"io"
	"os"
)

// Log is the write-ahead log as a file, beside what SQLite does with it.
type Log interface {
	// Sync returns when the disk has everything that was written to the log before.
	Sync() error
	// Rewrite writes to the log what is in it, if there is one. Nobody else writes to
	// it meanwhile.
	Rewrite() error
	io.Closer
}

// A logFile is the log beside the file.
type logFile struct{ *os.File }

func openLog(path string) (Log, error) {
	f, err := os.OpenFile(path+"-wal", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return logFile{f}, nil
}

func (l logFile) Sync() error { return dataSync(l.File) }

func (l logFile) Rewrite() error {
	buf := make([]byte, 1<<20)
	for at := int64(0); ; {
		n, err := l.ReadAt(buf, at)
		if n > 0 {
			if _, err := l.WriteAt(buf[:n], at); err != nil {
				return err
			}
			at += int64(n)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// trustLog makes sure that the disk has the log that a process has left which did not
// close the file. If a write was not confirmed then, the system may show what it has in
// memory, and take it for written: what we append would be behind a hole that is seen
// only after a loss of power. So all of it is written again, while nobody else can
// write.
func (s *Store) trustLog() (err error) {
	if err := s.w.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.w.exec("ROLLBACK")) }()
	if s.log == nil { // from now on there is one
		if s.log, err = openLog(s.path); err != nil {
			return err
		}
	}
	if err := s.log.Rewrite(); err != nil {
		return err
	}
	if err := s.log.Sync(); err != nil {
		return explain(syncError{err})
	}
	return nil
}
