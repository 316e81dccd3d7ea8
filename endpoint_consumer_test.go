package inproq

import (
	"context"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/internal/dispatch"
	"github.com/inproq/inproq/store"
)

func internalBroker(t *testing.T) *Broker {
	t.Helper()
	b, err := NewBroker(Config{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Shutdown(context.Background())) })
	return b
}

// Two records say the same of a consumer if it is the same one with the same settings,
// whatever code has declared.
func TestEndpointComparesConsumers(t *testing.T) {
	c := consumerRecord{ID: "1", Kind: HTTPPull, Settings: consumerSettings{MaxRetries: 3}}
	declared, other, changed := c, c, c
	declared.Declared = &consumerSettings{MaxRetries: 3}
	other.ID = "2"
	changed.Settings.MaxRetries = 4
	for _, x := range []struct {
		a, b *consumerRecord
		same bool
	}{
		{nil, nil, true}, {&c, nil, false}, {nil, &c, false}, {&c, &c, true},
		{&c, &declared, true}, {&c, &other, false}, {&c, &changed, false},
	} {
		p, q := policy{consumer: x.a}, policy{consumer: x.b}
		assert.Equal(t, x.same, p.consumedAs(&q), "%+v, %+v", x.a, x.b)
	}
}

// Who waits for messages is disturbed when the record says something else of the
// consumer, all who wait, and not for anything else that changes.
func TestEndpointDisturbsOnlyForItsConsumer(t *testing.T) {
	ep := internalBroker(t).endpoint("q")
	r := newRecord("q", QueueConfig{})
	r.Consumer = newConsumerRecord(HTTPPull, "", consumerSettings{MaxRetries: 3})
	r.Revision = 1
	ep.follow(r)
	first, second := ep.consumerStays(), ep.consumerStays()

	r = r.copyForTest()
	r.Revision, r.DeliveryDelay = 2, time.Minute
	ep.follow(r)
	require.NoError(t, first.Err())
	require.NoError(t, second.Err())

	r = r.copyForTest()
	r.Revision, r.Consumer.Settings.MaxRetries = 3, 4
	ep.follow(r)
	require.Error(t, first.Err())
	require.Error(t, second.Err())
	third := ep.consumerStays()
	require.NoError(t, third.Err(), "who comes after the change waits for the next")
	ep.disturb()
	require.Error(t, third.Err())
}

// copyForTest copies a record with its consumer.
func (r *record) copyForTest() *record {
	x, c := *r, *r.Consumer
	x.Consumer = &c
	return &x
}

// A consumer that leaves takes no other one's place along.
func TestEndpointKeepsASuccessor(t *testing.T) {
	ep := internalBroker(t).endpoint("q")
	before, after := new(Consumer), new(Consumer)
	require.NoError(t, ep.setConsumer(before))
	ep.dropConsumer(before)
	require.NoError(t, ep.setConsumer(after))
	ep.dropConsumer(before)
	assert.Same(t, after, ep.current())
	ep.dropConsumer(after)
	assert.Nil(t, ep.current())
}

// What retention has deleted stays counted and billed when the queue is made anew.
func TestEndpointKeepsTheExpiredOfADeletedQueue(t *testing.T) {
	ep := internalBroker(t).endpoint("q")
	r := newRecord("q", QueueConfig{})
	r.Revision = 1
	ep.follow(r)
	check := func(count, ops uint64) {
		t.Helper()
		n, o := ep.expiry.totals()
		assert.Equal(t, count, n)
		assert.Equal(t, ops, o)
	}
	ep.noteStats(&store.Stats{Expired: 2, ExpiredBytes: 10 * dispatch.OpSize})
	check(2, 10)
	ep.noteStats(&store.Stats{Expired: -1, ExpiredBytes: -1})
	check(2, 10) // a store that cannot say changes nothing
	ep.noteStats(&store.Stats{Expired: 1})
	check(2, 10) // an answer that is out of date neither

	ep.follow(&record{Queue: store.Queue{Name: "q", Deleted: true, Revision: 2}})
	check(2, 10)
	r = newRecord("q", QueueConfig{})
	r.Revision = 3
	ep.follow(r)
	ep.noteStats(&store.Stats{Expired: 1, ExpiredBytes: 1})
	check(3, 11)
}

// A type is forgotten with its queue, unless the queue that has come in its place was
// followed by yet another record.
func TestEndpointForgetsTheTypeOfItsOwnQueueOnly(t *testing.T) {
	ep := internalBroker(t).endpoint("q")
	old, successor, newest := new(policy), new(policy), new(policy)
	require.NoError(t, ep.bind(reflect.TypeFor[string](), false))
	ep.policy.Store(newest)
	ep.forget(old, successor)
	require.ErrorIs(t, ep.agree(reflect.TypeFor[int](), false), ErrTypeMismatch)
	ep.policy.Store(successor)
	ep.forget(old, successor)
	require.NoError(t, ep.agree(reflect.TypeFor[int](), false))
}

// Leases of a queue without a consumer are settled by settings that lose nothing.
func TestLeasesWithoutAConsumerAreNeverSpent(t *testing.T) {
	assert.Equal(t, math.MaxInt32, new(record).settleSettings().MaxRetries)
}

// A shutdown that has begun lets no turn begin.
func TestShutdownLetsNoTurnBegin(t *testing.T) {
	b := new(Broker)
	for phase, may := range map[int32]bool{open: true, running: true, draining: false, closed: false} {
		b.phase.Store(phase)
		assert.Equal(t, may, b.beginTurn(), "phase %d", phase)
	}
	assert.Equal(t, 2, b.turns)
}

// What is not known of a queue is no reason to be silent.
func TestRetriesByDefaultOfUnknownQueues(t *testing.T) {
	b := internalBroker(t)
	assert.False(t, b.retriesByDefault("never"))
	_, err := b.CreateQueue(t.Context(), "bare", QueueConfig{})
	require.NoError(t, err)
	assert.False(t, b.retriesByDefault("bare"))
}
