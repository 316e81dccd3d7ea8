package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store/sqlite"
)

var inproqSQLiteContestant = Contestant{
	Name:    "inproq on SQLite",
	Modules: []string{"github.com/inproq/inproq", "github.com/inproq/inproq/store/sqlite", "modernc.org/sqlite"},
	How:     "As inproq, with a store in a file, opened with its defaults.",
	Promises: Promises{
		IDs: "UUIDv7", Acks: "per message", Retries: "counted, with backoff", Delays: "to 12 h, to 10 ms",
		DeadLetters: "yes", Order: "best effort", Survives: "also loss of power",
	},
	Delays:  true,
	Durable: true,
	Open:    opener(openInproqSQLite),
}

type inproqSQLite struct {
	*inproqQueue[[]byte]
	store *sqlite.Store
	dir   string
}

func openInproqSQLite(s Setup) (*inproqSQLite, error) {
	dir, err := os.MkdirTemp("", "inproq")
	if err != nil {
		return nil, err
	}
	store, err := sqlite.Open(filepath.Join(dir, "queue.db"), sqlite.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	q, err := newInproq[[]byte](s, 100, inproq.Config{Store: store})
	if err != nil {
		return nil, errors.Join(err, store.Close(), os.RemoveAll(dir))
	}
	return &inproqSQLite{q, store, dir}, nil
}

func (q *inproqSQLite) files() string { return q.dir }

func (q *inproqSQLite) Close() error {
	return errors.Join(q.inproqQueue.Close(), q.store.Close(), os.RemoveAll(q.dir))
}
