package queuetest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

func TestDrainGivesUp(t *testing.T) {
	tests := map[string]struct {
		start bool
		prep  func(t *testing.T, b *inproq.Broker, q *inproq.Queue[string])
		want  string
	}{
		"a message that never ends": {true, func(t *testing.T, _ *inproq.Broker, q *inproq.Queue[string]) {
			_, err := q.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
				_, err := q.Send(ctx, m.Body, inproq.Delay(12*time.Hour))
				return err
			}), inproq.ConsumerConfig{})
			require.NoError(t, err)
		}, "queuetest: not drained after 360h0m0s:\nqueue  ready  delayed  leased  handlers running\nq      0      1        0       0\n"},
		"a broker that was not started": {false, func(t *testing.T, b *inproq.Broker, q *inproq.Queue[string]) {
			_, err := q.Consume(refuse(""), inproq.ConsumerConfig{})
			require.NoError(t, err)
		}, "queuetest: not drained: the broker does not run; is a Start missing?\nqueue  ready  delayed  leased  handlers running\nq      1      0        0       0\n"},
		"a handler that does not return": {true, func(t *testing.T, _ *inproq.Broker, q *inproq.Queue[string]) {
			_, err := q.Consume(func(context.Context, *inproq.MessageBatch[string]) error {
				time.Sleep(20 * 24 * time.Hour)
				return nil
			}, inproq.ConsumerConfig{MaxDuration: time.Hour, MaxRetries: inproq.NoRetries})
			require.NoError(t, err)
		}, "queuetest: not drained after 360h0m0s:\na handler has not returned, though its batch is settled"},
		"a broker that is shut down": {true, func(t *testing.T, b *inproq.Broker, q *inproq.Queue[string]) {
			_, err := q.Consume(refuse(""), inproq.ConsumerConfig{})
			require.NoError(t, err)
			time.AfterFunc(time.Second, func() { assert.NoError(t, b.Shutdown(context.Background())) })
			_, err = q.Send(t.Context(), "delayed", inproq.Delay(time.Hour))
			require.NoError(t, err)
		}, "queuetest: not drained: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, q := newQueue(t, inproq.Config{Logger: quiet()})
				test.prep(t, b, q)
				send(t, q, "a")
				f := &fakeT{TB: t}
				if test.start {
					f.Cleanup(func() { time.Sleep(20 * 24 * time.Hour) }) // until the handler returns
					queuetest.Start(t, b)
				}
				f.run(func() { queuetest.Drain(f, b) })
				require.Len(t, f.errors, 1)
				assert.Contains(t, f.errors[0], test.want)
				assert.True(t, f.fatal)
			})
		})
	}
}
