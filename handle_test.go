package inproq_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
	"github.com/inproq/inproq/store"
)

func TestHandleErrors(t *testing.T) {
	b := accountBroker(t, inproq.Config{})
	sendReject(t, inproq.Handle[string](b, "", nil), inproq.ErrInvalidConfig, 100127, `script is ""`, "handler is nil")
	sendReject(t, inproq.Handle(b, "", new(accountSink).handle), inproq.ErrInvalidConfig, 100127, `script is ""`)
	sendReject(t, inproq.Handle[string](b, "s", nil), inproq.ErrInvalidConfig, 100127, "handler is nil")
	sendReject(t, inproq.Handle(b, "s", inproq.Each[string](nil)), inproq.ErrInvalidConfig, 100127, "handler is nil")
	require.NoError(t, inproq.Handle(b, "s", new(accountSink).handle), "what failed was not registered")
	sendReject(t, inproq.Handle(b, "s", new(accountSink).handle), inproq.ErrConsumerExists, 11004, `"s"`)
	require.NoError(t, b.Shutdown(t.Context()))
	require.ErrorIs(t, inproq.Handle(b, "t", new(accountSink).handle), inproq.ErrBrokerClosed)
}

// A handler gets the messages of all queues that name it, whether it or they come first,
// and knows which queue they are from.
func TestHandleIsBoundByName(t *testing.T) {
	for name, order := range map[string][]string{
		"handle, attach, run": {"handle", "attach", "run"},
		"attach, handle, run": {"attach", "handle", "run"},
		"handle, run, attach": {"handle", "run", "attach"},
		"attach, run, handle": {"attach", "run", "handle"},
		"run, attach, handle": {"run", "attach", "handle"},
		"run, handle, attach": {"run", "handle", "attach"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := consumersBroker(t, inproq.Config{})
				consumersCreate(t, b, "q2", "other", "pulled")
				var fromQ, fromQ2 atomic.Int64
				sink := accountSink{then: func(_ context.Context, batch *inproq.MessageBatch[string]) error {
					switch batch.Queue {
					case "q":
						fromQ.Add(int64(len(batch.Messages)))
					case "q2":
						fromQ2.Add(int64(len(batch.Messages)))
					}
					return nil
				}}
				for _, step := range order {
					switch step {
					case "handle":
						require.NoError(t, inproq.Handle(b, "s", sink.handle))
					case "attach":
						consumersAttach(t, b, "q", consumersWorker())
						consumersAttach(t, b, "q2", consumersWorker())
						consumersAttach(t, b, "other", inproq.ConsumerSpec{Kind: inproq.Worker, Script: "other"})
						consumersAttach(t, b, "pulled", inproq.ConsumerSpec{Kind: inproq.HTTPPull})
					case "run":
						queuetest.Start(t, b)
					}
					synctest.Wait()
				}
				for _, queue := range []string{"q", "q2", "other", "pulled"} {
					consumersSend(t, b, queue, "to "+queue)
				}
				time.Sleep(time.Hour)
				assert.ElementsMatch(t, []string{"to q", "to q2"}, sink.bodies())
				assert.EqualValues(t, 1, fromQ.Load())
				assert.EqualValues(t, 1, fromQ2.Load())
				assert.Equal(t, 1, accountCount(t, b, "other"), "nobody has that script")
				assert.Equal(t, 1, accountCount(t, b, "pulled"))
			})
		})
	}
}

// The settings are those of the record, and MaxDuration is 15 minutes.
func TestHandleGoesByTheRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var deadline atomic.Int64
		sink := accountSink{then: func(ctx context.Context, _ *inproq.MessageBatch[string]) error {
			at, _ := ctx.Deadline()
			deadline.Store(int64(time.Until(at)))
			return errors.New("no")
		}}
		b := consumersRunning(t, inproq.Config{}, &sink)
		sent := time.Now()
		consumersAttach(t, b, "q", inproq.ConsumerSpec{Kind: inproq.Worker, Script: "s", Settings: inproq.ConsumerSettings{
			MaxBatchSize: 2, MaxBatchTimeout: time.Second, MaxRetries: 1, RetryDelay: time.Minute, DeadLetterQueue: "dead",
		}})
		consumersSend(t, b, "q", "a", "b", "c")
		time.Sleep(time.Hour)
		assert.Equal(t, []accountDelivery{
			{"a", 1, sent}, {"b", 1, sent}, {"c", 1, sent.Add(time.Second)},
			{"a", 2, sent.Add(time.Minute)}, {"b", 2, sent.Add(time.Minute)}, {"c", 2, sent.Add(time.Minute + time.Second + time.Second)},
		}, sink.deliveries())
		assert.Equal(t, 15*time.Minute, time.Duration(deadline.Load()))
		assert.Equal(t, 3, accountCount(t, b, "dead"))
	})
}

// A handler follows its consumers as they are removed, attached anew and renamed.
func TestHandleFollowsItsConsumers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sink, other accountSink
		b := consumersRunning(t, inproq.Config{}, &sink)
		require.NoError(t, inproq.Handle(b, "other", other.handle))
		before := accountGoroutines()
		for range 3 {
			sink.got, other.got = nil, nil
			consumersAttach(t, b, "q", consumersWorker())
			consumersSend(t, b, "q", "a")
			synctest.Wait()
			assert.Equal(t, []string{"a"}, sink.bodies())
			require.NoError(t, b.RemoveConsumer(t.Context(), "q"))
			consumersSend(t, b, "q", "b")
			time.Sleep(time.Hour)
			assert.Equal(t, before, accountGoroutines(), "no filler stays behind")
			spec := consumersWorker()
			spec.Script = "other"
			consumersAttach(t, b, "q", spec)
			consumersSend(t, b, "q", "c")
			synctest.Wait()
			assert.Equal(t, []string{"a"}, sink.bodies())
			assert.Equal(t, []string{"b", "c"}, other.bodies())
			require.NoError(t, b.RemoveConsumer(t.Context(), "q"))
		}
	})
}

// A queue that is deleted and made anew is bound anew.
func TestHandleOfAQueueMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sink accountSink
		b := consumersRunning(t, inproq.Config{}, &sink)
		for range 3 {
			consumersAttach(t, b, "q", consumersWorker())
			consumersSend(t, b, "q", "a")
			synctest.Wait()
			require.NoError(t, b.DeleteQueue(t.Context(), "q"))
			synctest.Wait()
			consumersCreate(t, b, "q")
		}
		assert.Equal(t, []string{"a", "a", "a"}, sink.bodies())
	})
}

// Bodies that do not fit are not delivered, and the log says why, until the queue fits.
func TestHandleOfAnotherType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log consumeLog
		b := accountBroker(t, inproq.Config{Logger: slog.New(consumeLogHandler{log: &log})})
		numbers, err := inproq.Declare[int](t.Context(), b, "q", inproq.QueueConfig{})
		require.NoError(t, err)
		_, err = numbers.Send(t.Context(), 7)
		require.NoError(t, err)
		var sink accountSink
		require.NoError(t, inproq.Handle(b, "s", sink.handle))
		queuetest.Start(t, b)
		synctest.Wait()
		consumersAttach(t, b, "q", consumersWorker())
		time.Sleep(time.Hour)
		assert.Empty(t, sink.bodies())
		assert.Equal(t, 1, accountCount(t, b, "q"))
		lines := log.find("handler not bound")
		require.Len(t, lines, 1)
		assert.Equal(t, slog.LevelError, lines[0].Level)
		assert.Equal(t, "q", lines[0].Attrs["queue"])
		assert.Equal(t, "s", lines[0].Attrs["consumer"])
		assert.ErrorIs(t, lines[0].Attrs["err"].(error), inproq.ErrTypeMismatch)

		require.NoError(t, b.DeleteQueue(t.Context(), "q"))
		accountDeclare(t, b, "q", inproq.QueueConfig{})
		consumersAttach(t, b, "q", consumersWorker())
		consumersSend(t, b, "q", "a")
		synctest.Wait()
		assert.Equal(t, []string{"a"}, sink.bodies())
	})
}

// The same for a content type that no such body has.
func TestHandleOfAnotherContentType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log consumeLog
		b := accountBroker(t, inproq.Config{Logger: slog.New(consumeLogHandler{log: &log})})
		_, err := b.CreateQueue(t.Context(), "q", inproq.QueueConfig{ContentType: inproq.Text})
		require.NoError(t, err)
		require.NoError(t, inproq.Handle(b, "s", func(context.Context, *inproq.MessageBatch[int]) error { return nil }))
		queuetest.Start(t, b)
		synctest.Wait()
		consumersAttach(t, b, "q", consumersWorker())
		lines := log.find("handler not bound")
		require.Len(t, lines, 1)
		assert.ErrorIs(t, lines[0].Attrs["err"].(error), inproq.ErrContentType)
		consumersSend(t, b, "q", "a")
		time.Sleep(time.Hour)
		assert.Equal(t, 1, accountCount(t, b, "q"))
	})
}

// While a handler is bound its type is that of the queue, for who declares it later too.
func TestHandleMakesTheTypeKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sink accountSink
		b := consumersRunning(t, inproq.Config{}, &sink)
		consumersAttach(t, b, "q", consumersWorker())
		_, err := inproq.Declare[int](t.Context(), b, "q", inproq.QueueConfig{})
		sendReject(t, err, inproq.ErrTypeMismatch, 15000, `"q" is string, not int`)
		_, err = inproq.Declare[[]byte](t.Context(), b, "q", inproq.QueueConfig{})
		require.NoError(t, err, "that may look at any queue")
		accountDeclare(t, b, "q", inproq.QueueConfig{})

		consumersCreate(t, b, "q2")
		consumersAttach(t, b, "q2", consumersWorker())
		require.NoError(t, b.RemoveConsumer(t.Context(), "q2"))
		_, err = inproq.Declare[int](t.Context(), b, "q2", inproq.QueueConfig{})
		require.NoError(t, err, "an operator's mistake is undone by removing the consumer")
	})
}

// A handler of raw bodies fits every queue, and leaves its type open.
func TestHandleOfBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := consumersBroker(t, inproq.Config{})
		got := make(chan string, 1)
		require.NoError(t, inproq.Handle(b, "s", inproq.Each(func(_ context.Context, m *inproq.Message[[]byte]) error {
			got <- string(m.Body)
			return nil
		})))
		queuetest.Start(t, b)
		consumersAttach(t, b, "q", consumersWorker())
		numbers, err := inproq.Declare[int](t.Context(), b, "q", inproq.QueueConfig{})
		require.NoError(t, err)
		_, err = numbers.Send(t.Context(), 7)
		require.NoError(t, err)
		assert.Equal(t, "7", <-got)
	})
}

// Consume goes first where both could, and a script does not take its place.
func TestConsumeGoesBeforeHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{})
		var script, consumer accountSink
		require.NoError(t, inproq.Handle(b, "s", script.handle))
		c := accountConsume(t, q, consumer.handle, inproq.ConsumerConfig{Name: "s", MaxBatchTimeout: inproq.NoWait})
		queuetest.Start(t, b)
		accountSend(t, q, "a")
		synctest.Wait()
		consumersUpdate(t, b, inproq.ConsumerUpdate{MaxBatchSize: new(1)})
		accountSend(t, q, "b")
		synctest.Wait()
		assert.Equal(t, []string{"a", "b"}, consumer.bodies())
		require.NoError(t, c.Stop(t.Context()))
		consumersAttach(t, b, "q", consumersWorker())
		accountSend(t, q, "c")
		synctest.Wait()
		assert.Equal(t, []string{"c"}, script.bodies())
		_, err := q.Consume(consumer.handle, inproq.ConsumerConfig{Name: "s"})
		sendReject(t, err, inproq.ErrConsumerExists, 11004, "consumed in this process")
	})
}

// A shutdown delivers what is ready to handlers by name too.
func TestHandleIsDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sink accountSink
		b := consumersBroker(t, inproq.Config{})
		require.NoError(t, inproq.Handle(b, "s", sink.handle))
		spec := consumersWorker()
		spec.Settings.MaxBatchTimeout = time.Minute
		consumersAttach(t, b, "q", spec)
		run := accountStart(b)
		synctest.Wait()
		began := time.Now()
		consumersSend(t, b, "q", "a", "b")
		require.NoError(t, run.stop())
		assert.Equal(t, []string{"a", "b"}, sink.bodies())
		assert.Equal(t, began, time.Now(), "nobody waits for a full batch")
		sendReject(t, inproq.Handle(b, "t", sink.handle), inproq.ErrBrokerClosed, 15000)
	})
}

// With a store of its own, and with one that is shared, what is ready when Run begins
// with a context that has ended is delivered or stays.
func TestHandleInARunThatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sink accountSink
		b := consumersBroker(t, inproq.Config{})
		require.NoError(t, inproq.Handle(b, "s", sink.handle))
		consumersAttach(t, b, "q", consumersWorker())
		consumersSend(t, b, "q", "a")
		over, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, b.Run(over))
		assert.Equal(t, []string{"a"}, sink.bodies())
	})
}

// A handler that could not be bound, because the store did not answer, can be
// registered again.
func TestHandleWhileTheStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &watchStore{Store: accountStore(t)}
		b := consumersBroker(t, inproq.Config{Store: st})
		consumersAttach(t, b, "q", consumersWorker())
		queuetest.Start(t, b)
		synctest.Wait()
		var sink accountSink
		st.failing.Store(true)
		require.ErrorIs(t, inproq.Handle(b, "s", sink.handle), store.ErrUnavailable)
		st.failing.Store(false)
		require.NoError(t, inproq.Handle(b, "s", sink.handle))
		consumersSend(t, b, "q", "a")
		synctest.Wait()
		assert.Equal(t, []string{"a"}, sink.bodies())
	})
}
