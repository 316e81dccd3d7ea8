package sqlite_test

import (
	"io"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/sqlite"
	"github.com/inproq/inproq/store/storetest"
)

var harness = storetest.Harness{Open: open, Reopen: reopen}

// opened remembers where the stores of a test are.
var opened sync.Map // *sqlite.Store → path

func open(tb testing.TB) store.Store {
	tb.Helper()
	return openAt(tb, filepath.Join(tb.TempDir(), "queues.db"))
}

func openAt(tb testing.TB, path string) store.Store {
	tb.Helper()
	s, err := sqlite.Open(path, sqlite.Options{})
	require.NoError(tb, err)
	opened.Store(s, path)
	return s
}

// closing closes with the test what that has opened.
func closing(tb testing.TB, c io.Closer) {
	tb.Cleanup(func() { require.NoError(tb, c.Close()) })
}

func reopen(tb testing.TB, old store.Store) store.Store {
	tb.Helper()
	path, _ := opened.Load(old)
	require.NoError(tb, old.Close())
	return openAt(tb, path.(string))
}

func TestConformance(t *testing.T) { storetest.Run(t, harness) }

func BenchmarkStore(b *testing.B) { storetest.Benchmark(b, harness) }
