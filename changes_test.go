package inproq_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/memory"
)

func TestChangesAreThoseSinceARevision(t *testing.T) {
	engine := memory.New()
	t.Cleanup(func() { _ = engine.Close() })
	b := inproq.Must(inproq.NewBroker(inproq.Config{Store: engine}))
	other := inproq.Must(inproq.NewBroker(inproq.Config{Store: engine}))
	none, upTo, err := b.Changes(t.Context(), 0)
	require.NoError(t, err)
	assert.Empty(t, none)

	inproq.Must(b.CreateQueue(t.Context(), "a", inproq.QueueConfig{}))
	inproq.Must(other.CreateQueue(t.Context(), "b", inproq.QueueConfig{}))
	list, upTo, err := b.Changes(t.Context(), upTo)
	require.NoError(t, err)
	require.Len(t, list, 2)
	assert.Equal(t, inproq.Must(b.Queue(t.Context(), "a")), list[0].QueueInfo)
	assert.Equal(t, "b", list[1].Name)

	require.NoError(t, other.DeleteQueue(t.Context(), "a"))
	list, upTo, err = b.Changes(t.Context(), upTo)
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.True(t, list[0].Deleted)
	assert.Equal(t, "a", list[0].Name)

	list, again, err := b.Changes(t.Context(), upTo)
	require.NoError(t, err)
	assert.Empty(t, list)
	assert.Equal(t, upTo, again)

	_, err = engine.PutQueue(t.Context(), store.Queue{Name: "odd", Settings: []byte("{")})
	require.NoError(t, err)
	list, _, err = b.Changes(t.Context(), upTo)
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Error(t, list[0].Err)
	assert.False(t, list[0].Deleted)

	require.NoError(t, engine.Close())
	_, _, err = b.Changes(t.Context(), 0)
	assert.ErrorIs(t, err, inproq.ErrBrokerClosed)
}
