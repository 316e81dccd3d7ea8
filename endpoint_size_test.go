package inproq

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
)

// What every queue of a broker takes, used or not: these are size classes of the
// allocator. BenchmarkIdleQueue has the sum.
func TestSizesOfAnIdleQueue(t *testing.T) {
	assert.LessOrEqual(t, unsafe.Sizeof(endpoint{}), uintptr(128), "endpoint")
	assert.LessOrEqual(t, unsafe.Sizeof(policy{}), uintptr(64), "policy")
	assert.LessOrEqual(t, unsafe.Sizeof(record{}), uintptr(208), "record")
}
