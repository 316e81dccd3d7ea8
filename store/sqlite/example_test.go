package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store/sqlite"
)

// A program is stopped and started again: what it has sent is there.
func ExampleOpen() {
	ctx := context.Background()
	dir := inproq.Must(os.MkdirTemp("", "example"))
	defer func() { _ = os.RemoveAll(dir) }()

	start := func(handle func(broker *inproq.Broker, emails *inproq.Queue[string])) {
		store := inproq.Must(sqlite.Open(filepath.Join(dir, "queues.db"), sqlite.Options{}))
		defer store.Close()
		broker := inproq.Must(inproq.NewBroker(inproq.Config{Store: store}))
		emails := inproq.Must(inproq.Declare[string](ctx, broker, "emails", inproq.QueueConfig{}))
		handle(broker, emails)
		_ = broker.Shutdown(ctx)
	}
	start(func(_ *inproq.Broker, emails *inproq.Queue[string]) {
		inproq.Must(emails.SendBatch(ctx, inproq.Bodies("ada@example.org", "alan@example.org")))
		fmt.Println("sent")
	})
	start(func(broker *inproq.Broker, _ *inproq.Queue[string]) {
		for _, m := range inproq.Must(broker.Peek(ctx, "emails", 10)) {
			fmt.Println(string(m.Body))
		}
	})
	// Output:
	// sent
	// "ada@example.org"
	// "alan@example.org"
}

// An order and its message are written by one transaction: both are there, or none.
func ExampleStore_EnqueueTx() {
	ctx := context.Background()
	dir := inproq.Must(os.MkdirTemp("", "example"))
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "shop.db")

	db := inproq.Must(sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(5000)"))
	defer db.Close()
	inproq.Must(db.Exec("CREATE TABLE orders (item TEXT)"))
	store := inproq.Must(sqlite.Open(file, sqlite.Options{}))
	defer store.Close()
	broker := inproq.Must(inproq.NewBroker(inproq.Config{Store: store}))
	orders := inproq.Must(inproq.Declare[string](ctx, broker, "orders", inproq.QueueConfig{}))

	place := func(item string, end func(tx *sql.Tx) error) {
		tx := inproq.Must(db.BeginTx(ctx, nil))
		inproq.Must(tx.ExecContext(ctx, "INSERT INTO orders VALUES (?)", item))
		inproq.Must(orders.In(tx).Send(ctx, item))
		if err := end(tx); err != nil {
			panic(err)
		}
	}
	place("a book", (*sql.Tx).Commit)
	place("a pen", (*sql.Tx).Rollback)
	inproq.Must(orders.Send(ctx, "a lamp"))
	for _, m := range inproq.Must(broker.Peek(ctx, "orders", 10)) {
		fmt.Println(string(m.Body))
	}
	_ = broker.Shutdown(ctx)
	// Output:
	// "a book"
	// "a lamp"
}
