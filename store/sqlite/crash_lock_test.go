package sqlite_test

import (
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/sqlite"
)

// crashHolder is a child that has the file open until it is killed.
func crashHolder(path string) error {
	s, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		return err
	}
	if _, err := s.PutQueue(background, store.Queue{Name: "q"}); err != nil {
		return err
	}
	fmt.Println("open")
	select {}
}

// The lock on the file is the system's: it goes with the process, however that ends.
func TestFileOfAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queues.db")
	c := startChild(t, "holder", path, 0)
	open := make([]byte, len("open\n"))
	_, err := io.ReadFull(c.out, open)
	require.NoError(t, err)

	_, err = sqlite.Open(path, sqlite.Options{})
	require.EqualError(t, err, "sqlite: "+path+" is in use by another process, or another Store in this one")

	c.kill()
	_, err = io.Copy(io.Discard, c.out)
	require.NoError(t, err)
	assert.Equal(t, -1, c.wait(), "it was killed")
	c.silent()
	s, err := sqlite.Open(path, sqlite.Options{})
	require.NoError(t, err)
	recs, _, err := s.Queues(t.Context(), 0, 0)
	require.NoError(t, err)
	assert.Len(t, recs, 1)
	require.NoError(t, s.Close())
}
