package faulttest

import (
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/sqlite"
)

// usual are the options of a store on the operating system's files.
var usual = sqlite.Options{Logger: slog.New(slog.DiscardHandler)}

// on returns the options of a store on a disk.
func on(d *Disk, path string) sqlite.Options {
	opts := usual
	opts.Connector, opts.Log = d.Connector(path), d.Handle(path+"-wal")
	return opts
}

// outage is a use of a store that ends with a loss of power.
type outage struct {
	seed    uint64
	calls   int  // of the disk until then, once the queues exist
	size    int  // of bodies, at most
	shared  bool // another connection makes checkpoints too
	unsafe  bool // the disk is not waited for by commits
	unsound bool // nor by checkpoints
}

// happen uses the database in dir, which books say what is in, and returns what is left
// of it, and what was known then.
func (o outage) happen(t testing.TB, dir string, books *ledger) (Image, *ledger) {
	t.Helper()
	d := NewDisk(o.seed, time.Duration(o.seed%4)*50*time.Microsecond)
	path := filepath.Join(dir, "queue.db")
	opts := on(d, path)
	if o.unsafe {
		opts.Log = unsyncedLog{opts.Log}
	}
	if o.unsound {
		opts.Connector = Rewritten(opts.Connector, unsynced)
	}
	s := open(t, path, opts)
	create(t, s, books)
	l := &load{s: s, books: books, size: o.size}
	if o.shared {
		l.log = connect(t, opts.Connector, "PRAGMA synchronous=FULL", "PRAGMA wal_autocheckpoint=0")
	}

	var known *ledger
	images := d.CrashAfter(o.calls, o.seed, func() { known = books.copy() })
	l.start(o.seed)
	var img Image
	select {
	case img = <-images:
	case <-l.stop: // an error, which end reports
	}
	l.end(t)
	if o.shared {
		require.NoError(t, l.log.Close())
	}
	require.NoError(t, s.Close())
	d.Close() // unless the test has failed: then the store is closed first
	return img, known
}

func open(t testing.TB, path string, opts sqlite.Options) store.Store {
	t.Helper()
	s, err := sqlite.Open(path, opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() }) // again, or after a failure
	return s
}

// create makes the queues that are not there.
func create(t testing.TB, s store.Store, books *ledger) {
	t.Helper()
	for _, name := range queues {
		if _, err := s.PutQueue(t.Context(), store.Queue{Name: name}); err != nil {
			require.ErrorIs(t, err, store.ErrConflict)
		}
		books.create(name)
	}
}

// survivors opens what is left in dir and compares it with what was known.
func survivors(t testing.TB, dir string, known *ledger, opts sqlite.Options) (found map[store.ID]finding, wrong []string, err error) {
	t.Helper()
	path := filepath.Join(dir, "queue.db")
	s, err := sqlite.Open(path, opts)
	if err != nil {
		return nil, nil, err
	}
	found, missing, wrong, err := inspect(s)
	if err := s.Close(); err != nil {
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, err
	}
	db := connect(t, Plain(path))
	defer func() { assert.NoError(t, db.Close()) }()
	var verdict string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil {
		return nil, nil, err
	}
	if verdict != "ok" {
		wrong = append(wrong, "integrity_check: "+verdict)
	}
	return found, append(wrong, known.audit(found, missing)...), nil
}

// scratchDir returns a new directory with an image. It is removed at once when the test goes
// on, as there are many.
func scratchDir(t testing.TB, img Image) string {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "")
	require.NoError(t, err)
	require.NoError(t, img.WriteTo(dir))
	return dir
}

// rounds returns how many rounds of so many are run.
func rounds(all uint64) uint64 { return (all + thin - 1) / thin }

// TestPowerLoss loses the power again and again, and each time goes on with what is left.
func TestPowerLoss(t *testing.T) {
	chains, links := rounds(18), uint64(6)
	if testing.Short() {
		chains = 2
	}
	total, confirmed := 0, 0
	for chain := range chains {
		chance := rand.New(rand.NewPCG(chain, 1))
		img, books := Image{}, newLedger()
		for link := range links {
			o := outage{seed: chain<<16 | link, calls: 1 + chance.IntN(800), size: 2000, shared: chance.IntN(2) == 0}
			var known *ledger
			img, known = o.happen(t, scratchDir(t, img), books)
			dir, opts := scratchDir(t, img), usual
			if chance.IntN(3) > 0 {
				opts.Connector = Plain(filepath.Join(dir, "queue.db"))
			}
			found, wrong, err := survivors(t, dir, known, opts)
			require.NoError(t, err, "%+v", o)
			require.Empty(t, wrong, "%+v", o)
			total, confirmed = total+len(found), confirmed+known.confirms
			books = adopt(found)
		}
	}
	t.Logf("%d confirmations, %d messages found", confirmed, total)
}

// TestPowerLossInCheckpoints lets the log get so long that the store copies it.
func TestPowerLossInCheckpoints(t *testing.T) {
	for seed := range rounds(4) {
		chance := rand.New(rand.NewPCG(seed, 2))
		o := outage{seed: seed, calls: 8000 + chance.IntN(5000), size: 100_000}
		img, known := o.happen(t, scratchDir(t, nil), newLedger())
		_, wrong, err := survivors(t, scratchDir(t, img), known, usual)
		require.NoError(t, err, "%+v", o)
		require.Empty(t, wrong, "%+v", o)
	}
}

var synchronous = regexp.MustCompile(`(?i)(synchronous\s*=\s*)(full|normal|extra|[123])\b`)

// unsynced makes a statement of one that makes SQLite sync.
func unsynced(sql string) string { return synchronous.ReplaceAllString(sql, "${1}OFF") }

// unsyncedLog is one that says it is on the disk, and does nothing for it.
type unsyncedLog struct{ sqlite.Log }

func (unsyncedLog) Sync() error { return nil }

// TestUnsyncedStore shows that these tests find what is lost: where the disk is not waited
// for, they do soon.
func TestUnsyncedStore(t *testing.T) {
	require.Equal(t, "PRAGMA synchronous = OFF", unsynced("PRAGMA synchronous = Full"))
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "queue.db"), usual)
	create(t, s, newLedger()) // safely
	require.NoError(t, s.Close())
	empty, err := os.ReadFile(filepath.Join(dir, "queue.db"))
	require.NoError(t, err)

	for name, o := range map[string]outage{
		"Nothing":     {unsafe: true, unsound: true, shared: true},
		"Commits":     {unsafe: true}, // each checkpoint would sync them
		"Checkpoints": {unsound: true, shared: true},
	} {
		t.Run(name, func(t *testing.T) {
			for o.seed = range 30 {
				o.calls, o.size = 200+int(o.seed)*20, 2000
				img, known := o.happen(t, scratchDir(t, Image{"queue.db": empty}), newLedger())
				_, wrong, err := survivors(t, scratchDir(t, img), known, usual)
				if err != nil || len(wrong) > 0 {
					t.Logf("round %d: %v, %d complaints: %s", o.seed, err, len(wrong), strings.Join(wrong[:min(len(wrong), 1)], ""))
					return
				}
			}
			t.Error("nothing was lost")
		})
	}
}
