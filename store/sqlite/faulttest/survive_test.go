package faulttest

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
)

// outcomes returns what is left of a file after many crashes, and how often.
func outcomes(durable []byte, pending ...change) map[string]int {
	chance := newChance(7)
	left := map[string]int{}
	for range 500 {
		left[string(survive(bytes.Clone(durable), pending, chance))]++
	}
	return left
}

func filled(char byte, n int) []byte { return bytes.Repeat([]byte{char}, n) }

func TestOverwriteIsTornAtSectors(t *testing.T) {
	// It begins in the middle of a sector and ends in one.
	left := outcomes(filled('a', 4*sector), change{off: 100, data: filled('b', 3*sector)})
	assert.Len(t, left, 16, "the four sectors are independent")
	for content := range left {
		assert.Len(t, content, 4*sector)
		assert.Equal(t, filled('a', 100), []byte(content[:100]), "bytes before the write")
		assert.Equal(t, filled('a', sector-100), []byte(content[3*sector+100:]), "bytes after it")
		for at := sector; at < 3*sector; at += sector {
			assert.Contains(t, []string{string(filled('a', sector)), string(filled('b', sector))}, content[at:at+sector])
		}
	}
}

func TestWritesAreIndependent(t *testing.T) {
	left := outcomes([]byte("--"), change{off: 0, data: []byte("a")}, change{off: 1, data: []byte("b")})
	for _, content := range []string{"--", "a-", "-b", "ab"} {
		assert.NotZero(t, left[content], "%s in %v", content, left)
	}
	assert.Len(t, left, 4)
}

func TestOrderOfWritesToOnePlace(t *testing.T) {
	left := outcomes([]byte("-"), change{data: []byte("a")}, change{data: []byte("b")})
	for _, content := range []string{"-", "a", "b"} {
		assert.NotZero(t, left[content], "%s in %v", content, left)
	}
	assert.Greater(t, left["b"], left["a"], "a stays only where b is dropped")
}

func TestSizesAreIndependentOfData(t *testing.T) {
	left := outcomes([]byte("a"), change{off: 2, data: []byte("b")})
	assert.Len(t, left, 3)
	for _, content := range []string{"a", "a\x00\x00", "a\x00b"} {
		assert.NotZero(t, left[content], "%q in %v", content, left)
	}
	left = outcomes([]byte("abc"), change{off: 1, resize: true}, change{off: 2, resize: true})
	for _, content := range []string{"abc", "a", "ab", "a\x00"} {
		assert.NotZero(t, left[content], "%q in %v", content, left)
	}
}

func TestCrashesOfOneSeedAreEqual(t *testing.T) {
	d, path := newDisk(t, 0)
	db := connect(t, d.Connector(path), "PRAGMA journal_mode=WAL", "PRAGMA synchronous=OFF", "CREATE TABLE a (n)")
	execute(t, db, "INSERT INTO a VALUES (zeroblob(30000))")
	first, again := d.Crash(5), d.Crash(5)
	assert.Equal(t, first, again)
}
