package inproq_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// Two instances of a consumer on one store share its work: each message goes to
// one of them, and none is lost when one leaves.
func TestSharedStoreDividesTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		sinks := make([]accountSink, 2)
		brokers, runs := make([]*inproq.Broker, 2), make([]*accountRun, 2)
		var queue *inproq.Queue[string]
		for i := range brokers {
			brokers[i] = accountBroker(t, inproq.Config{Store: st})
			queue = accountDeclare(t, brokers[i], "q", inproq.QueueConfig{})
			sinks[i].then = func(context.Context, *inproq.MessageBatch[string]) error {
				time.Sleep(time.Second)
				return nil
			}
			accountConsume(t, queue, sinks[i].handle, inproq.ConsumerConfig{MaxConcurrency: 1, MaxBatchTimeout: inproq.NoWait})
			runs[i] = accountStart(brokers[i])
		}
		synctest.Wait()
		var want []string
		send := func(n int) {
			for range n {
				body := fmt.Sprint(len(want))
				want = append(want, body)
				accountSend(t, queue, body)
			}
		}
		send(100)
		time.Sleep(2 * time.Second)
		require.NoError(t, runs[0].stop())
		_, err := queue.Metrics(t.Context())
		require.NoError(t, err, "the store is not closed")
		first := sinks[0].bodies()
		send(100)
		time.Sleep(time.Minute)
		require.NoError(t, runs[1].stop())

		assert.NotEmpty(t, first)
		assert.NotEmpty(t, sinks[1].bodies())
		assert.ElementsMatch(t, want, append(first, sinks[1].bodies()...))
		assert.Zero(t, accountCount(t, brokers[1], "q"))
	})
}

// The settings of a consumer are everybody's: an instance follows what another
// has declared once it hears of it.
func TestSharedStoreConsumerFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		b := accountBroker(t, inproq.Config{Store: st})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		var sink accountSink
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchSize: 10})
		run := accountStart(b)
		synctest.Wait()

		other := accountBroker(t, inproq.Config{Store: st})
		accountConsume(t, accountDeclare(t, other, "q", inproq.QueueConfig{}), sink.handle, inproq.ConsumerConfig{MaxBatchSize: 2})
		require.NoError(t, accountStart(other).stop())
		_, err := b.Queue(t.Context(), "q")
		require.NoError(t, err)
		accountSend(t, q, "a", "b")
		synctest.Wait()
		assert.Equal(t, []int{2}, sink.batches())
		require.NoError(t, run.stop())
	})
}

// A consumer whose record another has removed lets go when it hears of it.
func TestSharedStoreConsumerIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		b, other := accountBroker(t, inproq.Config{Store: st}), accountBroker(t, inproq.Config{Store: st})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		var sink accountSink
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		run := accountStart(b)
		synctest.Wait()
		c := accountConsume(t, accountDeclare(t, other, "q", inproq.QueueConfig{}), sink.handle, inproq.ConsumerConfig{})
		require.NoError(t, c.Stop(t.Context()))
		info, err := b.Queue(t.Context(), "q")
		require.NoError(t, err)
		assert.Nil(t, info.Consumer)
		accountSend(t, q, "x")
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Empty(t, sink.bodies())
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		synctest.Wait()
		assert.Equal(t, []string{"x"}, sink.bodies())
		require.NoError(t, run.stop())
	})
}

// A queue costs no goroutine, and one that is consumed costs one.
func TestLifecycleGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const queues = 1000
		before := accountGoroutines()
		b := accountBroker(t, inproq.Config{})
		run := accountStart(b)
		var declared []*inproq.Queue[string]
		for i := range queues {
			declared = append(declared, accountDeclare(t, b, fmt.Sprint("q", i), inproq.QueueConfig{}))
			accountSend(t, declared[i], "x")
		}
		synctest.Wait()
		assert.Equal(t, before+1, accountGoroutines(), "only Run")
		for _, q := range declared {
			accountConsume(t, q, new(accountSink).handle, inproq.ConsumerConfig{})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, before+1+queues, accountGoroutines())
		require.NoError(t, run.stop())
		synctest.Wait()
		assert.Equal(t, before, accountGoroutines())
	})
}
