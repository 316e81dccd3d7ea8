package inproq

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/memory"
)

// A record that cannot be read is an error whenever it is asked for, and for no other
// queue, until somebody puts it right.
func TestMalformedRecord(t *testing.T) {
	s := memory.New()
	defer func() { assert.NoError(t, s.Close()) }()
	fine, err := newRecord("fine", QueueConfig{}).pack()
	require.NoError(t, err)
	_, err = s.PutQueue(t.Context(), fine)
	require.NoError(t, err)
	broken, err := s.PutQueue(t.Context(), store.Queue{Name: "broken", Settings: []byte("{")})
	require.NoError(t, err)

	b, err := NewBroker(Config{Store: s})
	require.NoError(t, err)
	defer func() { assert.NoError(t, b.Shutdown(t.Context())) }()
	for range 2 {
		_, err = b.Queue(t.Context(), "broken")
		require.ErrorContains(t, err, `"broken": settings in the store are malformed`)
	}
	assert.Nil(t, b.catalog.known("broken"))
	assert.Equal(t, broken.Revision, b.catalog.revision("broken"))
	_, err = b.catalog.list(t.Context())
	require.ErrorContains(t, err, "malformed")
	_, err = b.Queue(t.Context(), "fine")
	require.NoError(t, err)

	repaired, err := newRecord("broken", QueueConfig{}).pack()
	require.NoError(t, err)
	repaired.Revision = broken.Revision
	_, err = s.PutQueue(t.Context(), repaired)
	require.NoError(t, err)
	_, err = b.Queue(t.Context(), "broken")
	require.NoError(t, err)
	all, err := b.catalog.list(t.Context())
	require.NoError(t, err)
	assert.Len(t, all, 2)
}

// One record serves the catalog, the endpoint and the consumer.
func TestEndpointSharesTheRecordOfTheCatalog(t *testing.T) {
	b := internalBroker(t)
	q, err := Declare[string](t.Context(), b, "q", QueueConfig{})
	require.NoError(t, err)
	assert.Same(t, b.catalog.known("q"), q.ep.currentPolicy().record)
	assert.Nil(t, b.catalog.known("q").Queue.Settings, "they were taken apart")
	_ = b.Stats("q")
	assert.Nil(t, q.ep.consumed.Load(), "who only looks makes nothing")
}

// What changes a clone does not change the record.
func TestRecordAndItsClone(t *testing.T) {
	r := newRecord("q", QueueConfig{})
	r.declare(QueueConfig{ContentType: Text})
	r.Annotations = map[string]string{"a": "b"}
	require.NoError(t, r.declareConsumer(Worker, "w", consumerSettings{MaxRetries: 1}))
	before, err := r.pack()
	require.NoError(t, err)

	c := r.clone()
	assert.True(t, c.equal(r))
	c.declare(QueueConfig{ContentType: JSON})
	c.Annotations["a"] = "c"
	c.needLeaseKey()
	require.NoError(t, c.declareConsumer(Worker, "w", consumerSettings{MaxRetries: 2}))
	assert.False(t, c.equal(r))
	after, err := r.pack()
	require.NoError(t, err)
	assert.Equal(t, string(before.Settings), string(after.Settings))
}
