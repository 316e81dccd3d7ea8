package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net/url"
	"path/filepath"
	"slices"

	modernc "modernc.org/sqlite"
)

// A conn is one connection to the file, with the statements that it has prepared. One
// goroutine uses it at a time.
//
// It speaks to the driver below package database/sql: there is no pool to go through,
// a statement is prepared once, and arguments are not converted.
type conn struct {
	dc     driver.Conn
	stmts  map[string]driver.Stmt
	args   []driver.NamedValue // used again
	row    []driver.Value      // used again
	shared bool                // the driver uses the memory of blobs again
}

// maxStmts bounds the prepared statements of a connection: with very many queues the
// memory for them, a few KB each, would outweigh what they save.
const maxStmts = 2000

// connector opens connections with modernc.org/sqlite.
type connector struct {
	dsn string
}

func newConnector(path string) connector {
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path)}
	return connector{u.String()}
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.Driver().Open(c.dsn) }

func (c connector) Driver() driver.Driver { return new(modernc.Driver) }

// connect opens a connection and sets it up.
func (s *Store) connect(setup ...string) (*conn, error) {
	dc, err := s.connector.Connect(context.Background())
	if err != nil {
		return nil, explain(err)
	}
	_, own := s.connector.(connector)
	c := &conn{dc: dc, stmts: map[string]driver.Stmt{}, shared: !own}
	for _, q := range setup {
		if err := c.run(q); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	return c, nil
}

func (c *conn) close() error {
	c.forget()
	return c.dc.Close()
}

// forget closes all prepared statements.
func (c *conn) forget() {
	for _, st := range c.stmts {
		_ = st.Close() // it says again how the last run went
	}
	clear(c.stmts)
}

// forgetSome closes some of the prepared statements, whichever.
func (c *conn) forgetSome() {
	for q, st := range c.stmts {
		_ = st.Close()
		delete(c.stmts, q)
		if len(c.stmts) <= maxStmts*7/8 {
			return
		}
	}
}

func (c *conn) prepare(q string) (driver.Stmt, error) {
	if st, ok := c.stmts[q]; ok {
		return st, nil
	}
	if len(c.stmts) >= maxStmts {
		c.forgetSome()
	}
	st, err := c.dc.Prepare(q)
	if err != nil {
		return nil, explain(err)
	}
	c.stmts[q] = st
	return st, nil
}

// run executes a statement that is not worth keeping.
func (c *conn) run(q string) error {
	st, err := c.dc.Prepare(q)
	if err != nil {
		return explain(err)
	}
	_, err = st.(driver.StmtExecContext).ExecContext(context.Background(), nil)
	return explain(errors.Join(err, st.Close()))
}

// exec executes a statement.
func (c *conn) exec(q string, args ...driver.Value) error {
	c.args = c.args[:0]
	for _, v := range args {
		c.bind(v)
	}
	return c.execBound(q)
}

// bind adds an argument for execBound.
func (c *conn) bind(v driver.Value) {
	c.args = append(c.args, driver.NamedValue{Ordinal: len(c.args) + 1, Value: v})
}

// execBound executes a statement with the arguments that were bound.
func (c *conn) execBound(q string) error {
	st, err := c.prepare(q)
	if err != nil {
		return err
	}
	_, err = st.(driver.StmtExecContext).ExecContext(context.Background(), c.args)
	clear(c.args) // they hold bodies
	c.args = c.args[:0]
	return explain(err)
}

// query runs a query and calls each with every row, until that returns false. A row is
// valid during the call; what bytes makes of a value is for good.
func (c *conn) query(q string, args []driver.Value, each func(row []driver.Value) bool) (err error) {
	st, err := c.prepare(q)
	if err != nil {
		return err
	}
	c.args = c.args[:0]
	for _, v := range args {
		c.bind(v)
	}
	rows, err := st.(driver.StmtQueryContext).QueryContext(context.Background(), c.args)
	clear(c.args)
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, explain(rows.Close())) }()
	n := len(rows.Columns())
	c.row = slices.Grow(c.row[:0], n)[:n]
	for {
		switch err := rows.Next(c.row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return explain(err)
		case !each(c.row):
			return nil
		}
	}
}

// number is query for a single number. Without a row, or for NULL, it is zero.
func (c *conn) number(q string, args ...driver.Value) (n int64, err error) {
	err = c.query(q, args, func(row []driver.Value) bool {
		n = integer(row[0])
		return false
	})
	return n, err
}

// What a column may hold, as Go values.

func integer(v driver.Value) int64 {
	n, _ := v.(int64)
	return n
}

func text(v driver.Value) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}

// bytes returns a blob that belongs to the caller, with cap == len.
func (c *conn) bytes(v driver.Value) []byte {
	switch v := v.(type) {
	case []byte:
		if c.shared {
			v = bytes.Clone(v)
		}
		return slices.Clip(v)
	case string:
		return slices.Clip([]byte(v))
	}
	return nil
}

// readers lends out connections for reading.
type readers struct {
	free chan *conn // as many as there may be; nil: not opened yet
}

// maxReaders is how many may read at once. Each has a page cache of its own.
const maxReaders = 4

func newReaders() readers {
	r := readers{make(chan *conn, maxReaders)}
	for range maxReaders {
		r.free <- nil
	}
	return r
}

// read calls f with a connection that sees all that was committed before.
func (s *Store) read(ctx context.Context, f func(c *conn) error) (err error) {
	var c *conn
	select {
	case c = <-s.readers.free:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() {
		s.readers.free <- c
		s.note(err)
	}()
	if c == nil {
		if s.closed.Load() {
			return errClosed
		}
		if c, err = s.connect("PRAGMA busy_timeout=5000", "PRAGMA query_only=1", "PRAGMA cache_size=-2000"); err != nil {
			return err
		}
	}
	return f(c)
}

// close closes all connections, when nobody reads any more.
func (r *readers) close() (err error) {
	for range maxReaders {
		if c := <-r.free; c != nil {
			err = errors.Join(err, c.close())
		}
	}
	for range maxReaders {
		r.free <- nil // who comes late finds the store closed
	}
	return err
}

// quote makes an identifier of a name.
func quote(name string) string { return `"` + name + `"` }
