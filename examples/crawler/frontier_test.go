package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

func TestFrontierForgetsWhatWasRemoved(t *testing.T) {
	f := newFrontier(time.Hour)
	require.True(t, f.add("a"))
	require.True(t, f.add("b"))
	assert.False(t, f.add("a"))
	f.remove("a")
	assert.Empty(t, f.idle, "b is not finished")
	assert.True(t, f.add("a"))
	f.finish("a")
	f.finish("b")
	f.finish("b") // it was delivered twice
	assert.Len(t, f.idle, 1)
	assert.False(t, f.add("b"), "finished, but within the hour")
}

// A page that is retried for longer than an hour is queued once all the same.
func TestFrontierKeepsWhatIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFrontier(time.Hour)
		require.True(t, f.add("a"))
		time.Sleep(2 * time.Hour)
		assert.False(t, f.add("a"))
		f.finish("a")
		assert.True(t, f.add("a"))
		assert.Len(t, f.oldest, 1, "what is forgotten takes no room")
	})
}

// The hour counts anew from the time at which a removed URL was added again.
func TestFrontierCountsFromTheLastAdd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFrontier(time.Hour)
		require.True(t, f.add("a"))
		f.remove("a")
		time.Sleep(30 * time.Minute)
		require.True(t, f.add("a"))
		f.finish("a")
		time.Sleep(time.Hour - 1)
		assert.False(t, f.add("a"))
		time.Sleep(1)
		assert.True(t, f.add("a"))
	})
}

// A link that could not be sent is not taken for queued: the next attempt of its
// page sends it.
func TestLinkThatCouldNotBeSent(t *testing.T) {
	c, _ := newTestCrawler(t, newSite())
	var err error
	c.robots, err = fetchRobots(t.Context(), c.client, c.home)
	require.NoError(t, err)
	require.NoError(t, c.broker.Shutdown(t.Context()))
	for range 2 {
		assert.ErrorIs(t, c.enqueue(t.Context(), c.home), inproq.ErrBrokerClosed)
	}
	assert.Empty(t, c.results)
}
