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

// What is not said has its default, and what is returned is what the queue has.
func TestAttachConsumerDefaults(t *testing.T) {
	for name, tc := range map[string]struct {
		spec, want inproq.ConsumerSpec
	}{
		"worker": {
			inproq.ConsumerSpec{Kind: inproq.Worker},
			inproq.ConsumerSpec{Kind: inproq.Worker, Script: "q", Settings: inproq.ConsumerSettings{
				MaxBatchSize: 10, MaxBatchTimeout: 5 * time.Second, MaxRetries: 3, RetryDelay: inproq.NoDelay,
			}},
		},
		"named": {
			inproq.ConsumerSpec{Kind: inproq.Worker, Script: "s", Settings: inproq.ConsumerSettings{
				MaxBatchTimeout: inproq.NoWait, MaxRetries: inproq.NoRetries, RetryDelay: inproq.NoDelay,
			}},
			inproq.ConsumerSpec{Kind: inproq.Worker, Script: "s", Settings: inproq.ConsumerSettings{
				MaxBatchSize: 10, MaxBatchTimeout: inproq.NoWait, MaxRetries: inproq.NoRetries, RetryDelay: inproq.NoDelay,
			}},
		},
		"pull": {
			inproq.ConsumerSpec{Kind: inproq.HTTPPull},
			inproq.ConsumerSpec{Kind: inproq.HTTPPull, Settings: inproq.ConsumerSettings{
				MaxBatchSize: 5, VisibilityTimeout: 30 * time.Second, MaxRetries: 3, RetryDelay: inproq.NoDelay,
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := consumersBroker(t, inproq.Config{})
				time.Sleep(time.Hour)
				got := consumersAttach(t, b, "q", tc.spec)
				assert.Equal(t, tc.want, got.ConsumerSpec)
				assert.Equal(t, "q", got.Queue)
				assert.Equal(t, time.Now().UTC(), got.CreatedAt)
				assert.Regexp(t, "^[0-9a-f]{32}$", got.ID)
				assert.Equal(t, &got, consumersInfo(t, b, "q").Consumer)
			})
		})
	}
}

// consumersEdge is a setting with the last value that is allowed and the first one
// that is not.
type consumersEdge struct {
	kind      inproq.ConsumerKind
	set       func(*inproq.ConsumerSettings, int64)
	good, bad int64
	text      string // of the error
}

func consumersEdges() map[string]consumersEdge {
	type settings = inproq.ConsumerSettings
	worker, pull := inproq.Worker, inproq.HTTPPull
	size := func(s *settings, v int64) { s.MaxBatchSize = int(v) }
	timeout := func(s *settings, v int64) { s.MaxBatchTimeout = time.Duration(v) }
	retries := func(s *settings, v int64) { s.MaxRetries = int(v) }
	delay := func(s *settings, v int64) { s.RetryDelay = time.Duration(v) }
	handlers := func(s *settings, v int64) { s.MaxConcurrency = int(v) }
	visibility := func(s *settings, v int64) { s.VisibilityTimeout = time.Duration(v) }
	minute, half := int64(time.Minute), int64(12*time.Hour)
	return map[string]consumersEdge{
		"worker, size":           {worker, size, 100, 101, "MaxBatchSize is 101, allowed: 1 to 100"},
		"worker, least size":     {worker, size, 1, -1, "MaxBatchSize is -1, allowed: 1 to 100"},
		"worker, timeout":        {worker, timeout, minute, minute + 1, "MaxBatchTimeout is 1m0.000000001s, allowed: 0s to 1m0s"},
		"worker, least timeout":  {worker, timeout, -1, -2, "MaxBatchTimeout is -2ns, allowed: 0s to 1m0s"},
		"worker, retries":        {worker, retries, 100, 101, "MaxRetries is 101, allowed: 0 to 100"},
		"worker, least retries":  {worker, retries, -1, -2, "MaxRetries is -2, allowed: 0 to 100"},
		"worker, delay":          {worker, delay, half, half + 1, "RetryDelay is 12h0m0.000000001s, allowed: 0s to 12h0m0s"},
		"worker, least delay":    {worker, delay, -1, -2, "RetryDelay is -2ns, allowed: 0s to 12h0m0s"},
		"worker, handlers":       {worker, handlers, 250, 251, "MaxConcurrency is 251, allowed: 0 to 250"},
		"worker, least handlers": {worker, handlers, 0, -1, "MaxConcurrency is -1, allowed: 0 to 250"},
		"worker, visibility":     {worker, visibility, 0, 1, "VisibilityTimeout is 1ns, allowed: nothing: a worker has none"},
		"pull, size":             {pull, size, 100, 101, "MaxBatchSize is 101, allowed: 1 to 100"},
		"pull, least size":       {pull, size, 1, -1, "MaxBatchSize is -1, allowed: 1 to 100"},
		"pull, retries":          {pull, retries, 100, 101, "MaxRetries is 101, allowed: 0 to 100"},
		"pull, delay":            {pull, delay, half, half + 1, "RetryDelay is 12h0m0.000000001s, allowed: 0s to 12h0m0s"},
		"pull, visibility":       {pull, visibility, half, half + 1, "VisibilityTimeout is 12h0m0.000000001s, allowed: 1ns to 12h0m0s"},
		"pull, least visibility": {pull, visibility, 1, -1, "VisibilityTimeout is -1ns, allowed: 1ns to 12h0m0s"},
		"pull, timeout":          {pull, timeout, 0, 1, "MaxBatchTimeout is 1ns, allowed: nothing: a pull consumer has none"},
		"pull, no timeout":       {pull, timeout, 0, -1, "MaxBatchTimeout is -1ns, allowed: nothing: a pull consumer has none"},
		"pull, handlers":         {pull, handlers, 0, 1, "MaxConcurrency is 1, allowed: nothing: a pull consumer has none"},
	}
}

func TestAttachConsumerBounds(t *testing.T) {
	for name, e := range consumersEdges() {
		t.Run(name, func(t *testing.T) {
			b := consumersBroker(t, inproq.Config{})
			before := consumersInfo(t, b, "q")
			spec := inproq.ConsumerSpec{Kind: e.kind}
			e.set(&spec.Settings, e.bad)
			_, err := b.AttachConsumer(t.Context(), "q", spec)
			sendReject(t, err, inproq.ErrInvalidConfig, 100127, e.text, `"q"`)
			assert.Equal(t, before, consumersInfo(t, b, "q"), "nothing was written")

			e.set(&spec.Settings, e.good)
			first := consumersAttach(t, b, "q", spec)
			want := first.Settings
			e.set(&want, e.good)
			if e.good != 0 {
				assert.Equal(t, want, first.Settings)
			}
			require.NoError(t, b.RemoveConsumer(t.Context(), "q"))
			second := consumersAttach(t, b, "q", first.ConsumerSpec)
			assert.Equal(t, first.ConsumerSpec, second.ConsumerSpec, "what is returned can be given")
			assert.NotEqual(t, first.ID, second.ID)
		})
	}
}

// The bounds are those of the broker's Limits, and so are defaults beyond them.
func TestAttachConsumerFollowsLimits(t *testing.T) {
	b := consumersBroker(t, inproq.Config{Limits: inproq.Limits{
		MaxConsumerBatch: 4, MaxBatchTimeout: time.Second, MaxRetries: 1, MaxDelay: time.Minute, MaxConcurrency: 2,
		MaxPullBatch: 3, MaxVisibility: 7 * time.Second,
	}})
	spec := inproq.ConsumerSpec{Kind: inproq.Worker}
	spec.Settings = inproq.ConsumerSettings{MaxBatchSize: 5, MaxBatchTimeout: 2 * time.Second, MaxRetries: 2, RetryDelay: time.Hour, MaxConcurrency: 3}
	_, err := b.AttachConsumer(t.Context(), "q", spec)
	sendReject(t, err, inproq.ErrInvalidConfig, 100127, "MaxBatchSize is 5, allowed: 1 to 4", "MaxBatchTimeout is 2s",
		"MaxRetries is 2, allowed: 0 to 1", "RetryDelay is 1h0m0s", "MaxConcurrency is 3, allowed: 0 to 2")
	spec.Settings = inproq.ConsumerSettings{}
	assert.Equal(t, inproq.ConsumerSettings{MaxBatchSize: 4, MaxBatchTimeout: time.Second, MaxRetries: 1, RetryDelay: inproq.NoDelay},
		consumersAttach(t, b, "q", spec).Settings)
	require.NoError(t, b.RemoveConsumer(t.Context(), "q"))
	assert.Equal(t, inproq.ConsumerSettings{MaxBatchSize: 3, VisibilityTimeout: 7 * time.Second, MaxRetries: 1, RetryDelay: inproq.NoDelay},
		consumersAttach(t, b, "q", inproq.ConsumerSpec{Kind: inproq.HTTPPull}).Settings)
}

func TestAttachConsumerErrors(t *testing.T) {
	dead := func(dlq string) inproq.ConsumerSettings { return inproq.ConsumerSettings{DeadLetterQueue: dlq} }
	for name, tc := range map[string]struct {
		queue string
		spec  inproq.ConsumerSpec
		as    error
		code  int
		text  []string
	}{
		"no kind":       {"q", inproq.ConsumerSpec{}, inproq.ErrInvalidConfig, 100127, []string{`Kind is ""`, `"worker", "http_pull"`}},
		"another kind":  {"q", inproq.ConsumerSpec{Kind: "Worker"}, inproq.ErrInvalidConfig, 100127, []string{`Kind is "Worker"`}},
		"pull script":   {"q", inproq.ConsumerSpec{Kind: inproq.HTTPPull, Script: "s", Settings: dead("q")}, inproq.ErrInvalidConfig, 100127, []string{`Script is "s"`, `DeadLetterQueue is "q"`}},
		"own dead":      {"q", inproq.ConsumerSpec{Kind: inproq.Worker, Settings: dead("q")}, inproq.ErrInvalidConfig, 100127, []string{`DeadLetterQueue is "q"`}},
		"dead name":     {"q", inproq.ConsumerSpec{Kind: inproq.Worker, Settings: dead("-")}, inproq.ErrInvalidConfig, 100127, []string{`DeadLetterQueue is "-"`}},
		"queue name":    {"-", inproq.ConsumerSpec{Kind: inproq.Worker}, inproq.ErrInvalidQueueName, 11003, []string{`"-"`}},
		"unknown queue": {"none", inproq.ConsumerSpec{Kind: inproq.Worker, Settings: dead("dead")}, inproq.ErrQueueNotFound, 10104, []string{`"none"`}},
		"taken":         {"busy", inproq.ConsumerSpec{Kind: inproq.Worker, Settings: dead("dead")}, inproq.ErrConsumerExists, 11004, []string{`"busy"`, `worker consumer "s"`}},
		"taken by same": {"busy", inproq.ConsumerSpec{Kind: inproq.Worker, Script: "s"}, inproq.ErrConsumerExists, 11004, nil},
		"pulled":        {"pulled", inproq.ConsumerSpec{Kind: inproq.HTTPPull, Settings: dead("dead")}, inproq.ErrConsumerExists, 11004, []string{"a pull consumer"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := consumersBroker(t, inproq.Config{})
			consumersCreate(t, b, "busy", "pulled")
			consumersAttach(t, b, "busy", inproq.ConsumerSpec{Kind: inproq.Worker, Script: "s"})
			consumersAttach(t, b, "pulled", inproq.ConsumerSpec{Kind: inproq.HTTPPull})
			before := consumersInfo(t, b, "busy")
			_, err := b.AttachConsumer(t.Context(), tc.queue, tc.spec)
			sendReject(t, err, tc.as, tc.code, tc.text...)
			assert.Equal(t, []string{"busy", "pulled", "q"}, consumersNames(t, b), "no dead-letter queue came to be")
			assert.Equal(t, before, consumersInfo(t, b, "busy"))
			assert.Nil(t, consumersInfo(t, b, "q").Consumer)
		})
	}
}

// All that the methods share: no context, no broker, no consumer.
func TestConsumerMethodsFailAlike(t *testing.T) {
	b := consumersBroker(t, inproq.Config{})
	methods := map[string]func(context.Context, string) error{
		"attach": func(ctx context.Context, q string) error {
			_, err := b.AttachConsumer(ctx, q, inproq.ConsumerSpec{Kind: inproq.HTTPPull})
			return err
		},
		"update": func(ctx context.Context, q string) error {
			_, err := b.UpdateConsumer(ctx, q, inproq.ConsumerUpdate{MaxRetries: new(1)})
			return err
		},
		"update dead": func(ctx context.Context, q string) error {
			_, err := b.UpdateConsumer(ctx, q, inproq.ConsumerUpdate{DeadLetterQueue: new("dead")})
			return err
		},
		"remove": b.RemoveConsumer,
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range methods {
		require.ErrorIs(t, call(over, "q"), context.Canceled, name)
		sendReject(t, call(t.Context(), "a b"), inproq.ErrInvalidQueueName, 11003, `"a b"`)
		sendReject(t, call(t.Context(), "none"), inproq.ErrQueueNotFound, 10104, `"none"`)
		if name != "attach" {
			sendReject(t, call(t.Context(), "q"), inproq.ErrConsumerNotFound, 11006, `"q" has none`)
		}
	}
	assert.Equal(t, []string{"q"}, consumersNames(t, b))
	require.NoError(t, b.Shutdown(t.Context()))
	for name, call := range methods {
		require.ErrorIs(t, call(t.Context(), "q"), inproq.ErrBrokerClosed, name)
	}
}

// A dead-letter queue that does not exist comes to be, one that does stays as it is.
func TestAttachConsumerCreatesTheDeadLetterQueue(t *testing.T) {
	b := consumersBroker(t, inproq.Config{})
	spec := inproq.ConsumerSpec{Kind: inproq.HTTPPull, Settings: inproq.ConsumerSettings{DeadLetterQueue: "dead"}}
	consumersAttach(t, b, "q", spec)
	assert.Equal(t, []string{"dead", "q"}, consumersNames(t, b))
	before := consumersInfo(t, b, "dead")
	consumersCreate(t, b, "q2")
	consumersAttach(t, b, "q2", spec)
	assert.Equal(t, before, consumersInfo(t, b, "dead"))
}

// A removed consumer makes room for one of another kind, and messages wait for it.
func TestRemoveConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sink accountSink
		b := consumersRunning(t, inproq.Config{}, &sink)
		consumersAttach(t, b, "q", consumersWorker())
		consumersSend(t, b, "q", "a")
		synctest.Wait()
		require.NoError(t, b.RemoveConsumer(t.Context(), "q"))
		assert.Nil(t, consumersInfo(t, b, "q").Consumer)
		consumersSend(t, b, "q", "b")
		time.Sleep(time.Hour)
		assert.Equal(t, []string{"a"}, sink.bodies())
		consumersAttach(t, b, "q", inproq.ConsumerSpec{Kind: inproq.HTTPPull})
		got, err := b.Pull(t.Context(), "q", inproq.PullRequest{})
		require.NoError(t, err)
		require.Len(t, got.Messages, 1)
		require.NoError(t, b.RemoveConsumer(t.Context(), "q"))
		res, err := b.Settle(t.Context(), "q", inproq.SettleRequest{Acks: []string{got.Messages[0].LeaseID}})
		require.NoError(t, err, "what was pulled can still be settled")
		assert.Equal(t, 1, res.Acked)
		assert.Zero(t, accountCount(t, b, "q"))
	})
}

// A handler that runs when its consumer is removed finishes, and what it decides counts.
func TestRemoveConsumerLetsHandlersFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := accountGate()
		b := consumersRunning(t, inproq.Config{}, sink)
		consumersAttach(t, b, "q", consumersWorker())
		consumersSend(t, b, "q", "a")
		synctest.Wait()
		require.NoError(t, b.RemoveConsumer(t.Context(), "q"))
		assert.Equal(t, 1, accountCount(t, b, "q"))
		close(sink.open)
		synctest.Wait()
		assert.Zero(t, accountCount(t, b, "q"))
		assert.Equal(t, []string{"a"}, sink.bodies())
	})
}
