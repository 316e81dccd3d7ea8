package inproq_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store/memory"
)

const configDay = 24 * time.Hour

func TestConfigQueueBounds(t *testing.T) {
	tests := map[string]struct {
		cfg  inproq.QueueConfig
		text string // in the error; "": accepted
	}{
		"all defaults":       {inproq.QueueConfig{}, ""},
		"retention 60s":      {inproq.QueueConfig{MessageRetentionPeriod: time.Minute}, ""},
		"retention below":    {inproq.QueueConfig{MessageRetentionPeriod: time.Minute - 1}, "MessageRetentionPeriod is 59.999999999s, allowed: 1m0s to 336h0m0s"},
		"retention 59s":      {inproq.QueueConfig{MessageRetentionPeriod: 59 * time.Second}, "MessageRetentionPeriod is 59s, allowed: 1m0s to 336h0m0s"},
		"retention 14 days":  {inproq.QueueConfig{MessageRetentionPeriod: 14 * configDay}, ""},
		"retention above":    {inproq.QueueConfig{MessageRetentionPeriod: 14*configDay + 1}, "MessageRetentionPeriod is 336h0m0.000000001s"},
		"negative retention": {inproq.QueueConfig{MessageRetentionPeriod: -1}, "MessageRetentionPeriod is -1ns"},
		"NoDelay":            {inproq.QueueConfig{DeliveryDelay: inproq.NoDelay}, ""},
		"delay 12h":          {inproq.QueueConfig{DeliveryDelay: 12 * time.Hour}, ""},
		"delay above":        {inproq.QueueConfig{DeliveryDelay: 12*time.Hour + 1}, "DeliveryDelay is 12h0m0.000000001s, allowed: 0s to 12h0m0s"},
		"negative delay":     {inproq.QueueConfig{DeliveryDelay: -2}, "DeliveryDelay is -2ns, allowed: 0s to 12h0m0s"},
		"content type":       {inproq.QueueConfig{ContentType: "TEXT"}, ""},
		"unknown type":       {inproq.QueueConfig{ContentType: "xml"}, `ContentType is "xml", allowed: json, text, bytes, gob`},
		"v8":                 {inproq.QueueConfig{ContentType: "v8"}, `ContentType is "v8", allowed: json, text, bytes, gob`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := sendBroker(t, inproq.Config{})
			_, created := b.CreateQueue(t.Context(), "created", tt.cfg)
			_, declared := inproq.Declare[string](t.Context(), b, "declared", tt.cfg)
			if tt.text == "" {
				require.NoError(t, created)
				require.NoError(t, declared)
				return
			}
			sendReject(t, created, inproq.ErrInvalidConfig, 100128, tt.text)
			sendReject(t, declared, inproq.ErrInvalidConfig, 100128, tt.text, `"declared"`)
			_, err := b.Queue(t.Context(), "declared")
			require.ErrorIs(t, err, inproq.ErrQueueNotFound, "nothing was created")
		})
	}
}

func TestConfigQueueListsEveryViolation(t *testing.T) {
	_, err := inproq.Declare[string](t.Context(), sendBroker(t, inproq.Config{}), "q",
		inproq.QueueConfig{DeliveryDelay: -2, MessageRetentionPeriod: 1, ContentType: "xml"})
	sendReject(t, err, inproq.ErrInvalidConfig, 100128, "DeliveryDelay", "MessageRetentionPeriod", "ContentType")
}

func TestConfigQueueDefaults(t *testing.T) {
	info, err := sendBroker(t, inproq.Config{}).CreateQueue(t.Context(), "q", inproq.QueueConfig{})
	require.NoError(t, err)
	assert.Equal(t, inproq.QueueConfig{DeliveryDelay: inproq.NoDelay, MessageRetentionPeriod: 4 * configDay}, info.Settings)
}

// The default retention gives way to limits that exclude it.
func TestConfigDefaultRetentionFollowsLimits(t *testing.T) {
	for _, tt := range []struct{ lo, hi, want time.Duration }{
		{0, configDay, configDay},
		{5 * configDay, 0, 5 * configDay},
		{inproq.NoLimit, inproq.NoLimit, 4 * configDay},
	} {
		b := sendBroker(t, inproq.Config{Limits: inproq.Limits{MinRetention: tt.lo, MaxRetention: tt.hi}})
		info, err := b.CreateQueue(t.Context(), "q", inproq.QueueConfig{})
		require.NoError(t, err)
		assert.Equal(t, tt.want, info.Settings.MessageRetentionPeriod)
	}
}

func TestConfigQueueNames(t *testing.T) {
	good := []string{"a", "Z", "7", "a-b", "a--b", "0-0", "ABCxyz019", strings.Repeat("n", 63), "a" + strings.Repeat("-", 61) + "b"}
	bad := []string{"", strings.Repeat("n", 64), "-", "-a", "a-", "-a-", " a", "a\x00", "\xff", "a\xc3\xa9", "a\n"}
	for c := range rune(0x80) {
		name := fmt.Sprintf("a%cb", c)
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
			good = append(good, name)
		default:
			bad = append(bad, name)
		}
	}
	b, ctx := sendBroker(t, inproq.Config{}), t.Context()
	for _, name := range good {
		_, err := inproq.Declare[[]byte](ctx, b, name, inproq.QueueConfig{})
		require.NoError(t, err, "%q", name)
	}
	for _, name := range bad {
		_, declare := inproq.Declare[[]byte](ctx, b, name, inproq.QueueConfig{})
		_, bind := inproq.Bind[[]byte](ctx, b, name)
		_, create := b.CreateQueue(ctx, name, inproq.QueueConfig{})
		for _, err := range []error{declare, bind, create} {
			sendReject(t, err, inproq.ErrInvalidQueueName, 11003, fmt.Sprintf("%q", name), "1 to 63")
		}
	}
}

func TestConfigLimitsListEveryViolation(t *testing.T) {
	_, err := inproq.NewBroker(inproq.Config{ShutdownTimeout: -time.Second, Limits: inproq.Limits{
		MaxMessageBytes: -2, MaxHeaderBytes: -2, MaxBatchMessages: -2, MaxBatchBytes: -2, MaxDelay: -2, MinRetention: -2,
		MaxRetention: -2, MaxConsumerBatch: -2, MaxBatchTimeout: -2, MaxRetries: -2, MaxConcurrency: -2, MaxPullBatch: -2,
		MaxVisibility: -2, MaxBacklogBytes: -2, MessagesPerSecond: -2,
	}})
	sendReject(t, err, inproq.ErrInvalidConfig, 100128, "ShutdownTimeout is -1s",
		"Limits.MaxMessageBytes is -2, allowed: positive, or NoLimit", "MaxHeaderBytes", "MaxBatchMessages", "MaxBatchBytes",
		"MaxDelay is -2ns", "MinRetention", "MaxRetention", "MaxConsumerBatch", "MaxBatchTimeout", "MaxRetries",
		"MaxConcurrency", "MaxPullBatch", "MaxVisibility", "MaxBacklogBytes", "MessagesPerSecond")
	assert.NotErrorIs(t, err, inproq.ErrMessageTooLarge)
}

func TestConfigLimitsMustLeaveARetention(t *testing.T) {
	for _, l := range []inproq.Limits{
		{MinRetention: 2 * time.Hour, MaxRetention: time.Hour},
		{MinRetention: 15 * configDay}, // above the default maximum
		{MaxRetention: time.Second},    // below the default minimum
	} {
		_, err := inproq.NewBroker(inproq.Config{Limits: l})
		sendReject(t, err, inproq.ErrInvalidConfig, 100128, "MinRetention", "MaxRetention")
	}
	sendBroker(t, inproq.Config{Limits: inproq.Limits{MinRetention: time.Hour, MaxRetention: time.Hour}})
}

func TestConfigShutdownTimeout(t *testing.T) {
	_, err := inproq.NewBroker(inproq.Config{ShutdownTimeout: -1})
	sendReject(t, err, inproq.ErrInvalidConfig, 100128, "ShutdownTimeout", "-1ns")
	sendBroker(t, inproq.Config{ShutdownTimeout: 1})
}

func TestConfigNoLimitLiftsEveryBound(t *testing.T) {
	const none, long = inproq.NoLimit, 50 * 365 * configDay
	b := sendBroker(t, inproq.Config{Limits: inproq.Limits{
		MaxMessageBytes: none, MaxHeaderBytes: none, MaxBatchMessages: none, MaxBatchBytes: none, MaxDelay: none,
		MinRetention: none, MaxRetention: none, MaxConsumerBatch: none, MaxBatchTimeout: none, MaxRetries: none,
		MaxConcurrency: none, MaxPullBatch: none, MaxVisibility: none, MaxBacklogBytes: none, MessagesPerSecond: none,
	}})
	sendQueue[[]byte](t, b, "brief", inproq.QueueConfig{MessageRetentionPeriod: 1})
	q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{DeliveryDelay: long, MessageRetentionPeriod: 2 * long})
	_, err := q.Consume(new(sendSink[[]byte]).handle, inproq.ConsumerConfig{
		MaxBatchSize: 1e6, MaxBatchTimeout: long, MaxRetries: 1e6, RetryDelay: long, MaxConcurrency: 1e6,
	})
	require.NoError(t, err)
	_, err = q.SendBatch(t.Context(), make([]inproq.MessageSendRequest[[]byte], 6_000), inproq.Delay(1<<63-1))
	require.NoError(t, err)
	backlog, err := b.Backlog(t.Context(), "q")
	require.NoError(t, err)
	assert.EqualValues(t, 6_000, backlog.Delayed)
}

// The named limits may be given as they are.
func TestConfigDefaultLimitsAreTheDefault(t *testing.T) {
	assert.Equal(t, 5_000, inproq.CloudflareLimits().MessagesPerSecond)
	limits := inproq.CloudflareLimits()
	limits.MessagesPerSecond = inproq.NoLimit
	assert.Equal(t, inproq.DefaultLimits(), limits)
	assert.Equal(t, inproq.Limits{
		MaxMessageBytes: 128_000, MaxHeaderBytes: 8_000, MaxBatchMessages: 100, MaxBatchBytes: 256_000, MaxDelay: 12 * time.Hour,
		MinRetention: time.Minute, MaxRetention: 14 * configDay, MaxConsumerBatch: 100, MaxBatchTimeout: time.Minute,
		MaxRetries: 100, MaxConcurrency: 250, MaxPullBatch: 100, MaxVisibility: 12 * time.Hour,
		MaxBacklogBytes: 25_000_000_000, MessagesPerSecond: inproq.NoLimit,
	}, limits)
	sendBroker(t, inproq.Config{Limits: inproq.DefaultLimits()})
}

// A store that is passed in stays open; one that the broker made does not.
func TestConfigStoreIsClosedByItsOwner(t *testing.T) {
	st := memory.New()
	b := sendBroker(t, inproq.Config{Store: st})
	sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
	require.NoError(t, b.Shutdown(t.Context()))
	_, err := st.Stats(t.Context(), "q")
	require.NoError(t, err)

	b = sendBroker(t, inproq.Config{})
	sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
	require.NoError(t, b.Shutdown(t.Context()))
	_, err = b.Metrics(t.Context(), "q")
	require.ErrorIs(t, err, inproq.ErrBrokerClosed)
}

// A timeout so long that a time after it does not exist is refused.
func TestConfigShutdownTimeoutIsBounded(t *testing.T) {
	_, err := inproq.NewBroker(inproq.Config{ShutdownTimeout: math.MaxInt64})
	require.ErrorIs(t, err, inproq.ErrInvalidConfig)
	assert.ErrorContains(t, err, "ShutdownTimeout")
	_, err = inproq.NewBroker(inproq.Config{ShutdownTimeout: math.MaxInt64 / 4})
	assert.NoError(t, err)
}
