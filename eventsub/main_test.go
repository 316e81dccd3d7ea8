package eventsub

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newBroker makes a broker with some queues; nil: on a store of its own.
func newBroker(t testing.TB, engine store.Store, queues ...string) *inproq.Broker {
	t.Helper()
	b, err := inproq.NewBroker(inproq.Config{Store: engine, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Shutdown(context.Background()) })
	for _, q := range queues {
		_, err := inproq.Declare[Message](t.Context(), b, q, inproq.QueueConfig{})
		require.NoError(t, err)
	}
	return b
}

func newService(t testing.TB, b *inproq.Broker) *Service {
	t.Helper()
	s, err := New(b, Config{AccountID: "0123456789abcdef0123456789abcdef", Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return s
}

// messages are those of a queue, without taking them away.
func messages(t testing.TB, b *inproq.Broker, queue string) []Message {
	t.Helper()
	peeked, err := b.Peek(t.Context(), queue, 100)
	require.NoError(t, err)
	list := make([]Message, len(peeked))
	for i := range peeked {
		require.NoError(t, json.Unmarshal(peeked[i].Body, &list[i]))
		assert.Equal(t, inproq.JSON, peeked[i].ContentType)
	}
	return list
}

// types are the types of what a queue has.
func types(t testing.TB, b *inproq.Broker, queue string) (list []string) {
	t.Helper()
	for _, m := range messages(t, b, queue) {
		list = append(list, m.Type)
	}
	return list
}

func r2(event string) Event { return Event{Source: Source{Type: "r2"}, Name: event} }

func site(name string) Source {
	return Source{Type: "workersBuilds.worker", Args: map[string]string{"worker_name": name}}
}
