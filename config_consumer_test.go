package inproq_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

func TestConfigConsumerBounds(t *testing.T) {
	type config = inproq.ConsumerConfig
	tests := map[string]struct {
		cfg  config
		text string // in the error; "": accepted
	}{
		"all defaults":         {config{}, ""},
		"batch 1":              {config{MaxBatchSize: 1}, ""},
		"batch 100":            {config{MaxBatchSize: 100}, ""},
		"batch 101":            {config{MaxBatchSize: 101}, "MaxBatchSize is 101, allowed: 1 to 100"},
		"batch negative":       {config{MaxBatchSize: -1}, "MaxBatchSize is -1, allowed: 1 to 100"},
		"NoWait":               {config{MaxBatchTimeout: inproq.NoWait}, ""},
		"timeout 60s":          {config{MaxBatchTimeout: time.Minute}, ""},
		"timeout above":        {config{MaxBatchTimeout: time.Minute + 1}, "MaxBatchTimeout is 1m0.000000001s, allowed: 0s to 1m0s"},
		"timeout negative":     {config{MaxBatchTimeout: -2}, "MaxBatchTimeout is -2ns, allowed: 0s to 1m0s"},
		"NoRetries":            {config{MaxRetries: inproq.NoRetries}, ""},
		"retries 100":          {config{MaxRetries: 100}, ""},
		"retries 101":          {config{MaxRetries: 101}, "MaxRetries is 101, allowed: 0 to 100"},
		"retries negative":     {config{MaxRetries: -2}, "MaxRetries is -2, allowed: 0 to 100"},
		"NoDelay":              {config{RetryDelay: inproq.NoDelay}, ""},
		"retry delay 12h":      {config{RetryDelay: 12 * time.Hour}, ""},
		"retry delay above":    {config{RetryDelay: 12*time.Hour + 1}, "RetryDelay is 12h0m0.000000001s, allowed: 0s to 12h0m0s"},
		"retry delay negative": {config{RetryDelay: -2}, "RetryDelay is -2ns, allowed: 0s to 12h0m0s"},
		"concurrency 1":        {config{MaxConcurrency: 1}, ""},
		"concurrency 250":      {config{MaxConcurrency: 250}, ""},
		"concurrency 251":      {config{MaxConcurrency: 251}, "MaxConcurrency is 251, allowed: 0 to 250"},
		"concurrency negative": {config{MaxConcurrency: -1}, "MaxConcurrency is -1, allowed: 0 to 250"},
		"shortest duration":    {config{MaxDuration: 1}, ""},
		"duration negative":    {config{MaxDuration: -1}, "MaxDuration is -1ns, allowed: 1ns to"},
		"duration too long":    {config{MaxDuration: math.MaxInt64}, "MaxDuration is"},
		"dead-letter queue":    {config{DeadLetterQueue: "dead"}, ""},
		"itself":               {config{DeadLetterQueue: "q"}, `DeadLetterQueue is "q", allowed: any other queue`},
		"no queue's name":      {config{DeadLetterQueue: "-"}, `DeadLetterQueue is "-", allowed: 1 to 63`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			q := sendQueue[[]byte](t, sendBroker(t, inproq.Config{}), "q", inproq.QueueConfig{})
			_, err := q.Consume(new(sendSink[[]byte]).handle, tt.cfg)
			if tt.text == "" {
				require.NoError(t, err)
				return
			}
			sendReject(t, err, inproq.ErrInvalidConfig, 100127, tt.text, `"q"`)
			_, err = q.Consume(new(sendSink[[]byte]).handle, inproq.ConsumerConfig{})
			require.NoError(t, err, "nothing was attached")
		})
	}
}

func TestConfigConsumerListsEveryViolation(t *testing.T) {
	q := sendQueue[[]byte](t, sendBroker(t, inproq.Config{}), "q", inproq.QueueConfig{})
	_, err := q.Consume(nil, inproq.ConsumerConfig{
		MaxBatchSize: -1, MaxBatchTimeout: -2, MaxRetries: -2, RetryDelay: -2, MaxConcurrency: -1, MaxDuration: -1, DeadLetterQueue: "q",
	})
	sendReject(t, err, inproq.ErrInvalidConfig, 100127, "handler is nil",
		"MaxBatchSize", "MaxBatchTimeout", "MaxRetries", "RetryDelay", "MaxConcurrency", "MaxDuration", "DeadLetterQueue")
}

// Each without its function is no handler either.
func TestConfigConsumerNeedsAHandler(t *testing.T) {
	q := sendQueue[[]byte](t, sendBroker(t, inproq.Config{}), "q", inproq.QueueConfig{})
	for _, h := range []inproq.Handler[[]byte]{nil, inproq.Each[[]byte](nil)} {
		_, err := q.Consume(h, inproq.ConsumerConfig{})
		sendReject(t, err, inproq.ErrInvalidConfig, 100127, "handler is nil")
	}
}

// Defaults give way to limits that are lower, so that a Limits field alone can be
// lowered; what is written out does not.
func TestConfigConsumerDefaultsFollowLimits(t *testing.T) {
	b := sendBroker(t, inproq.Config{Limits: inproq.Limits{
		MaxConsumerBatch: 3, MaxBatchTimeout: time.Second, MaxRetries: 1, MaxConcurrency: 2, MaxDelay: time.Second,
	}})
	_, err := sendQueue[[]byte](t, b, "default", inproq.QueueConfig{}).Consume(new(sendSink[[]byte]).handle, inproq.ConsumerConfig{})
	require.NoError(t, err)
	_, err = sendQueue[[]byte](t, b, "written", inproq.QueueConfig{}).Consume(new(sendSink[[]byte]).handle, inproq.ConsumerConfig{
		MaxBatchSize: 10, MaxBatchTimeout: 5 * time.Second, MaxRetries: 3, MaxConcurrency: 250, RetryDelay: 2 * time.Second,
	})
	sendReject(t, err, inproq.ErrInvalidConfig, 100127, "1 to 3", "0s to 1s", "0 to 1", "0 to 2", "RetryDelay is 2s")
}
