package faulttest

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNamesComeAndGoInOrder(t *testing.T) {
	d := newDirectory()
	old := d.create("log")
	d.settle()
	d.create("journal")
	d.remove("log")
	d.remove("never there")
	fresh := d.create("log")
	require.Len(t, d.pending, 3)

	names := func(count int) []string { return slices.Sorted(maps.Keys(d.after(count))) }
	assert.Equal(t, []string{"log"}, names(0))
	assert.Equal(t, []string{"journal", "log"}, names(1))
	assert.Equal(t, []string{"journal"}, names(2))
	assert.Equal(t, []string{"journal", "log"}, names(3))
	assert.Same(t, old, d.after(1)["log"])
	assert.Same(t, fresh, d.after(3)["log"])
	assert.Same(t, fresh, d.live["log"])
	d.settle()
	assert.Equal(t, d.live, d.durable)
}

// left returns the ends of the names that crashes of a disk have left.
func left(d *Disk, path string) map[string]bool {
	all := map[string]bool{}
	for seed := range uint64(40) {
		var ends []string
		for name := range d.Crash(seed) {
			ends = append(ends, strings.TrimPrefix(name, path))
		}
		slices.Sort(ends)
		all[strings.Join(ends, ",")] = true
	}
	return all
}

func TestNamesOfADatabase(t *testing.T) {
	d, path := newDisk(t, 0)
	db := connect(t, d.Connector(path), "PRAGMA synchronous=OFF", "PRAGMA journal_mode=WAL", "CREATE TABLE a (n)")
	assert.True(t, left(d, path)[""], "nothing was synced, so there may be nothing: %v", left(d, path))
	execute(t, db, "PRAGMA synchronous=FULL")
	execute(t, db, "INSERT INTO a VALUES (1)")
	assert.Equal(t, map[string]bool{",-wal": true}, left(d, path), "a commit has synced the log and with it the directory")
	assert.FileExists(t, path+"-shm")

	require.NoError(t, db.Close())
	assert.NoFileExists(t, path+"-wal")
	assert.Equal(t, map[string]bool{",-wal": true, "": true}, left(d, path), "the end of the log was not synced")
}

func TestDatabaseThatWasThereBefore(t *testing.T) {
	before, path := newDisk(t, 0)
	db := connect(t, before.Connector(path), "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE a (n)", "INSERT INTO a VALUES (1)")
	img := before.Crash(1)
	require.NoError(t, db.Close())

	after, _ := newDisk(t, 0)
	path = restore(t, img)
	db = connect(t, after.Connector(path), "PRAGMA synchronous=FULL", "INSERT INTO a VALUES (2)")
	assert.Equal(t, 2, value[int](t, recovered(t, after.Crash(1)), "SELECT count(*) FROM a"))
	require.NoError(t, db.Close())
}

func TestImageIntoNoDirectory(t *testing.T) {
	err := Image{"a/queue.db": nil}.WriteTo(t.TempDir() + "/none")
	require.ErrorIs(t, err, os.ErrNotExist)
}
