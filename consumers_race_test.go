package inproq_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

// A consumersStore calls put before each change of a record.
type consumersStore struct {
	store.Store
	mu  sync.Mutex
	put func(q store.Queue) error
}

func (s *consumersStore) before(put func(q store.Queue) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put = put
}

func (s *consumersStore) PutQueue(ctx context.Context, q store.Queue) (store.Queue, error) {
	s.mu.Lock()
	put := s.put
	s.mu.Unlock()
	if put != nil {
		if err := put(q); err != nil {
			return store.Queue{}, err
		}
	}
	return s.Store.PutQueue(ctx, q)
}

// A consumer that another broker attaches after the look at the record is not replaced.
func TestAttachConsumerAfterAnotherBrokersLook(t *testing.T) {
	inner := accountStore(t)
	s := &consumersStore{Store: inner}
	b := accountBroker(t, inproq.Config{Store: s})
	other := accountBroker(t, inproq.Config{Store: inner})
	consumersCreate(t, b, "q")
	var once sync.Once
	s.before(func(store.Queue) (err error) {
		once.Do(func() {
			_, err = other.AttachConsumer(t.Context(), "q", inproq.ConsumerSpec{Kind: inproq.HTTPPull})
		})
		return err
	})
	_, err := b.AttachConsumer(t.Context(), "q", inproq.ConsumerSpec{Kind: inproq.Worker, Script: "mine"})
	require.ErrorIs(t, err, inproq.ErrConsumerExists)
	info, err := other.Queue(t.Context(), "q")
	require.NoError(t, err)
	require.NotNil(t, info.Consumer)
	assert.Equal(t, inproq.HTTPPull, info.Consumer.Kind)
}

// Settings do not name a dead-letter queue that could not be created.
func TestUpdateConsumerWhoseDeadLetterQueueFails(t *testing.T) {
	s := &consumersStore{Store: accountStore(t)}
	b := accountBroker(t, inproq.Config{Store: s})
	consumersCreate(t, b, "q")
	_, err := b.AttachConsumer(t.Context(), "q", inproq.ConsumerSpec{Kind: inproq.HTTPPull})
	require.NoError(t, err)
	full := errors.New("disk full")
	s.before(func(q store.Queue) error {
		if q.Name == "dead" {
			return full
		}
		return nil
	})
	_, err = b.UpdateConsumer(t.Context(), "q", inproq.ConsumerUpdate{DeadLetterQueue: new("dead")})
	require.ErrorIs(t, err, full)
	info, err := b.Queue(t.Context(), "q")
	require.NoError(t, err)
	assert.Empty(t, info.Consumer.Settings.DeadLetterQueue)
}
