package faulttest

import "strings"

// Kind is a set of kinds of files.
type Kind uint8

// The files of a database.
const (
	Database Kind = 1 << iota
	Log           // the write-ahead log
	Journal       // the rollback journal
	AnyFile  = Database | Log | Journal
)

// kindOf tells a file by its name, which SQLite derives from the database's.
func kindOf(path string) Kind {
	switch {
	case strings.HasSuffix(path, "-wal"):
		return Log
	case strings.HasSuffix(path, "-journal"):
		return Journal
	}
	return Database
}

// Call is a set of calls to a file.
type Call uint8

// The calls that can fail.
const (
	Open Call = 1 << iota
	Read
	Write
	Resize // truncation, and what reserves space
	Sync
	Delete
)
