package main

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"sync"
)

// Who does not flush is several times as fast, and nothing but a witness would show it.
// There are two: the kernel, who knows what the disk does not have yet, is asked about
// every durable contestant; and SQLite about each connection that this program opens.

// A diskQueue is a queue whose files can be looked at.
type diskQueue interface {
	Queue[[]byte]
	// files is the directory with all of them.
	files() string
}

// witnessed adds to a sample what was found out about how durable its contestant is.
func witnessed(c Contestant, measure func() (Sample, error)) (Sample, error) {
	found, err := inspect(c)
	if err != nil {
		return nil, err
	}
	sample, err := measure()
	if err != nil {
		return nil, err
	}
	maps.Copy(sample, found)
	return sample, nil
}

// inspect looks after each of some sends whether the disk has everything; nobody else
// uses that queue. Where the kernel does not tell, "unwritten" is missing.
func inspect(c Contestant) (_ Sample, err error) {
	opened, err := c.Open(Setup{Handlers: 1, Producers: 1})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	q, ok := opened.(diskQueue)
	if !ok {
		return nil, errors.New("it does not say where its files are")
	}
	found := Sample{}
	for range 3 {
		if err := q.Send(context.Background(), []byte{1}); err != nil {
			return nil, err
		}
		pages, err := unwritten(q.files())
		if errors.Is(err, errors.ErrUnsupported) {
			break
		}
		if err != nil {
			return nil, err
		}
		if pages > 0 {
			return nil, fmt.Errorf("it is not durable: when Send had returned, the disk did not have %d pages of its files", pages)
		}
		found["unwritten"] = 0
	}
	if w, ok := opened.(interface{ durability() durability }); ok {
		found["synchronous"] = float64(w.durability().synchronous)
	}
	return found, nil
}

// durability is what a connection to SQLite says about itself.
type durability struct {
	synchronous int64
	journal     string
}

// full is PRAGMA synchronous of a connection whose commits are flushed; in WAL mode the
// next lower one, NORMAL, flushes at checkpoints only.
const full = 2

func (d durability) enough() error {
	if d.synchronous < full || d.journal != "wal" {
		return fmt.Errorf("a connection is not durable: synchronous is %d, journal_mode %q", d.synchronous, d.journal)
	}
	return nil
}

// ask reads back what a connection has.
func ask(ctx context.Context, c driver.Conn) (d durability, err error) {
	synchronous, err := pragma(ctx, c, "synchronous")
	if err != nil {
		return d, err
	}
	journal, err := pragma(ctx, c, "journal_mode")
	if err != nil {
		return d, err
	}
	d.synchronous, _ = synchronous.(int64)
	d.journal, _ = journal.(string)
	return d, nil
}

func pragma(ctx context.Context, c driver.Conn, name string) (driver.Value, error) {
	rows, err := c.(driver.QueryerContext).QueryContext(ctx, "PRAGMA "+name, nil)
	if err != nil {
		return nil, err
	}
	value := make([]driver.Value, 1)
	err = errors.Join(rows.Next(value), rows.Close())
	return value[0], err
}

// A witness asks each connection that it opens, and refuses one that would lose what it
// has accepted.
type witness struct {
	driver.Connector

	mu   sync.Mutex
	last durability
}

func (w *witness) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := w.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	d, err := ask(ctx, c)
	if err == nil {
		err = d.enough()
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = d
	return c, nil
}

func (w *witness) durability() durability {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}
