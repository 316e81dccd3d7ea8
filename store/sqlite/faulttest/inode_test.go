package faulttest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSyncCoversWhatWasWrittenBefore(t *testing.T) {
	n := &inode{}
	n.add(change{data: []byte("ab")})
	first := n.last()
	n.add(change{off: 2, data: []byte("c")})
	second := n.last()
	held := n.copy()

	n.settle(first)
	assert.Equal(t, "ab", string(n.durable))
	assert.Len(t, n.pending, 1)
	n.settle(second)
	n.settle(first) // a slow one, begun earlier
	assert.Equal(t, "abc", string(n.durable))
	assert.Empty(t, n.pending)

	assert.Empty(t, held.durable, "a crash has its own copy")
	assert.Len(t, held.pending, 2)
}

func TestFailedSyncForgets(t *testing.T) {
	left := map[string]bool{}
	for seed := range uint64(60) {
		n := &inode{durable: []byte("--")}
		n.add(change{data: []byte("a")})
		n.forget(n.last(), newChance(seed))
		n.add(change{off: 1, data: []byte("b")})
		n.settle(n.last())
		left[string(n.durable)] = true
	}
	assert.Equal(t, map[string]bool{"ab": true, "-b": true}, left, "a later sync brings nothing back")
}

func TestResizing(t *testing.T) {
	content := change{off: 1, resize: true}.apply([]byte("abc"))
	assert.Equal(t, "a", string(content))
	assert.Equal(t, "a\x00\x00d", string(change{off: 3, data: []byte("d")}.apply(content)), "what was cut off does not come back")
}
