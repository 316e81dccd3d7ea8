package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// Whatever two brokers on a store and their operators do to a queue at the same time, in the end all agree: the
// consumer that was attached last works in both.
func TestConsumersUnderStress(t *testing.T) {
	const rounds = 150
	for round := range rounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { consumersStress(t, uint64(round)) })
		})
	}
}

func consumersStress(t *testing.T, seed uint64) {
	st := accountStore(t)
	var sink accountSink
	brokers, runs := make([]*inproq.Broker, 2), make([]*accountRun, 2)
	for i := range brokers {
		brokers[i] = accountBroker(t, inproq.Config{Store: st})
		for _, script := range []string{"s", "other"} {
			require.NoError(t, inproq.Handle(brokers[i], script, sink.handle))
		}
		runs[i] = accountStart(brokers[i])
	}
	consumersCreate(t, brokers[0], "q")
	var operators sync.WaitGroup
	for i := range 3 {
		b, random := brokers[i%2], rand.New(rand.NewPCG(seed, uint64(i)))
		operators.Go(func() {
			for range 30 {
				consumersMeddle(t.Context(), b, random)
			}
		})
	}
	operators.Wait()

	_, err := brokers[0].CreateQueue(t.Context(), "q", inproq.QueueConfig{})
	if !errors.Is(err, inproq.ErrQueueExists) {
		require.NoError(t, err)
	}
	if err := brokers[0].RemoveConsumer(t.Context(), "q"); !errors.Is(err, inproq.ErrConsumerNotFound) {
		require.NoError(t, err)
	}
	consumersAttach(t, brokers[0], "q", consumersWorker())
	consumersSend(t, brokers[0], "q", "x")
	consumePass(time.Minute)
	assert.Equal(t, []string{"x"}, sink.bodies())
	for i, b := range brokers {
		assert.NotZero(t, b.Stats("q").Limit, "instance %d works", i)
		require.NoError(t, runs[i].stop())
	}
}

// consumersMeddle does something to the queue. Errors are other operators' doing.
func consumersMeddle(ctx context.Context, b *inproq.Broker, random *rand.Rand) {
	switch random.IntN(6) {
	case 0, 1:
		script := []string{"s", "other"}[random.IntN(2)]
		_, _ = b.AttachConsumer(ctx, "q", inproq.ConsumerSpec{Kind: inproq.Worker, Script: script})
	case 2, 3:
		_ = b.RemoveConsumer(ctx, "q")
	case 4:
		_ = b.DeleteQueue(ctx, "q")
		_, _ = b.CreateQueue(ctx, "q", inproq.QueueConfig{})
	case 5:
		_, _ = b.AttachConsumer(ctx, "q", inproq.ConsumerSpec{Kind: inproq.HTTPPull})
	}
}
