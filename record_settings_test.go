package inproq_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproq/inproq"
)

// recordDuration draws a legal duration, its named constants for "default" and
// "none", or what is next to a bound.
func recordDuration(lo, hi time.Duration, special ...time.Duration) *rapid.Generator[time.Duration] {
	return rapid.OneOf(
		rapid.SampledFrom(append(special, 0, lo, hi)),
		rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.Int64Range(int64(lo), int64(hi)).Draw(t, "duration"))
		}),
	)
}

// Settings are returned in the form in which they are given, so that they can be
// copied from queue to queue.
func TestRecordSettingsMakeAnEqualQueue(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b, ctx := sendBroker(t, inproq.Config{}), t.Context()
		cfg := inproq.QueueConfig{
			DeliveryDelay:          recordDuration(1, 12*time.Hour, inproq.NoDelay).Draw(rt, "delay"),
			MessageRetentionPeriod: recordDuration(time.Minute, 14*configDay).Draw(rt, "retention"),
			ContentType:            rapid.SampledFrom([]inproq.ContentType{"", "json", "Text", "BYTES", "gob"}).Draw(rt, "type"),
		}
		first, err := b.CreateQueue(ctx, "first", cfg)
		require.NoError(rt, err)
		second, err := b.CreateQueue(ctx, "second", first.Settings)
		require.NoError(rt, err)
		assert.Equal(rt, first.Settings, second.Settings)
		assert.NotEqual(rt, first.ID, second.ID)

		read, err := b.Queue(ctx, "first")
		require.NoError(rt, err)
		assert.Equal(rt, first, read)
		_, err = inproq.Declare[[]byte](ctx, b, "first", first.Settings)
		require.NoError(rt, err)
		_, err = inproq.Declare[[]byte](ctx, b, "third", cfg)
		require.NoError(rt, err)
		for _, name := range []string{"first", "third"} {
			declared, err := b.Queue(ctx, name)
			require.NoError(rt, err)
			assert.Equal(rt, first.Settings, declared.Settings, name)
		}
		if cfg.DeliveryDelay > 0 {
			assert.Equal(rt, cfg.DeliveryDelay, first.Settings.DeliveryDelay)
		} else {
			assert.Equal(rt, inproq.NoDelay, first.Settings.DeliveryDelay)
		}
		if cfg.MessageRetentionPeriod > 0 {
			assert.Equal(rt, cfg.MessageRetentionPeriod, first.Settings.MessageRetentionPeriod)
		}
	})
}
