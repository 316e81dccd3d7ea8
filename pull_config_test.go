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

// pullSettings returns the settings that are stored.
func pullSettings(t *testing.T, b *inproq.Broker) inproq.ConsumerSettings {
	t.Helper()
	info, err := b.Queue(context.Background(), "jobs")
	require.NoError(t, err)
	require.NotNil(t, info.Consumer)
	require.Equal(t, inproq.HTTPPull, info.Consumer.Kind)
	require.Empty(t, info.Consumer.Script)
	require.Regexp(t, "^[0-9a-f]{32}$", info.Consumer.ID)
	return info.Consumer.Settings
}

func TestPullConfigDefaults(t *testing.T) {
	r := newPullRig(t, inproq.Config{})
	r.consumer(inproq.PullConfig{})
	assert.Equal(t, inproq.ConsumerSettings{
		MaxBatchSize: 5, MaxRetries: 3, RetryDelay: inproq.NoDelay, VisibilityTimeout: 30 * time.Second,
	}, pullSettings(t, r.broker))
}

// A limit below a default is the default.
func TestPullConfigDefaultsStayWithinLimits(t *testing.T) {
	r := newPullRig(t, inproq.Config{Limits: inproq.Limits{MaxPullBatch: 2, MaxVisibility: 10 * time.Second, MaxRetries: 1}})
	r.consumer(inproq.PullConfig{})
	assert.Equal(t, inproq.ConsumerSettings{
		MaxBatchSize: 2, MaxRetries: 1, RetryDelay: inproq.NoDelay, VisibilityTimeout: 10 * time.Second,
	}, pullSettings(t, r.broker))
}

func TestPullConfigAtItsBounds(t *testing.T) {
	for name, cfg := range map[string]inproq.PullConfig{
		"smallest": {MaxBatchSize: 1, VisibilityTimeout: 1, MaxRetries: inproq.NoRetries, RetryDelay: inproq.NoDelay, DeadLetterQueue: "d"},
		"largest": {
			MaxBatchSize: 100, VisibilityTimeout: 12 * time.Hour, MaxRetries: 100, RetryDelay: 12 * time.Hour, DeadLetterQueue: "dead",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newPullRig(t, inproq.Config{})
			r.consumer(cfg)
			assert.Equal(t, inproq.ConsumerSettings{
				MaxBatchSize: cfg.MaxBatchSize, VisibilityTimeout: cfg.VisibilityTimeout, MaxRetries: cfg.MaxRetries,
				RetryDelay: cfg.RetryDelay, DeadLetterQueue: cfg.DeadLetterQueue,
			}, pullSettings(t, r.broker))
			_, err := r.broker.Queue(t.Context(), cfg.DeadLetterQueue)
			assert.NoError(t, err, "it comes to be")
		})
	}
}

func TestPullConfigOutOfBounds(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  inproq.PullConfig
		text []string
	}{
		"batch too small":      {inproq.PullConfig{MaxBatchSize: -1}, []string{"MaxBatchSize is -1", "1 to 100"}},
		"batch too large":      {inproq.PullConfig{MaxBatchSize: 101}, []string{"MaxBatchSize is 101", "1 to 100"}},
		"visibility negative":  {inproq.PullConfig{VisibilityTimeout: -1}, []string{"VisibilityTimeout is -1ns", "1ns to 12h"}},
		"visibility too long":  {inproq.PullConfig{VisibilityTimeout: 12*time.Hour + 1}, []string{"VisibilityTimeout is 12h0m0.000000001s", "1ns to 12h"}},
		"retries negative":     {inproq.PullConfig{MaxRetries: -2}, []string{"MaxRetries is -2", "0 to 100"}},
		"too many retries":     {inproq.PullConfig{MaxRetries: 101}, []string{"MaxRetries is 101", "0 to 100"}},
		"retry delay negative": {inproq.PullConfig{RetryDelay: -2}, []string{"RetryDelay is -2ns", "0s to 12h"}},
		"retry delay too long": {inproq.PullConfig{RetryDelay: 12*time.Hour + 1}, []string{"RetryDelay is 12h0m0.000000001s", "0s to 12h"}},
		"its own dead letters": {inproq.PullConfig{DeadLetterQueue: "jobs"}, []string{`DeadLetterQueue is "jobs"`, "any other queue"}},
		"name of dead letters": {inproq.PullConfig{DeadLetterQueue: "-"}, []string{`DeadLetterQueue is "-"`, "1 to 63"}},
		"everything at once": {
			inproq.PullConfig{MaxBatchSize: 101, VisibilityTimeout: -1, MaxRetries: 101, RetryDelay: -2, DeadLetterQueue: "-"},
			[]string{"MaxBatchSize is 101", "VisibilityTimeout is", "MaxRetries is", "RetryDelay is", "DeadLetterQueue is", `queue "jobs"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newPullRig(t, inproq.Config{})
			_, err := r.queue.PullConsumer(c.cfg)
			sendReject(t, err, inproq.ErrInvalidConfig, 100127, c.text...)
			info, err := r.broker.Queue(t.Context(), "jobs")
			require.NoError(t, err)
			assert.Nil(t, info.Consumer)
		})
	}
}

// What an operator attaches has the same bounds, and no settings of a handler.
func TestPullConsumerHasNoSettingsOfAHandler(t *testing.T) {
	r := newPullRig(t, inproq.Config{})
	for text, s := range map[string]inproq.ConsumerSettings{
		"MaxBatchTimeout is 1s":       {MaxBatchTimeout: time.Second},
		"MaxConcurrency is 1":         {MaxConcurrency: 1},
		"MaxBatchSize is 101":         {MaxBatchSize: 101},
		"VisibilityTimeout is 12h0m1": {VisibilityTimeout: 12*time.Hour + time.Second},
	} {
		_, err := r.broker.AttachConsumer(t.Context(), "jobs", inproq.ConsumerSpec{Kind: inproq.HTTPPull, Settings: s})
		sendReject(t, err, inproq.ErrInvalidConfig, 100127, text)
	}
	_, err := r.broker.AttachConsumer(t.Context(), "jobs", inproq.ConsumerSpec{Kind: inproq.HTTPPull, Script: "s"})
	sendReject(t, err, inproq.ErrInvalidConfig, 100127, `Script is "s"`)
}

func TestPullRequestAtItsBounds(t *testing.T) {
	r := newPullRig(t, inproq.Config{})
	r.consumer(inproq.PullConfig{})
	for range 101 {
		r.send("x")
	}
	assert.Len(t, r.pull(inproq.PullRequest{BatchSize: 1, VisibilityTimeout: 12 * time.Hour}), 1)
	assert.Len(t, r.pull(inproq.PullRequest{VisibilityTimeout: time.Minute}), 5, "as the consumer's settings say")
	assert.Len(t, r.pull(inproq.PullRequest{BatchSize: 100, VisibilityTimeout: time.Minute}), 95)
}

func TestPullRequestOutOfBounds(t *testing.T) {
	r := newPullRig(t, inproq.Config{})
	r.consumer(inproq.PullConfig{})
	r.send("x")
	for text, req := range map[string]inproq.PullRequest{
		"BatchSize is -1, allowed: 1 to 100":                                  {BatchSize: -1},
		"BatchSize is 101, allowed: 1 to 100":                                 {BatchSize: 101},
		"VisibilityTimeout is -1ns, allowed: 1ns to 12h0m0s":                  {VisibilityTimeout: -1},
		"VisibilityTimeout is 12h0m0.000000001s, allowed: 1ns to 12h0m0s":     {VisibilityTimeout: 12*time.Hour + 1},
		"BatchSize is 101, allowed: 1 to 100; VisibilityTimeout is -1ns, all": {BatchSize: 101, VisibilityTimeout: -1},
	} {
		_, err := r.broker.Pull(t.Context(), "jobs", req)
		sendReject(t, err, inproq.ErrInvalidConfig, 100128, text, `queue "jobs"`)
	}
	assert.Zero(t, r.stats().Pulls)
	assert.EqualValues(t, 1, r.backlog().Ready)
}

// Stored settings that exceed limits which were lowered since are no fault of a
// request that does not name them: it gets what the limits allow.
func TestPullBySettingsAboveTheLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		second := newPullRig(t, inproq.Config{Store: st, Limits: inproq.Limits{MaxPullBatch: 2, MaxVisibility: time.Second}})
		c := second.consumer(inproq.PullConfig{})
		first := newPullRig(t, inproq.Config{Store: st})
		_, err := first.broker.UpdateConsumer(t.Context(), "jobs", inproq.ConsumerUpdate{MaxBatchSize: new(10), VisibilityTimeout: new(time.Minute)})
		require.NoError(t, err)
		first.send("a", "b", "c", "d", "e")
		assert.Len(t, second.pull(inproq.PullRequest{}), 2)
		assert.Len(t, pullNow(t, c).Messages, 2)
		time.Sleep(time.Second)
		assert.EqualValues(t, 5, second.backlog().Ready, "the visibility, too")
		_, err = second.broker.Pull(t.Context(), "jobs", inproq.PullRequest{BatchSize: 3})
		sendReject(t, err, inproq.ErrInvalidConfig, 100128, "BatchSize is 3, allowed: 1 to 2")
	})
}
