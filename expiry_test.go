package inproq

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// In a queue that is older than the broker the count begins with the store's first
// answer, also when that is none.
func TestExpiryCountsFromTheFirstAnswer(t *testing.T) {
	for _, first := range []int64{0, 3} {
		var x expiry
		x.begin(false)
		assert.Zero(t, x.note(-1, -1))
		assert.False(t, x.isKnown(), "a store that cannot say is no answer")
		assert.Zero(t, x.note(first, 10*first))
		assert.True(t, x.isKnown())
		assert.EqualValues(t, 2, x.note(first+2, 10*first+20))
		count, ops := x.totals()
		assert.EqualValues(t, 2, count)
		assert.EqualValues(t, 2, ops)
	}
}

// In one that is younger all count.
func TestExpiryOfAFreshQueueCountsAll(t *testing.T) {
	var x expiry
	x.begin(true)
	assert.True(t, x.isKnown())
	assert.EqualValues(t, 3, x.note(3, 30))
	x.begin(true)
	assert.EqualValues(t, 2, x.note(2, 20))
	count, _ := x.totals()
	assert.EqualValues(t, 5, count)
}
