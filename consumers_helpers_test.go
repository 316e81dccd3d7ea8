package inproq_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// consumersBroker makes a broker with a queue "q" that nobody consumes.
func consumersBroker(t *testing.T, cfg inproq.Config) *inproq.Broker {
	t.Helper()
	b := accountBroker(t, cfg)
	consumersCreate(t, b, "q")
	return b
}

// consumersRunning is one that runs until the test ends, and knows the handler by the
// script name "s".
func consumersRunning(t *testing.T, cfg inproq.Config, sink *accountSink) *inproq.Broker {
	t.Helper()
	b := consumersBroker(t, cfg)
	require.NoError(t, inproq.Handle(b, "s", sink.handle))
	queuetest.Start(t, b)
	synctest.Wait()
	return b
}

func consumersCreate(t *testing.T, b *inproq.Broker, names ...string) {
	t.Helper()
	for _, name := range names {
		_, err := b.CreateQueue(context.Background(), name, inproq.QueueConfig{})
		require.NoError(t, err)
	}
}

func consumersAttach(t *testing.T, b *inproq.Broker, queue string, spec inproq.ConsumerSpec) inproq.ConsumerInfo {
	t.Helper()
	info, err := b.AttachConsumer(context.Background(), queue, spec)
	require.NoError(t, err)
	return info
}

// consumersWorker is the consumer of script "s" that delivers at once.
func consumersWorker() inproq.ConsumerSpec {
	return inproq.ConsumerSpec{Kind: inproq.Worker, Script: "s", Settings: inproq.ConsumerSettings{MaxBatchTimeout: inproq.NoWait}}
}

func consumersUpdate(t *testing.T, b *inproq.Broker, u inproq.ConsumerUpdate) inproq.ConsumerInfo {
	t.Helper()
	info, err := b.UpdateConsumer(context.Background(), "q", u)
	require.NoError(t, err)
	return info
}

func consumersInfo(t *testing.T, b *inproq.Broker, queue string) inproq.QueueInfo {
	t.Helper()
	info, err := b.Queue(context.Background(), queue)
	require.NoError(t, err)
	return info
}

// consumersNames lists the queues of a broker.
func consumersNames(t *testing.T, b *inproq.Broker) (names []string) {
	t.Helper()
	for info, err := range b.Queues(context.Background()) {
		require.NoError(t, err)
		names = append(names, info.Name)
	}
	return names
}

// consumersSend sends to a queue of strings.
func consumersSend(t *testing.T, b *inproq.Broker, queue string, bodies ...string) []inproq.MessageID {
	t.Helper()
	q, err := inproq.Bind[string](context.Background(), b, queue)
	require.NoError(t, err)
	var ids []inproq.MessageID
	for _, body := range bodies {
		res, err := q.Send(context.Background(), body)
		require.NoError(t, err)
		ids = append(ids, res.ID)
	}
	return ids
}
