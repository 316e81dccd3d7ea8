package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/sqlite"
)

// appDB opens a file as an application does that also has a table of its own in it.
func appDB(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate&_pragma=busy_timeout(5000)")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.Exec("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT)")
	require.NoError(t, err)
	return db
}

// A shop is a broker on a store, whose file is the application's database too.
type shop struct {
	path   string
	store  *sqlite.Store
	broker *inproq.Broker
	orders *inproq.Queue[string]
	db     *sql.DB
}

func newShop(t *testing.T, opts sqlite.Options) *shop {
	t.Helper()
	p := &shop{path: filepath.Join(t.TempDir(), "shop.db")}
	p.db = appDB(t, p.path)
	var err error
	p.store, err = sqlite.Open(p.path, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.store.Close()) })
	p.broker, err = inproq.NewBroker(inproq.Config{Store: p.store})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.broker.Shutdown(context.Background())) })
	p.orders, err = inproq.Declare[string](t.Context(), p.broker, "orders", inproq.QueueConfig{})
	require.NoError(t, err)
	return p
}

func (p *shop) begin(t *testing.T) *sql.Tx {
	t.Helper()
	tx, err := p.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	return tx
}

// lease waits for a message of the queue.
func (p *shop) lease(t *testing.T) []store.Delivery {
	t.Helper()
	got, err := p.store.Lease(t.Context(), "orders", store.Claim{Max: 100, Wait: 10 * time.Second, Visibility: time.Minute}, nil)
	require.NoError(t, err)
	return got
}

// count is how many messages the store says the queue has, once its committer has looked at
// the file.
func (p *shop) count(t *testing.T) int64 {
	t.Helper()
	// A change of another queue goes through the committer, and waits for the file.
	_, err := p.store.PutQueue(t.Context(), store.Queue{Name: fmt.Sprint("barrier-", time.Now().UnixNano())})
	require.NoError(t, err)
	st, err := p.store.Stats(t.Context(), "orders")
	require.NoError(t, err)
	return st.Messages
}

func TestSendInATransactionThatCommits(t *testing.T) {
	p := newShop(t, sqlite.Options{})
	tx := p.begin(t)
	_, err := tx.Exec("INSERT INTO orders(item) VALUES ('a book')")
	require.NoError(t, err)
	_, err = p.orders.In(tx).Send(t.Context(), "a book", inproq.Header("Customer", "ada"))
	require.NoError(t, err)
	_, err = p.orders.In(tx).SendBatch(t.Context(), inproq.Bodies("a pen", "a lamp"))
	require.NoError(t, err)
	st, err := p.store.Stats(t.Context(), "orders")
	require.NoError(t, err)
	assert.Zero(t, st.Messages, "before the commit nobody sees them")
	require.NoError(t, tx.Commit())
	var bodies []string
	for len(bodies) < 3 {
		for _, d := range p.lease(t) {
			bodies = append(bodies, string(d.Body))
			assert.Equal(t, 1, d.Attempts)
		}
	}
	assert.Equal(t, []string{`"a book"`, `"a pen"`, `"a lamp"`}, bodies)
	st, err = p.store.Stats(t.Context(), "orders")
	require.NoError(t, err)
	assert.Equal(t, int64(3), st.Messages)
	assert.Equal(t, int64(len(`"a book""a pen""a lamp"`)), st.Bytes)
}

func TestSendInATransactionThatIsRolledBack(t *testing.T) {
	p := newShop(t, sqlite.Options{})
	tx := p.begin(t)
	_, err := p.orders.In(tx).Send(t.Context(), "a book")
	require.NoError(t, err)
	require.NoError(t, tx.Rollback())
	assert.Zero(t, p.count(t))
	_, err = p.orders.Send(t.Context(), "a pen")
	require.NoError(t, err)
	got := p.lease(t)
	require.Len(t, got, 1)
	assert.Equal(t, `"a pen"`, string(got[0].Body))
}

func TestAWaitingConsumerLearnsOfTheCommit(t *testing.T) {
	p := newShop(t, sqlite.Options{})
	got := make(chan []store.Delivery, 1)
	waiting := make(chan struct{})
	go func() {
		close(waiting)
		ds, _ := p.store.Lease(context.Background(), "orders", store.Claim{Wait: 10 * time.Second, Visibility: time.Minute}, nil)
		got <- ds
	}()
	<-waiting
	tx := p.begin(t)
	_, err := p.orders.In(tx).Send(t.Context(), "a book")
	require.NoError(t, err)
	require.NoError(t, tx.Commit())
	assert.Len(t, <-got, 1)
}

func TestDelaysInATransaction(t *testing.T) {
	p := newShop(t, sqlite.Options{})
	const delay = 300 * time.Millisecond
	tx := p.begin(t)
	sent := time.Now()
	_, err := p.orders.In(tx).Send(t.Context(), "later", inproq.Delay(time.Hour))
	require.NoError(t, err)
	_, err = p.orders.In(tx).Send(t.Context(), "soon", inproq.Delay(time.Second))
	require.NoError(t, err)
	require.NoError(t, p.store.EnqueueTx(t.Context(), tx, "orders", []store.Message{{ID: store.ID{1}, Body: []byte("very soon"), ContentType: "text", Delay: delay}}))
	require.NoError(t, tx.Commit())
	got := p.lease(t)
	require.Len(t, got, 1)
	assert.Equal(t, "very soon", string(got[0].Body))
	assert.GreaterOrEqual(t, time.Since(sent), delay)
	assert.Equal(t, int64(3), p.count(t))
	st, err := p.store.Stats(t.Context(), "orders")
	require.NoError(t, err)
	assert.LessOrEqual(t, st.Delayed, int64(2))
	assert.GreaterOrEqual(t, st.Delayed, int64(1))
}

func TestSendOnAConnection(t *testing.T) {
	p := newShop(t, sqlite.Options{})
	conn, err := p.db.Conn(t.Context())
	require.NoError(t, err)
	closing(t, conn)
	// Without a transaction it is one by itself.
	_, err = p.orders.In(conn).Send(t.Context(), "a book")
	require.NoError(t, err)
	require.Len(t, p.lease(t), 1)
	// With one it is part of that.
	_, err = conn.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	require.NoError(t, err)
	_, err = p.orders.In(conn).Send(t.Context(), "a pen")
	require.NoError(t, err)
	_, err = conn.ExecContext(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	assert.Equal(t, int64(1), p.count(t))
}

func TestAMixOfTransactionsAndSends(t *testing.T) {
	p := newShop(t, sqlite.Options{})
	const each = 20
	want := map[string]bool{}
	for i := range each {
		for _, kind := range []string{"sent", "committed", "left"} {
			body := fmt.Sprint(kind, i)
			switch kind {
			case "sent":
				_, err := p.orders.Send(t.Context(), body)
				require.NoError(t, err)
				want[`"`+body+`"`] = true
			case "committed":
				tx := p.begin(t)
				_, err := p.orders.In(tx).Send(t.Context(), body)
				require.NoError(t, err)
				require.NoError(t, tx.Commit())
				want[`"`+body+`"`] = true
			default:
				tx := p.begin(t)
				_, err := p.orders.In(tx).Send(t.Context(), body)
				require.NoError(t, err)
				require.NoError(t, tx.Rollback())
			}
		}
	}
	assert.Equal(t, int64(2*each), p.count(t))
	got := map[string]bool{}
	for len(got) < 2*each {
		for _, d := range p.lease(t) {
			assert.False(t, got[string(d.Body)], "%s came twice", d.Body)
			got[string(d.Body)] = true
		}
	}
	assert.Equal(t, want, got)
}

func TestAFailedSendLeavesTheTransactionAsItWas(t *testing.T) {
	p := newShop(t, sqlite.Options{})
	tx := p.begin(t)
	_, err := tx.Exec("INSERT INTO orders(item) VALUES ('a book')")
	require.NoError(t, err)
	require.ErrorIs(t, p.store.EnqueueTx(t.Context(), tx, "unknown", []store.Message{{Body: []byte("x")}}), store.ErrQueueNotFound)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, p.store.EnqueueTx(ctx, tx, "orders", []store.Message{{Body: []byte("x")}}), context.Canceled)
	require.NoError(t, tx.Commit())
	var n int
	require.NoError(t, p.db.QueryRow("SELECT count(*) FROM orders").Scan(&n))
	assert.Equal(t, 1, n)
	assert.Zero(t, p.count(t))
}

func TestATransactionOnAnotherFile(t *testing.T) {
	p := newShop(t, sqlite.Options{})
	other := appDB(t, filepath.Join(t.TempDir(), "other.db"))
	tx, err := other.Begin()
	require.NoError(t, err)
	_, err = p.orders.In(tx).Send(t.Context(), "a book")
	require.ErrorContains(t, err, "not on the store's file")
	require.NoError(t, tx.Rollback())

	q := newShop(t, sqlite.Options{}) // another store has the same tables
	tx = q.begin(t)
	_, err = p.orders.In(tx).Send(t.Context(), "a book")
	require.ErrorContains(t, err, "that of another store")
	require.NoError(t, tx.Rollback())

	_, err = p.orders.In("no transaction").Send(t.Context(), "a book")
	require.ErrorContains(t, err, "string")
}

// A transaction that stays open keeps other writers waiting, up to BusyTimeout. Nothing
// of theirs is lost or doubled.
func TestAStalledTransaction(t *testing.T) {
	p := newShop(t, sqlite.Options{BusyTimeout: 200 * time.Millisecond})
	tx := p.begin(t)
	_, err := p.orders.In(tx).Send(t.Context(), "in the transaction")
	require.NoError(t, err)

	start := time.Now()
	_, err = p.orders.Send(t.Context(), "too late")
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.ErrorContains(t, err, "another transaction holds the file")
	assert.GreaterOrEqual(t, time.Since(start), 200*time.Millisecond)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = p.orders.Send(ctx, "impatient")
	require.ErrorIs(t, err, context.DeadlineExceeded)

	require.NoError(t, tx.Commit())
	_, err = p.orders.Send(t.Context(), "after it")
	require.NoError(t, err)
	assert.Equal(t, int64(2), p.count(t))
}

func TestCloseDuringATransaction(t *testing.T) {
	p := newShop(t, sqlite.Options{})
	tx := p.begin(t)
	_, err := p.orders.In(tx).Send(t.Context(), "a book")
	require.NoError(t, err)
	require.NoError(t, p.store.Close(), "nobody waits for the transaction")
	require.NoError(t, tx.Commit())
	again, err := sqlite.Open(p.path, sqlite.Options{})
	require.NoError(t, err)
	closing(t, again)
	st, err := again.Stats(t.Context(), "orders")
	require.NoError(t, err)
	assert.Equal(t, int64(1), st.Messages)
}

// One that has read before others wrote cannot write any more: SQLite says so, and we
// how to avoid it.
func TestATransactionThatHasReadBefore(t *testing.T) {
	p := newShop(t, sqlite.Options{})
	conn, err := p.db.Conn(t.Context())
	require.NoError(t, err)
	closing(t, conn)
	_, err = conn.ExecContext(t.Context(), "BEGIN") // not IMMEDIATE
	require.NoError(t, err)
	var n int
	require.NoError(t, conn.QueryRowContext(t.Context(), "SELECT count(*) FROM orders").Scan(&n))
	_, err = p.orders.Send(t.Context(), "from somebody else")
	require.NoError(t, err)
	_, err = p.orders.In(conn).Send(t.Context(), "a book")
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.ErrorContains(t, err, "BEGIN IMMEDIATE")
	_, err = conn.ExecContext(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	assert.Equal(t, int64(1), p.count(t))
}
