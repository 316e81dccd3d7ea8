package main

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newLog opens a log that the test ends with.
func newLog(t *testing.T, committed func([]logged)) (*groupLog, string) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := openGroupLog(path, committed)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.close() })
	return l, path
}

// replay reads a log as one would after a crash: up to the zeros, or to a record that is
// not whole. It returns the messages that nobody has acknowledged.
func replay(t *testing.T, path string) map[[16]byte]string {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	pending := map[[16]byte]string{}
	for len(text) >= recordHeader {
		n := int(binary.LittleEndian.Uint32(text))
		if n < recordHeader || n > len(text) || binary.LittleEndian.Uint32(text[4:]) != crc32.Checksum(text[8:n], castagnoli) {
			break
		}
		id := [16]byte(text[9:recordHeader])
		switch text[8] {
		case messageKind:
			pending[id] = string(text[recordHeader:n])
		case ackKind:
			assert.Contains(t, pending, id)
			delete(pending, id)
		}
		text = text[n:]
	}
	return pending
}

func numberedID(n int) (id [16]byte) {
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

// What append has returned for is in the file, and was announced before.
func TestGroupLog(t *testing.T) {
	const senders, sends = 16, 20
	var mu sync.Mutex
	announced := map[[16]byte]bool{}
	l, path := newLog(t, func(messages []logged) {
		mu.Lock()
		defer mu.Unlock()
		for _, m := range messages {
			announced[m.id] = true
		}
	})
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for i := range sends {
				m := logged{numberedID(s*sends + i), numbered(i, 8+i)}
				assert.NoError(t, l.append([]logged{m}, nil))
				mu.Lock()
				assert.True(t, announced[m.id])
				mu.Unlock()
				if i%2 == 0 {
					assert.NoError(t, l.append(nil, []logged{m}))
				}
			}
		})
	}
	all.Wait()
	want := map[[16]byte]string{}
	for s := range senders {
		for i := 1; i < sends; i += 2 {
			want[numberedID(s*sends+i)] = string(numbered(i, 8+i))
		}
	}
	assert.Equal(t, want, replay(t, path))
}

// Several messages and acknowledgements are one record each.
func TestGroupLogBatches(t *testing.T) {
	l, path := newLog(t, func([]logged) {})
	batch := []logged{{numberedID(1), []byte("one")}, {numberedID(2), nil}, {numberedID(3), []byte("three")}}
	require.NoError(t, l.append(batch, nil))
	require.NoError(t, l.append(nil, batch[:2]))
	assert.Equal(t, map[[16]byte]string{numberedID(3): "three"}, replay(t, path))
}

// A commit waits for as many as the last one had, but not for long.
func TestGroupLogAwaitsItsCohort(t *testing.T) {
	l := &groupLog{}
	l.waiting.Store(3)
	l.awaitCohort(3)
	began := time.Now()
	l.awaitCohort(4)
	assert.GreaterOrEqual(t, time.Since(began), cohort)
}

// After a write that failed nothing more is accepted: what is on the disk is unknown.
func TestGroupLogFails(t *testing.T) {
	l, _ := newLog(t, func([]logged) { assert.Fail(t, "a message that is not on the disk is announced") })
	require.NoError(t, l.file.Close())
	m := []logged{{numberedID(1), []byte("one")}}
	require.ErrorIs(t, l.append(m, nil), os.ErrClosed)
	require.ErrorIs(t, l.append(m, nil), os.ErrClosed)
}

func TestGroupLogIsClosed(t *testing.T) {
	l, _ := newLog(t, func([]logged) {})
	require.NoError(t, l.close())
	assert.ErrorIs(t, l.append([]logged{{numberedID(1), nil}}, nil), errLogClosed)
}
