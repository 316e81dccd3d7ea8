package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store/sqlite"
)

// An order is what the queue carries; the rest of it is in the table.
type order struct {
	ID int64 `json:"id"`
}

// A shop has its database, and a queue in the same file.
type shop struct {
	db     *sql.DB
	orders *inproq.Queue[order]
	out    io.Writer
	die    int64  // the order that kills the process
	closed func() // called when all is shipped
}

// runShop opens the shop, takes orders if it is new, and ships until none is left.
func runShop(ctx context.Context, out io.Writer, file string, die int) (err error) {
	// Transactions take the write lock at their beginning, and wait for it.
	db, err := sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	store, err := sqlite.Open(file, sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	broker, err := inproq.NewBroker(inproq.Config{Store: store})
	if err != nil {
		return err
	}
	orders, err := inproq.Declare[order](ctx, broker, "orders", inproq.QueueConfig{})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := &shop{db: db, orders: orders, out: out, die: int64(die), closed: stop}
	if err := s.takeOrders(ctx, "a book", "a pen", "a lamp", "a chair", "a desk"); err != nil {
		return err
	}
	if _, err := orders.Consume(inproq.Each(s.ship), inproq.ConsumerConfig{MaxBatchSize: 1, MaxConcurrency: 1}); err != nil {
		return err
	}
	return broker.Run(ctx)
}

// takeOrders writes each order and its message in one transaction. A shop that has orders
// already takes no more.
func (s *shop) takeOrders(ctx context.Context, items ...string) error {
	if _, err := s.db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT, shipped INTEGER DEFAULT 0)"); err != nil {
		return err
	}
	var n int
	if err := s.db.QueryRowContext(ctx, "SELECT count(*) FROM orders").Scan(&n); err != nil || n > 0 {
		return err
	}
	for _, item := range items {
		if err := s.takeOrder(ctx, item); err != nil {
			return err
		}
	}
	return nil
}

func (s *shop) takeOrder(ctx context.Context, item string) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // unless it was committed
	res, err := tx.ExecContext(ctx, "INSERT INTO orders(item) VALUES (?)", item)
	if err != nil {
		return err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return err
	}
	if _, err := s.orders.In(tx).Send(ctx, order{ID: id}); err != nil {
		return err
	}
	return tx.Commit()
}

// ship ships an order. It may be called twice for one, so it asks the table first.
func (s *shop) ship(ctx context.Context, m *inproq.Message[order]) error {
	if m.Body.ID == s.die {
		return killed()
	}
	var item string
	err := s.db.QueryRowContext(ctx, "UPDATE orders SET shipped = 1 WHERE id = ? AND shipped = 0 RETURNING item", m.Body.ID).Scan(&item)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err == nil {
		if _, err := fmt.Fprintf(s.out, "  shipped %s, attempt %d\n", item, m.Attempts); err != nil {
			return err
		}
	}
	var left int
	if err := s.db.QueryRowContext(ctx, "SELECT count(*) FROM orders WHERE shipped = 0").Scan(&left); err != nil {
		return err
	}
	if left == 0 {
		s.closed()
	}
	return nil
}
