package inproq

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/memory"
)

// catalogPair makes two brokers on one store, and a queue of both.
func catalogPair(t *testing.T) (a, b *Broker, q *Queue[string]) {
	st := memory.New()
	brokers := make([]*Broker, 2)
	for i := range brokers {
		var err error
		brokers[i], err = NewBroker(Config{Store: st})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, brokers[i].Shutdown(context.Background())) })
	}
	t.Cleanup(func() { assert.NoError(t, st.Close()) })
	q, err := Declare[string](t.Context(), brokers[1], "q", QueueConfig{})
	require.NoError(t, err)
	return brokers[0], brokers[1], q
}

func catalogDelayed(t *testing.T, b *Broker) int64 {
	st, err := b.store.Stats(t.Context(), "q")
	require.NoError(t, err)
	return st.Delayed
}

// One sender learns that the queue was deleted and declared anew. Another, who comes
// before that has been passed on, learns it too; and both send as the new queue
// wants it.
func TestCatalogNewsThatIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, q := catalogPair(t)
		require.NoError(t, a.DeleteQueue(t.Context(), "q"))
		_, err := Declare[string](t.Context(), a, "q", QueueConfig{DeliveryDelay: time.Hour})
		require.NoError(t, err)
		held, first := make(chan struct{}), true
		b.catalog.follow = func(r *record) {
			if first {
				first = false
				<-held
			}
			b.follow(r)
		}
		sent := make(chan error, 1)
		go func() { _, err := q.Send(t.Context(), "1"); sent <- err }()
		synctest.Wait()
		_, err = q.Send(t.Context(), "2")
		require.NoError(t, err)
		close(held)
		require.NoError(t, <-sent)
		assert.EqualValues(t, 2, catalogDelayed(t, b))
	})
}

// A change holds when the call that made it has returned, also if another call has
// read it first and has not passed it on yet.
func TestCatalogChangeHoldsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b, q := catalogPair(t)
		held, first := make(chan struct{}), true
		b.catalog.follow = func(r *record) {
			if first {
				first = false
				<-held
			}
			b.follow(r)
		}
		b.catalog.store = afterPut{b.store, func() {
			go func() { _, _ = b.Queue(context.Background(), "q") }()
			synctest.Wait()
		}}
		_, err := b.UpdateQueue(t.Context(), "q", QueueUpdate{DeliveryDelay: new(time.Hour)})
		require.NoError(t, err)
		_, err = q.Send(t.Context(), "x")
		require.NoError(t, err)
		assert.EqualValues(t, 1, catalogDelayed(t, b))
		close(held)
	})
}

type afterPut struct {
	store.Store
	then func()
}

func (s afterPut) PutQueue(ctx context.Context, q store.Queue) (store.Queue, error) {
	stored, err := s.Store.PutQueue(ctx, q)
	s.then()
	return stored, err
}

// A record that somebody else has written, and that says nothing to us, does not
// keep the news of the others.
func TestCatalogGoesOnBehindAMalformedRecord(t *testing.T) {
	a, b, q := catalogPair(t)
	_, err := b.store.PutQueue(t.Context(), store.Queue{Name: "alien", Settings: []byte("?")})
	require.NoError(t, err)
	_, err = a.Queue(t.Context(), "q")
	require.ErrorContains(t, err, `"alien"`)
	_, err = a.UpdateQueue(t.Context(), "q", QueueUpdate{DeliveryDelay: new(time.Hour)})
	require.NoError(t, err)
	_, err = b.Queue(t.Context(), "q")
	require.ErrorContains(t, err, `"alien"`)
	_, err = q.Send(t.Context(), "x")
	require.NoError(t, err)
	assert.EqualValues(t, 1, catalogDelayed(t, b))
}
