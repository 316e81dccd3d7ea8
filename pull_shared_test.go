package inproq_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// pullShared is two brokers on a store. Neither runs, and the first has a loop that waits.
func pullShared(t *testing.T, cfg inproq.PullConfig) (operator *pullRig, l *pullLoop) {
	t.Helper()
	st := accountStore(t)
	r := newPullRig(t, inproq.Config{Store: st})
	operator = newPullRig(t, inproq.Config{Store: st})
	ctx, cancel := context.WithCancel(context.Background())
	l = pullStart(ctx, r.consumer(cfg), pullAckAll)
	t.Cleanup(func() {
		cancel()
		l.wg.Wait()
	})
	synctest.Wait()
	return operator, l
}

// A loop needs no Run to hear that another broker has given its queue to a worker.
func TestBatchesEndWhenAnotherBrokerTakesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		operator, l := pullShared(t, inproq.PullConfig{})
		operator.send("a")
		consumePass(time.Hour)
		require.NoError(t, operator.broker.RemoveConsumer(t.Context(), "jobs"))
		consumersAttach(t, operator.broker, "jobs", inproq.ConsumerSpec{Kind: inproq.Worker, Script: "s"})
		synctest.Wait()
		assert.True(t, l.over())
		require.Len(t, l.failures(), 1)
		require.ErrorIs(t, l.failures()[0], inproq.ErrNotPullConsumer)
		operator.send("for the worker")
		consumePass(time.Hour)
		assert.Equal(t, []string{"a"}, l.bodies())
	})
}

// Nor to hear of other settings.
func TestBatchesFollowAnotherBrokersSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		operator, l := pullShared(t, inproq.PullConfig{MaxBatchSize: 10})
		_, err := operator.broker.UpdateConsumer(t.Context(), "jobs", inproq.ConsumerUpdate{MaxBatchSize: new(2)})
		require.NoError(t, err)
		synctest.Wait()
		operator.send("a", "b", "c")
		synctest.Wait()
		began := time.Now()
		assert.Equal(t, []pullTurn{{began, []string{"a", "b"}}, {began, []string{"c"}}}, l.turns())
		assert.Empty(t, l.failures())
	})
}

// What a loop needs for that ends with its wait.
func TestBatchesOfABrokerThatDoesNotRunLeaveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{Store: accountStore(t)})
		before := watchers()
		l := pullStart(t.Context(), r.consumer(inproq.PullConfig{}), func(b *inproq.PulledBatch[string]) bool {
			assert.Equal(t, before, watchers(), "nobody waits during a turn")
			return false
		})
		synctest.Wait()
		assert.Equal(t, before+1, watchers())
		r.send("a")
		l.wg.Wait()
		assert.Equal(t, before, watchers())
	})
}

// Whoever has heard of a pull consumer may take its place as soon as another broker has stopped it.
func TestConsumeAfterAnotherBrokersPullConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		r := newPullRig(t, inproq.Config{Store: st})
		p := r.consumer(inproq.PullConfig{})
		b := accountBroker(t, inproq.Config{Store: st})
		q := accountDeclare(t, b, "jobs", inproq.QueueConfig{}) // knows of p
		var sink accountSink
		cfg := inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}
		_, err := q.Consume(sink.handle, cfg)
		require.ErrorIs(t, err, inproq.ErrConsumerExists)
		require.NoError(t, p.Stop(t.Context()))
		accountConsume(t, q, sink.handle, cfg)
		run := accountStart(b)
		r.send("x")
		synctest.Wait()
		assert.Equal(t, []string{"x"}, sink.bodies())
		require.NoError(t, run.stop())
	})
}
