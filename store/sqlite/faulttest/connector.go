package faulttest

import (
	"context"
	"database/sql/driver"
	"fmt"
	"net/url"

	sqlitedriver "github.com/ncruces/go-sqlite3/driver"
)

// Connector returns a source of connections to the database at path, on the disk.
func (d *Disk) Connector(path string) driver.Connector { return newConnector(path, d.name) }

// Plain returns a source of connections to a database of the operating system's.
func Plain(path string) driver.Connector { return newConnector(path, "os") }

func newConnector(path, filesystem string) driver.Connector {
	source := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"vfs": {filesystem}}.Encode()}
	return &connector{source: source.String()}
}

// connector opens connections of a driver that is linked with the disk.
type connector struct {
	source  string
	rewrite func(sql string) string
}

// Rewritten returns a connector like c whose connections change every statement
// before it is prepared. Only connectors of this package can do that.
func Rewritten(c driver.Connector, rewrite func(sql string) string) driver.Connector {
	return &connector{source: c.(*connector).source, rewrite: rewrite}
}

// Connect opens a connection.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.driver().OpenConnector(c.source)
	if err != nil {
		return nil, fmt.Errorf("faulttest: data source %q: %w", c.source, err)
	}
	conn, err := inner.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("faulttest: connecting: %w", err)
	}
	return &connection{Conn: conn.(sqlitedriver.Conn), rewrite: c.rewrite}, nil
}

// Driver returns the driver underneath.
func (c *connector) Driver() driver.Driver { return c.driver() }

func (*connector) driver() *sqlitedriver.SQLite { return &sqlitedriver.SQLite{} }

// connection is one whose statements may be changed.
type connection struct {
	sqlitedriver.Conn
	rewrite func(sql string) string
}

var _ sqlitedriver.Conn = (*connection)(nil)

// Prepare prepares a statement.
func (c *connection) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// PrepareContext prepares a statement.
func (c *connection) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if c.rewrite != nil {
		query = c.rewrite(query)
	}
	return c.Conn.PrepareContext(ctx, query)
}
