package inproq_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/memory"
)

// A failingStore is one that can be made to fail for good.
type failingStore struct {
	store.Store
	fail      func(error)
	forgotten int
}

func (s *failingStore) OnFailure(f func(error)) func() {
	s.fail = f
	return func() { s.forgotten++ }
}

func TestEventOfAStoreThatFails(t *testing.T) { synctest.Test(t, eventOfAStoreThatFails) }

func eventOfAStoreThatFails(t *testing.T) {
	s := &failingStore{Store: memory.New()}
	defer s.Close()
	b, err := inproq.NewBroker(inproq.Config{Store: s})
	require.NoError(t, err)
	events := eventsOf(t, b, inproq.EventStoreFailed)
	reason := errors.New("the disk has not confirmed a write")
	s.fail(reason)
	require.NoError(t, b.Shutdown(t.Context()))
	lines := events.lines()
	require.Len(t, lines, 1)
	assert.Equal(t, inproq.EventStoreFailed, lines[0].Kind)
	assert.Equal(t, reason.Error(), lines[0].Err)
	assert.Equal(t, 1, s.forgotten, "a broker that is closed wants to hear nothing")
}
