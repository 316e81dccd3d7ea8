package queuetest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/inproq/inproq"
)

// A deadlineT is a test that ends at a time.
type deadlineT struct {
	testing.TB
	at time.Time // zero: never
}

func (t deadlineT) Deadline() (time.Time, bool) { return t.at, !t.at.IsZero() }

// Drain waits until a second before the test's deadline, but not longer than it would
// without one, and not a negative time.
func TestDrainPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		assert.Equal(t, 59*time.Second, patience(deadlineT{at: time.Now().Add(time.Minute)}))
		assert.Equal(t, drainLimit, patience(deadlineT{at: time.Now().Add(100 * 24 * time.Hour)}))
		assert.Zero(t, patience(deadlineT{at: time.Now().Add(-time.Minute)}))
		assert.Equal(t, drainLimit, patience(deadlineT{}))
		assert.Equal(t, drainLimit, patience(struct{ testing.TB }{}), "a testing.TB without deadlines")
	})
}

// Where the store does not say what it waits for, all that is counted is to be done.
func TestDrainOfAStoreThatDoesNotSayWhatItWaitsFor(t *testing.T) {
	unsaid := inproq.Backlog{Ready: -1, Delayed: -1, Leased: -1}
	counted := func(n int64) inproq.Metrics { return inproq.Metrics{BacklogCount: n} }
	assert.False(t, toDo(unsaid, counted(0), false))
	assert.True(t, toDo(unsaid, counted(1), false))
	assert.False(t, toDo(unsaid, counted(1), true), "paused")
}
