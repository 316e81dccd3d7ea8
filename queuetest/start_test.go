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
	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/memory"
)

func newQueue(t *testing.T, cfg inproq.Config) (*inproq.Broker, *inproq.Queue[string]) {
	t.Helper()
	b, err := inproq.NewBroker(cfg)
	require.NoError(t, err)
	q, err := inproq.Declare[string](context.Background(), b, "q", inproq.QueueConfig{})
	require.NoError(t, err)
	return b, q
}

func TestStartRunsTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, q := newQueue(t, inproq.Config{})
		var seen journal
		_, err := q.Consume(inproq.Each(seen.note), inproq.ConsumerConfig{})
		require.NoError(t, err)
		queuetest.Start(t, b)

		_, err = q.Send(t.Context(), "later", inproq.Delay(12*time.Hour))
		require.NoError(t, err)
		time.Sleep(12*time.Hour + 5*time.Second - 1)
		synctest.Wait()
		assert.Empty(t, seen.all())
		time.Sleep(1)
		synctest.Wait()
		assert.Equal(t, []string{"later"}, seen.all())
	})
}

// What is ready when the test ends is delivered before the test is over, in a
// bubble and outside.
func TestStartDrainsInCleanup(t *testing.T) {
	for name, run := range map[string]func(t *testing.T, f func(t *testing.T)){
		"in a bubble":      func(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) },
		"without a bubble": func(t *testing.T, f func(t *testing.T)) { t.Run("inner", f) },
	} {
		t.Run(name, func(t *testing.T) {
			var seen journal
			run(t, func(t *testing.T) {
				b, q := newQueue(t, inproq.Config{})
				_, err := q.Consume(inproq.Each(seen.note), inproq.ConsumerConfig{})
				require.NoError(t, err)
				queuetest.Start(t, b)
				_, err = q.Send(t.Context(), "last")
				require.NoError(t, err)
				assert.Empty(t, seen.all(), "the batch timeout has not passed")
			})
			assert.Equal(t, []string{"last"}, seen.all())
		})
	}
}

// The broker runs on while the cleanups run that were registered after Start,
// although t.Context has ended by then.
func TestStartOutlivesLaterCleanups(t *testing.T) {
	var seen journal
	synctest.Test(t, func(t *testing.T) {
		b, q := newQueue(t, inproq.Config{})
		_, err := q.Consume(inproq.Each(seen.note), inproq.ConsumerConfig{})
		require.NoError(t, err)
		queuetest.Start(t, b)
		t.Cleanup(func() {
			synctest.Wait()
			_, err := q.Send(context.Background(), "from a cleanup")
			assert.NoError(t, err)
		})
	})
	assert.Equal(t, []string{"from a cleanup"}, seen.all())
}

func TestStartSaysNothingAboutACleanRun(t *testing.T) {
	b, _ := newQueue(t, inproq.Config{})
	f := &fakeT{TB: t}
	f.run(func() { queuetest.Start(f, b) })
	assert.Empty(t, f.errors)
	_, err := b.CreateQueue(t.Context(), "another", inproq.QueueConfig{})
	assert.ErrorIs(t, err, inproq.ErrBrokerClosed, "the cleanup shuts the broker down")
}

func TestStartFailsTheTestWhenRunFails(t *testing.T) {
	tests := map[string]struct {
		broker func(t *testing.T) *inproq.Broker
		want   error
	}{
		"the broker was shut down": {
			func(t *testing.T) *inproq.Broker {
				b, _ := newQueue(t, inproq.Config{})
				require.NoError(t, b.Shutdown(t.Context()))
				return b
			}, inproq.ErrBrokerClosed,
		},
		"a consumer cannot start": {
			func(t *testing.T) *inproq.Broker {
				st := occupied(t, "another script")
				t.Cleanup(func() { assert.NoError(t, st.Close()) })
				b, q := newQueue(t, inproq.Config{Store: st})
				_, err := q.Consume(inproq.Each(new(journal).note), inproq.ConsumerConfig{Name: "mine"})
				require.NoError(t, err)
				return b
			}, inproq.ErrConsumerExists,
		},
		"a handler had to be cancelled": {
			func(t *testing.T) *inproq.Broker {
				b, q := newQueue(t, inproq.Config{ShutdownTimeout: time.Minute})
				_, err := q.Consume(func(ctx context.Context, _ *inproq.MessageBatch[string]) error {
					<-ctx.Done()
					return context.Cause(ctx)
				}, inproq.ConsumerConfig{MaxRetries: inproq.NoRetries})
				require.NoError(t, err)
				_, err = q.Send(t.Context(), "stays")
				require.NoError(t, err)
				return b
			}, inproq.ErrShutdownTimeout,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := test.broker(t)
				f := &fakeT{TB: t}
				f.run(func() { queuetest.Start(f, b) })
				require.Len(t, f.errors, 1)
				assert.Contains(t, f.errors[0], test.want.Error())
			})
		})
	}
}

// occupied returns a store in which the queue q has a consumer.
func occupied(t *testing.T, script string) store.Store {
	t.Helper()
	st := memory.New()
	b, q := newQueue(t, inproq.Config{Store: st})
	_, err := q.Consume(inproq.Each(new(journal).note), inproq.ConsumerConfig{Name: script})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.NoError(t, b.Run(ctx))
	return st
}
