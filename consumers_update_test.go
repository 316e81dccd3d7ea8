package inproq_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

// What an update does not name stays as it is, and zero is zero.
func TestUpdateConsumerMerges(t *testing.T) {
	type settings = inproq.ConsumerSettings
	worker := settings{MaxBatchSize: 7, MaxBatchTimeout: time.Second, MaxRetries: 2, RetryDelay: time.Minute, MaxConcurrency: 4, DeadLetterQueue: "dead"}
	pull := settings{MaxBatchSize: 7, VisibilityTimeout: time.Hour, MaxRetries: 2, RetryDelay: time.Minute, DeadLetterQueue: "dead"}
	for name, tc := range map[string]struct {
		kind   inproq.ConsumerKind
		update inproq.ConsumerUpdate
		change func(*settings)
	}{
		"nothing":     {inproq.Worker, inproq.ConsumerUpdate{}, func(*settings) {}},
		"size":        {inproq.Worker, inproq.ConsumerUpdate{MaxBatchSize: new(8)}, func(s *settings) { s.MaxBatchSize = 8 }},
		"timeout":     {inproq.Worker, inproq.ConsumerUpdate{MaxBatchTimeout: new(time.Minute)}, func(s *settings) { s.MaxBatchTimeout = time.Minute }},
		"0 timeout":   {inproq.Worker, inproq.ConsumerUpdate{MaxBatchTimeout: new(time.Duration)}, func(s *settings) { s.MaxBatchTimeout = inproq.NoWait }},
		"no wait":     {inproq.Worker, inproq.ConsumerUpdate{MaxBatchTimeout: new(inproq.NoWait)}, func(s *settings) { s.MaxBatchTimeout = inproq.NoWait }},
		"retries":     {inproq.Worker, inproq.ConsumerUpdate{MaxRetries: new(100)}, func(s *settings) { s.MaxRetries = 100 }},
		"0 retries":   {inproq.Worker, inproq.ConsumerUpdate{MaxRetries: new(0)}, func(s *settings) { s.MaxRetries = inproq.NoRetries }},
		"no retries":  {inproq.Worker, inproq.ConsumerUpdate{MaxRetries: new(inproq.NoRetries)}, func(s *settings) { s.MaxRetries = inproq.NoRetries }},
		"delay":       {inproq.Worker, inproq.ConsumerUpdate{RetryDelay: new(time.Hour)}, func(s *settings) { s.RetryDelay = time.Hour }},
		"0 delay":     {inproq.Worker, inproq.ConsumerUpdate{RetryDelay: new(time.Duration)}, func(s *settings) { s.RetryDelay = inproq.NoDelay }},
		"no delay":    {inproq.Worker, inproq.ConsumerUpdate{RetryDelay: new(inproq.NoDelay)}, func(s *settings) { s.RetryDelay = inproq.NoDelay }},
		"handlers":    {inproq.Worker, inproq.ConsumerUpdate{MaxConcurrency: new(5)}, func(s *settings) { s.MaxConcurrency = 5 }},
		"as wanted":   {inproq.Worker, inproq.ConsumerUpdate{MaxConcurrency: new(0)}, func(s *settings) { s.MaxConcurrency = 0 }},
		"dead":        {inproq.Worker, inproq.ConsumerUpdate{DeadLetterQueue: new("dead2")}, func(s *settings) { s.DeadLetterQueue = "dead2" }},
		"no dead":     {inproq.Worker, inproq.ConsumerUpdate{DeadLetterQueue: new("")}, func(s *settings) { s.DeadLetterQueue = "" }},
		"pull size":   {inproq.HTTPPull, inproq.ConsumerUpdate{MaxBatchSize: new(8)}, func(s *settings) { s.MaxBatchSize = 8 }},
		"visibility":  {inproq.HTTPPull, inproq.ConsumerUpdate{VisibilityTimeout: new(time.Minute)}, func(s *settings) { s.VisibilityTimeout = time.Minute }},
		"pull delay":  {inproq.HTTPPull, inproq.ConsumerUpdate{RetryDelay: new(time.Duration)}, func(s *settings) { s.RetryDelay = inproq.NoDelay }},
		"pull no end": {inproq.HTTPPull, inproq.ConsumerUpdate{DeadLetterQueue: new("")}, func(s *settings) { s.DeadLetterQueue = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			b := consumersBroker(t, inproq.Config{})
			spec := inproq.ConsumerSpec{Kind: tc.kind, Settings: worker}
			if tc.kind == inproq.HTTPPull {
				spec.Settings = pull
			}
			want := consumersAttach(t, b, "q", spec)
			queue := consumersInfo(t, b, "q").ID
			got := consumersUpdate(t, b, tc.update)
			tc.change(&want.Settings)
			assert.Equal(t, want, got, "ID and time of creation stay")
			info := consumersInfo(t, b, "q")
			assert.Equal(t, &want, info.Consumer)
			assert.Equal(t, queue, info.ID)
			if dlq := want.Settings.DeadLetterQueue; dlq != "" {
				assert.Contains(t, consumersNames(t, b), dlq)
			}
		})
	}
}

// consumersUpdateOf makes an update that sets one field to what settings have.
func consumersUpdateOf(name string, s inproq.ConsumerSettings) (u inproq.ConsumerUpdate) {
	switch name {
	case "size":
		u.MaxBatchSize = &s.MaxBatchSize
	case "timeout":
		u.MaxBatchTimeout = &s.MaxBatchTimeout
	case "retries":
		u.MaxRetries = &s.MaxRetries
	case "delay":
		u.RetryDelay = &s.RetryDelay
	case "handlers":
		u.MaxConcurrency = &s.MaxConcurrency
	case "visibility":
		u.VisibilityTimeout = &s.VisibilityTimeout
	}
	return u
}

func TestUpdateConsumerBounds(t *testing.T) {
	for name, e := range consumersEdges() {
		if name == "pull, no timeout" {
			continue // in an update that is zero
		}
		t.Run(name, func(t *testing.T) {
			b := consumersBroker(t, inproq.Config{})
			consumersAttach(t, b, "q", inproq.ConsumerSpec{Kind: e.kind})
			before := consumersInfo(t, b, "q")
			field := name[strings.LastIndexByte(name, ' ')+1:]
			var bad, good inproq.ConsumerSettings
			e.set(&bad, e.bad)
			e.set(&good, e.good)
			u := consumersUpdateOf(field, bad)
			u.DeadLetterQueue = new("dead")
			_, err := b.UpdateConsumer(t.Context(), "q", u)
			sendReject(t, err, inproq.ErrInvalidConfig, 100127, e.text, `"q"`)
			assert.Equal(t, before, consumersInfo(t, b, "q"), "nothing was written")
			assert.Equal(t, []string{"q"}, consumersNames(t, b))

			want := before.Consumer.Settings
			e.set(&want, e.good)
			assert.Equal(t, want, consumersUpdate(t, b, consumersUpdateOf(field, good)).Settings)
		})
	}
}

// Zero is out of range where it is not a value.
func TestUpdateConsumerToZero(t *testing.T) {
	b := consumersBroker(t, inproq.Config{})
	consumersAttach(t, b, "q", inproq.ConsumerSpec{Kind: inproq.HTTPPull})
	_, err := b.UpdateConsumer(t.Context(), "q", inproq.ConsumerUpdate{
		MaxBatchSize: new(0), VisibilityTimeout: new(time.Duration), DeadLetterQueue: new("q"),
	})
	sendReject(t, err, inproq.ErrInvalidConfig, 100127, "MaxBatchSize is 0", "VisibilityTimeout is 0s", `DeadLetterQueue is "q"`)
}

// Settings that were allowed once do not keep other ones from being changed.
func TestUpdateConsumerUnderLowerLimits(t *testing.T) {
	st := accountStore(t)
	consumersAttach(t, consumersBroker(t, inproq.Config{Store: st}), "q", inproq.ConsumerSpec{
		Kind: inproq.Worker, Settings: inproq.ConsumerSettings{MaxBatchSize: 100},
	})
	b := accountBroker(t, inproq.Config{Store: st, Limits: inproq.Limits{MaxConsumerBatch: 10}})
	got := consumersUpdate(t, b, inproq.ConsumerUpdate{MaxRetries: new(1)})
	assert.Equal(t, 1, got.Settings.MaxRetries)
	assert.Equal(t, 100, got.Settings.MaxBatchSize)
	_, err := b.UpdateConsumer(t.Context(), "q", inproq.ConsumerUpdate{MaxBatchSize: new(99)})
	sendReject(t, err, inproq.ErrInvalidConfig, 100127, "MaxBatchSize is 99, allowed: 1 to 10")
	consumersUpdate(t, b, inproq.ConsumerUpdate{MaxBatchSize: new(10)})
}

// Each setting that a running consumer is given counts from the next batch on.
func TestUpdateConsumerWhileItRuns(t *testing.T) {
	fail := func(context.Context, *inproq.MessageBatch[string]) error { return errors.New("no") }
	for name, tc := range map[string]struct {
		settings inproq.ConsumerSettings
		update   inproq.ConsumerUpdate
		then     func(context.Context, *inproq.MessageBatch[string]) error
		check    func(t *testing.T, b *inproq.Broker, sink *accountSink)
	}{
		"size": {
			inproq.ConsumerSettings{MaxBatchSize: 10}, inproq.ConsumerUpdate{MaxBatchSize: new(2)}, nil,
			func(t *testing.T, b *inproq.Broker, sink *accountSink) {
				consumersSend(t, b, "q", "a", "b", "c", "d")
				synctest.Wait()
				assert.Equal(t, []int{2, 2}, sink.batches())
			},
		},
		"timeout": {
			inproq.ConsumerSettings{MaxBatchTimeout: time.Minute}, inproq.ConsumerUpdate{MaxBatchTimeout: new(time.Second)}, nil,
			func(t *testing.T, b *inproq.Broker, sink *accountSink) {
				sent := time.Now()
				consumersSend(t, b, "q", "a")
				time.Sleep(time.Hour)
				assert.Equal(t, []accountDelivery{{"a", 1, sent.Add(time.Second)}}, sink.deliveries())
			},
		},
		"retries": {
			inproq.ConsumerSettings{MaxBatchTimeout: inproq.NoWait, MaxRetries: 5}, inproq.ConsumerUpdate{MaxRetries: new(1)}, fail,
			func(t *testing.T, b *inproq.Broker, sink *accountSink) {
				consumersSend(t, b, "q", "a")
				time.Sleep(time.Hour)
				assert.Len(t, sink.deliveries(), 2)
				assert.EqualValues(t, 1, b.Stats("q").Dropped)
			},
		},
		"delay": {
			inproq.ConsumerSettings{MaxBatchTimeout: inproq.NoWait, MaxRetries: 1}, inproq.ConsumerUpdate{RetryDelay: new(time.Minute)}, fail,
			func(t *testing.T, b *inproq.Broker, sink *accountSink) {
				sent := time.Now()
				consumersSend(t, b, "q", "a")
				time.Sleep(time.Hour)
				assert.Equal(t, []accountDelivery{{"a", 1, sent}, {"a", 2, sent.Add(time.Minute)}}, sink.deliveries())
			},
		},
		"dead": {
			inproq.ConsumerSettings{MaxBatchTimeout: inproq.NoWait, MaxRetries: inproq.NoRetries}, inproq.ConsumerUpdate{DeadLetterQueue: new("dead")}, fail,
			func(t *testing.T, b *inproq.Broker, sink *accountSink) {
				consumersSend(t, b, "q", "a")
				time.Sleep(time.Hour)
				assert.Equal(t, 1, accountCount(t, b, "dead"))
			},
		},
		"no dead": {
			inproq.ConsumerSettings{MaxBatchTimeout: inproq.NoWait, MaxRetries: inproq.NoRetries, DeadLetterQueue: "dead"}, inproq.ConsumerUpdate{DeadLetterQueue: new("")}, fail,
			func(t *testing.T, b *inproq.Broker, sink *accountSink) {
				consumersSend(t, b, "q", "a")
				time.Sleep(time.Hour)
				assert.Zero(t, accountCount(t, b, "dead"))
				assert.EqualValues(t, 1, b.Stats("q").Dropped)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &accountSink{then: tc.then}
				b := consumersRunning(t, inproq.Config{}, sink)
				consumersAttach(t, b, "q", inproq.ConsumerSpec{Kind: inproq.Worker, Script: "s", Settings: tc.settings})
				synctest.Wait()
				consumersUpdate(t, b, tc.update)
				tc.check(t, b, sink)
			})
		})
	}
}

// The ceiling of concurrency falls and rises while handlers run.
func TestUpdateConsumerConcurrencyWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		sink := &accountSink{then: func(context.Context, *inproq.MessageBatch[string]) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(time.Second)
			return nil
		}}
		b := consumersRunning(t, inproq.Config{}, sink)
		spec := consumersWorker()
		spec.Settings.MaxBatchSize, spec.Settings.MaxConcurrency = 1, 5
		consumersAttach(t, b, "q", spec)
		load := func() int64 {
			time.Sleep(10 * time.Second) // the earlier ones are over
			most.Store(0)
			for i := range 50 {
				consumersSend(t, b, "q", fmt.Sprint(i))
			}
			time.Sleep(time.Minute)
			return most.Load()
		}
		assert.EqualValues(t, 5, load())
		consumersUpdate(t, b, inproq.ConsumerUpdate{MaxConcurrency: new(2)})
		assert.EqualValues(t, 2, load())
		consumersUpdate(t, b, inproq.ConsumerUpdate{MaxConcurrency: new(3)})
		assert.EqualValues(t, 3, load())
	})
}

// A batch that waits to be full takes over what it is told meanwhile.
func TestUpdateConsumerOfABatchThatWaits(t *testing.T) {
	for name, wrap := range accountStores {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sink accountSink
				b := consumersRunning(t, inproq.Config{Store: wrap(accountStore(t))}, &sink)
				consumersAttach(t, b, "q", inproq.ConsumerSpec{Kind: inproq.Worker, Script: "s", Settings: inproq.ConsumerSettings{MaxBatchTimeout: time.Minute}})
				consumersSend(t, b, "q", "a", "b")
				synctest.Wait()
				assert.Empty(t, sink.batches())
				consumersUpdate(t, b, inproq.ConsumerUpdate{MaxBatchSize: new(2)})
				synctest.Wait()
				assert.Equal(t, []int{2}, sink.batches())
				assert.Equal(t, []accountDelivery{{"a", 1, time.Now()}, {"b", 1, time.Now()}}, sink.deliveries(), "no attempt was lost")
			})
		})
	}
}

// Updates of two brokers at the same time are all applied: who comes second reads
// what the first has written.
func TestUpdateConsumerConflicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		other := consumersBroker(t, inproq.Config{Store: st})
		consumersAttach(t, other, "q", inproq.ConsumerSpec{Kind: inproq.Worker})
		first := true
		b := accountBroker(t, inproq.Config{Store: accountHook{Store: st, before: func(store.Queue) {
			if first {
				first = false
				consumersUpdate(t, other, inproq.ConsumerUpdate{MaxRetries: new(9)})
			}
		}}})
		got := consumersUpdate(t, b, inproq.ConsumerUpdate{MaxBatchSize: new(9)})
		assert.Equal(t, 9, got.Settings.MaxBatchSize)
		assert.Equal(t, 9, got.Settings.MaxRetries)
	})
}

func TestUpdateConsumerConcurrently(t *testing.T) {
	st := accountStore(t)
	brokers := []*inproq.Broker{consumersBroker(t, inproq.Config{Store: st}), accountBroker(t, inproq.Config{Store: st})}
	id := consumersAttach(t, brokers[0], "q", inproq.ConsumerSpec{Kind: inproq.Worker}).ID
	updates := []inproq.ConsumerUpdate{
		{MaxBatchSize: new(20)},
		{MaxBatchTimeout: new(20 * time.Second)},
		{MaxRetries: new(20)},
		{RetryDelay: new(20 * time.Second)},
		{MaxConcurrency: new(20)},
		{DeadLetterQueue: new("dead")},
	}
	var wg sync.WaitGroup
	for i, u := range updates {
		wg.Go(func() {
			_, err := brokers[i%2].UpdateConsumer(context.Background(), "q", u)
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	got := consumersInfo(t, brokers[0], "q").Consumer
	assert.Equal(t, id, got.ID)
	assert.Equal(t, inproq.ConsumerSettings{
		MaxBatchSize: 20, MaxBatchTimeout: 20 * time.Second, MaxRetries: 20, RetryDelay: 20 * time.Second, MaxConcurrency: 20, DeadLetterQueue: "dead",
	}, got.Settings)
}

// Of several that attach at once one succeeds.
func TestAttachConsumerConcurrently(t *testing.T) {
	b := consumersBroker(t, inproq.Config{})
	var attached, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := b.AttachConsumer(context.Background(), "q", inproq.ConsumerSpec{Kind: inproq.Worker, Script: fmt.Sprint(i)})
			switch {
			case err == nil:
				attached.Add(1)
			case errors.Is(err, inproq.ErrConsumerExists):
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 1, attached.Load())
	require.EqualValues(t, 7, refused.Load())
}
