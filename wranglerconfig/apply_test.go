package wranglerconfig

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

func newBroker(t *testing.T, cfg inproq.Config) *inproq.Broker {
	t.Helper()
	b, err := inproq.NewBroker(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Shutdown(context.Background())) })
	return b
}

// shop is the top level of the shop's configuration.
func shop(t *testing.T, env string) Config {
	t.Helper()
	f, err := Load("testdata/shop.jsonc")
	require.NoError(t, err)
	cfg, err := f.Environment(env)
	require.NoError(t, err)
	return cfg
}

func changes(r Report) []string {
	var all []string
	for _, c := range r.Changes {
		all = append(all, c.String())
	}
	return all
}

func TestApplyMakesTheConfigurationTrue(t *testing.T) {
	b := newBroker(t, inproq.Config{})
	cfg := shop(t, "")
	planned, err := Plan(t.Context(), b, cfg)
	require.NoError(t, err)
	_, err = b.Queue(t.Context(), "orders")
	require.ErrorIs(t, err, inproq.ErrQueueNotFound, "a plan changes nothing")

	r, err := Apply(t.Context(), b, cfg)
	require.NoError(t, err)
	assert.Equal(t, planned, r)
	assert.Equal(t, "shop", r.Script)
	assert.Equal(t, cfg.Warnings, r.Warnings)
	assert.Equal(t, []string{
		"create queue orders", "create queue audit", "create queue orders-dead",
		"attach consumer of orders", "attach consumer of audit",
	}, changes(r))
	for _, c := range cfg.Consumers {
		info, err := b.Queue(t.Context(), c.Queue)
		require.NoError(t, err)
		require.NotNil(t, info.Consumer)
		assert.Equal(t, inproq.ConsumerSpec{Kind: inproq.Worker, Script: "shop", Settings: c.Settings}, info.Consumer.ConsumerSpec)
	}
	info, err := b.Queue(t.Context(), "audit")
	require.NoError(t, err)
	assert.Equal(t, inproq.NoDelay, info.Settings.DeliveryDelay, "that of the producer has no effect")

	for range 2 {
		r, err = Apply(t.Context(), b, cfg)
		require.NoError(t, err)
		assert.Empty(t, r.Changes)
	}
}

// A deploy says how it should be: what is gone from the file is the default again, and
// so is what an operator has changed.
func TestApplyUpdatesByDifference(t *testing.T) {
	b := newBroker(t, inproq.Config{})
	cfg := shop(t, "")
	_, err := Apply(t.Context(), b, cfg)
	require.NoError(t, err)
	before, err := b.Queue(t.Context(), "orders")
	require.NoError(t, err)

	_, err = b.UpdateConsumer(t.Context(), "audit", inproq.ConsumerUpdate{MaxRetries: new(7), MaxConcurrency: new(2)})
	require.NoError(t, err)
	cfg.Consumers[0].Settings = inproq.ConsumerSettings{MaxRetries: inproq.NoRetries, DeadLetterQueue: "elsewhere"}
	r, err := Apply(t.Context(), b, cfg)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"create queue elsewhere",
		`update consumer of orders: max_batch_size 50 -> 10, max_batch_timeout 2.5 -> 5, max_retries 5 -> 0, retry_delay 30 -> 0, ` +
			`max_concurrency 4 -> null, dead_letter_queue "orders-dead" -> "elsewhere"`,
		"update consumer of audit: max_retries 7 -> 3, max_concurrency 2 -> null",
	}, changes(r))
	info, err := b.Queue(t.Context(), "orders")
	require.NoError(t, err)
	assert.Equal(t, before.Consumer.ID, info.Consumer.ID, "the same consumer as before")
	assert.Equal(t, settings(func(s *inproq.ConsumerSettings) {
		s.MaxRetries, s.DeadLetterQueue = inproq.NoRetries, "elsewhere"
	}), info.Consumer.Settings)
	r, err = Apply(t.Context(), b, cfg)
	require.NoError(t, err)
	assert.Empty(t, r.Changes)
}

func TestApplyRemovesNothing(t *testing.T) {
	b := newBroker(t, inproq.Config{})
	cfg := shop(t, "")
	_, err := Apply(t.Context(), b, cfg)
	require.NoError(t, err)
	cfg.Consumers = cfg.Consumers[1:]
	r, err := Apply(t.Context(), b, cfg)
	require.NoError(t, err)
	assert.Empty(t, r.Changes)
	assert.Equal(t, []string{"orders"}, r.Unlisted)
	info, err := b.Queue(t.Context(), "orders")
	require.NoError(t, err)
	assert.NotNil(t, info.Consumer)
	assert.Equal(t, "no changes\nunlisted: shop still consumes orders\n"+
		"warning: testdata/shop.jsonc:18: queues.producers[1].delivery_delay has no effect: the delay is a setting of the queue", r.String())
}

// What others consume is found before anything is changed, and all of it.
func TestConflictsChangeNothing(t *testing.T) {
	b := newBroker(t, inproq.Config{})
	for queue, spec := range map[string]inproq.ConsumerSpec{
		"orders": {Kind: inproq.Worker, Script: "another"},
		"audit":  {Kind: inproq.HTTPPull},
	} {
		_, err := b.CreateQueue(t.Context(), queue, inproq.QueueConfig{})
		require.NoError(t, err)
		_, err = b.AttachConsumer(t.Context(), queue, spec)
		require.NoError(t, err)
	}
	_, err := Apply(t.Context(), b, shop(t, ""))
	require.ErrorIs(t, err, inproq.ErrConsumerExists)
	assert.ErrorContains(t, err, `queue "orders" has that of script "another"`)
	assert.ErrorContains(t, err, `queue "audit" has a pull consumer`)
	_, err = b.Queue(t.Context(), "orders-dead")
	assert.ErrorIs(t, err, inproq.ErrQueueNotFound)
}

func TestApplyChecksWhatIsMadeByHand(t *testing.T) {
	b := newBroker(t, inproq.Config{})
	for _, cfg := range []Config{
		{Consumers: []Consumer{{Queue: "a"}}},
		{Script: "s", Consumers: []Consumer{{Queue: "a"}, {Queue: "a"}}},
		{Script: "s", Consumers: []Consumer{{Queue: "b", Settings: inproq.ConsumerSettings{MaxRetries: 101}}}},
	} {
		_, err := Apply(t.Context(), b, cfg)
		assert.ErrorIs(t, err, inproq.ErrInvalidConfig)
	}
	_, err := b.Queue(t.Context(), "a")
	assert.ErrorIs(t, err, inproq.ErrQueueNotFound)
	_, err = Apply(t.Context(), b, Config{Producers: []Producer{{"A", "no name"}}})
	assert.ErrorIs(t, err, inproq.ErrInvalidQueueName)

	// An error on the way tells what was made until then.
	r, err := Apply(t.Context(), b, Config{Script: "s", Consumers: []Consumer{
		{Queue: "c"}, {Queue: "d", Settings: inproq.ConsumerSettings{MaxBatchSize: 101}},
	}})
	require.ErrorIs(t, err, inproq.ErrInvalidConfig)
	assert.ErrorContains(t, err, "attach consumer of d")
	assert.Equal(t, []string{"create queue c", "create queue d", "attach consumer of c"}, changes(r))
}

func TestApplyOnAClosedBroker(t *testing.T) {
	b := newBroker(t, inproq.Config{})
	require.NoError(t, b.Shutdown(t.Context()))
	_, err := Apply(t.Context(), b, shop(t, ""))
	assert.ErrorIs(t, err, inproq.ErrBrokerClosed)
}

// Several processes that start with one file on one store: each change is made once.
func TestConcurrentApplies(t *testing.T) {
	b := newBroker(t, inproq.Config{})
	cfg := shop(t, "")
	reports := make([]Report, 16)
	var wg sync.WaitGroup
	for i := range reports {
		wg.Go(func() {
			r, err := Apply(t.Context(), b, cfg)
			assert.NoError(t, err)
			reports[i] = r
		})
	}
	wg.Wait()
	made := map[string]int{}
	for _, r := range reports {
		for _, c := range r.Changes {
			made[c.String()]++
		}
	}
	assert.Equal(t, map[string]int{
		"create queue orders": 1, "create queue audit": 1, "create queue orders-dead": 1,
		"attach consumer of orders": 1, "attach consumer of audit": 1,
	}, made)
}

// The handler is bound by the script's name, whether it was registered before or after,
// and the settings are those of the file: retries, then the dead-letter queue.
func TestHandlersOfTheScriptReceive(t *testing.T) {
	for _, first := range []string{"handler", "configuration"} {
		synctest.Test(t, func(t *testing.T) {
			b := newBroker(t, inproq.Config{})
			var mu sync.Mutex
			var attempts []int
			handle := func() {
				require.NoError(t, inproq.Handle(b, "shop", func(ctx context.Context, batch *inproq.MessageBatch[string]) error {
					mu.Lock()
					defer mu.Unlock()
					for _, m := range batch.Messages {
						attempts = append(attempts, m.Attempts)
					}
					batch.RetryAll()
					return nil
				}))
			}
			apply := func() {
				_, err := Apply(t.Context(), b, shop(t, ""))
				require.NoError(t, err)
			}
			queuetest.Start(t, b)
			if first == "handler" {
				handle()
				apply()
			} else {
				apply()
				handle()
			}
			name, _ := shop(t, "").Queue("ORDERS")
			orders, err := inproq.Bind[string](t.Context(), b, name)
			require.NoError(t, err)
			began := time.Now()
			_, err = orders.Send(t.Context(), "one")
			require.NoError(t, err)
			for {
				m, err := b.Metrics(t.Context(), "orders-dead")
				require.NoError(t, err)
				if m.BacklogCount == 1 {
					break
				}
				time.Sleep(time.Second)
			}
			mu.Lock()
			defer mu.Unlock()
			assert.Equal(t, []int{1, 2, 3, 4, 5, 6}, attempts)
			// Five delays of 30 seconds, and six waits of 2.5 for a batch to fill.
			assert.InDelta(t, 165, time.Since(began).Seconds(), 2)
		})
	}
}

// A broker's own limits decide what is accepted, and what an open setting becomes.
func TestApplyWithOtherLimits(t *testing.T) {
	b := newBroker(t, inproq.Config{Limits: inproq.Limits{MaxDelay: 24 * time.Hour, MaxConsumerBatch: 5, MaxRetries: inproq.NoLimit}})
	f, err := Parse(TOML, []byte("name = \"s\"\nqueues.consumers = [{ queue = \"q\", retry_delay = 86400, max_retries = 1000 }]"))
	require.NoError(t, err)
	f.Limits = b.Limits()
	cfg, err := f.Environment("")
	require.NoError(t, err)
	for _, cfg := range []Config{cfg, {Script: "s", Consumers: []Consumer{{Queue: "by-hand"}}}} {
		_, err = Apply(t.Context(), b, cfg)
		require.NoError(t, err)
		info, err := b.Queue(t.Context(), cfg.Consumers[0].Queue)
		require.NoError(t, err)
		assert.Equal(t, 5, info.Consumer.Settings.MaxBatchSize)
		r, err := Apply(t.Context(), b, cfg)
		require.NoError(t, err)
		assert.Empty(t, r.Changes)
	}
}
