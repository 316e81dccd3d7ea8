package memory

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
)

// The sizes that the documentation states, and that a backlog's memory is made
// of.
func TestSizes(t *testing.T) {
	assert.EqualValues(t, 40, unsafe.Sizeof(slot{}), "slot")
	assert.EqualValues(t, 48, unsafe.Sizeof(entry{}), "entry")
	assert.EqualValues(t, 16, unsafe.Sizeof(returned{}), "place in the ring")
	assert.EqualValues(t, 10240-8, unsafe.Sizeof(chunk{}), "chunk, without the allocator's header")
}

// What a queue that was never used takes beside its settings and its places in the maps.
func TestSizeOfARecord(t *testing.T) {
	assert.EqualValues(t, 80, unsafe.Sizeof(record{}))
}
