package main

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/inproq/inproq"
)

var inproqContestant = Contestant{
	Name:    "inproq",
	Modules: []string{"github.com/inproq/inproq"},
	How: "The store in memory. Send, and SendBatch of 100; handlers get batches of up to 100 messages and call Ack for each. " +
		"A batch waits at most 50 ms to be full; for latency, not at all.",
	Promises: Promises{
		IDs: "UUIDv7", Acks: "per message", Retries: "counted, with backoff", Delays: "to 12 h, to the ms",
		DeadLetters: "yes", Order: "best effort", Survives: "a handler that fails, panics or hangs",
	},
	Delays:   true,
	Open:     openInproq[[]byte],
	OpenJSON: openInproq[Order],
}

type inproqQueue[T any] struct {
	*inproq.Queue[T]
	setup  Setup
	broker *inproq.Broker
	stop   context.CancelFunc
	run    sync.WaitGroup
	err    error // of the run
}

func openInproq[T any](s Setup) (Queue[T], error) {
	broker, err := inproq.NewBroker(inproq.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	q := &inproqQueue[T]{setup: s, broker: broker, stop: stop}
	q.run.Go(func() { q.err = broker.Run(ctx) })
	if q.Queue, err = inproq.Declare[T](ctx, broker, "bench", inproq.QueueConfig{}); err != nil {
		_ = q.Close()
		return nil, err
	}
	return q, nil
}

func (q *inproqQueue[T]) Send(ctx context.Context, body T) error {
	_, err := q.Queue.Send(ctx, body)
	return err
}

func (q *inproqQueue[T]) SendBatch(ctx context.Context, bodies []T) error {
	_, err := q.Queue.SendBatch(ctx, inproq.Bodies(bodies...))
	return err
}

func (q *inproqQueue[T]) SendAfter(ctx context.Context, body T, d time.Duration) error {
	_, err := q.Queue.Send(ctx, body, inproq.Delay(d))
	return err
}

func (q *inproqQueue[T]) Consume(sink Sink[T]) error {
	cfg := inproq.ConsumerConfig{MaxBatchSize: 100, MaxConcurrency: q.setup.Handlers, MaxBatchTimeout: 50 * time.Millisecond}
	if q.setup.Latency {
		cfg.MaxBatchTimeout = inproq.NoWait
	}
	var batches atomic.Int64
	_, err := q.Queue.Consume(func(_ context.Context, batch *inproq.MessageBatch[T]) error {
		handler := int(batches.Add(1))
		for _, m := range batch.Messages {
			sink(handler, m.Body)
			m.Ack()
		}
		return nil
	}, cfg)
	return err
}

func (q *inproqQueue[T]) Settle(ctx context.Context) error {
	return eventually(ctx, func() (bool, error) {
		m, err := q.Metrics(ctx)
		return m.BacklogCount == 0, err
	})
}

func (q *inproqQueue[T]) Close() error {
	q.stop()
	q.run.Wait()
	return q.err
}
