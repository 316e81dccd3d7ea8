package inproq

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sentNote() *note { return &note{Event: Event{Kind: EventSent}} }

// Only what somebody wants is wanted: readers and taps that are gone, and a hub that is
// closed, want nothing.
func TestHubWantsWhatIsRead(t *testing.T) {
	var h hub
	require.False(t, h.wants(allKinds))
	a, b := h.subscribe(bitSent), h.subscribe(bitSent|bitAcked)
	stop := h.tapInto(func(*note) {})
	assert.True(t, h.wants(bitPurged), "a tap wants all")
	stop()
	assert.False(t, h.wants(bitPurged))
	h.unsubscribe(b)
	assert.True(t, h.wants(bitSent))
	assert.False(t, h.wants(bitAcked))
	h.unsubscribe(a)
	assert.False(t, h.wants(allKinds))

	h.subscribe(bitSent)
	h.close()
	assert.False(t, h.wants(allKinds))
	assert.Empty(t, h.readers, "held no longer")
	h.subscribe(bitSent)
	assert.Empty(t, h.readers)
}

// A tap that was stopped hears nothing any more.
func TestHubTapsStop(t *testing.T) {
	var h hub
	first, second := 0, 0
	stop := h.tapInto(func(*note) { first++ })
	h.tapInto(func(*note) { second++ })
	h.tell(sentNote())
	stop()
	h.tell(sentNote())
	assert.Equal(t, []int{1, 2}, []int{first, second})
}

// Those who are being told do not notice who comes and goes meanwhile.
func TestHubReplacesItsReaders(t *testing.T) {
	var h hub
	a, b := h.subscribe(bitSent), h.subscribe(bitSent)
	before := h.readers
	h.unsubscribe(a)
	h.subscribe(bitSent)
	require.Len(t, before, 2)
	assert.Same(t, a, before[0])
	assert.Same(t, b, before[1])
}

// A reader that waits, and was never told anything, ends with the hub.
func TestHubEndsAReaderThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h hub
		r := h.subscribe(bitSent)
		done := make(chan bool, 1)
		var waiting sync.WaitGroup
		defer waiting.Wait()
		waiting.Go(func() {
			_, _, ok := r.take(t.Context(), nil)
			done <- ok
		})
		synctest.Wait()
		h.close()
		assert.False(t, <-done)
	})
}

// A reader that has ended keeps nothing more, and what was lost is told once.
func TestHubReaderEndsAndLosesOnce(t *testing.T) {
	var h hub
	r := h.subscribe(bitSent)
	for range readerRoom + 3 {
		h.tell(sentNote())
	}
	events, lost, ok := r.take(t.Context(), nil)
	require.True(t, ok)
	require.Len(t, events, readerRoom)
	require.EqualValues(t, 3, lost)
	h.tell(sentNote())
	h.unsubscribe(r)
	r.put(Event{})
	events, lost, ok = r.take(t.Context(), nil)
	require.True(t, ok, "what came before the end")
	assert.Len(t, events, 1)
	assert.Zero(t, lost)
	_, _, ok = r.take(t.Context(), nil)
	assert.False(t, ok)
}
