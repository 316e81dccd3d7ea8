package faulttest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestCrashAtEveryCall loses the power before each call that some transactions make, in
// every mode that promises to keep them.
func TestCrashAtEveryCall(t *testing.T) {
	for _, mode := range modes {
		if !mode.durable {
			continue
		}
		t.Run(mode.name, func(t *testing.T) {
			for calls := 1; crashAt(t, mode.settings, calls); calls++ {
			}
		})
	}
}

// crashAt reports whether as many calls were made.
func crashAt(t *testing.T, settings []string, calls int) bool {
	d, path := newDisk(t, 0)
	db := connect(t, d.Connector(path), settings...)
	execute(t, db, "CREATE TABLE a (n INTEGER PRIMARY KEY, body BLOB)")
	confirmed, known := 0, 0
	images := d.CrashAfter(calls, uint64(calls), func() { known = confirmed })
	for n := range 6 {
		execute(t, db, "INSERT INTO a VALUES (?, zeroblob(?))", n, n*3000)
		confirmed++
		if n == 3 {
			execute(t, db, "PRAGMA wal_checkpoint(PASSIVE)")
		}
	}
	assert.NoError(t, db.Close())
	select {
	case img := <-images:
		after := recovered(t, img)
		n := value[int](t, after, "SELECT count(*) FROM a")
		assert.GreaterOrEqual(t, n, known)
		assert.LessOrEqual(t, n, known+1)
		assert.NoError(t, after.Close())
		return true
	default:
		return false
	}
}
