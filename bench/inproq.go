package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/inproq/inproq"
)

var inproqContestant = Contestant{
	Name:    "inproq",
	Modules: []string{"github.com/inproq/inproq"},
	How: "The store in memory. Send, and SendBatch of 100; handlers get batches of up to 100 messages and call Ack for each. " +
		"A batch does not wait to be full (MaxBatchTimeout is NoWait), in any workload.",
	Promises: Promises{
		IDs: "UUIDv7", Acks: "per message", Retries: "counted, with backoff", Delays: "to 12 h, to the ms",
		DeadLetters: "yes", Order: "best effort", Survives: "a handler that fails, panics or hangs",
	},
	Delays:   true,
	Open:     openInproq[[]byte](100),
	OpenJSON: openInproq[Order](100),
}

// inproqTensContestant has the batches that a consumer gets who does not configure any.
var inproqTensContestant = Contestant{
	Name:     "inproq, batches of 10",
	Modules:  inproqContestant.Modules,
	How:      "The same with batches of up to 10 messages, in one workload.",
	Promises: inproqContestant.Promises,
	Delays:   true,
	Only:     chartSingle,
	Open:     openInproq[[]byte](10),
}

type inproqQueue[T any] struct {
	*inproq.Queue[T]
	setup  Setup
	batch  int
	broker *inproq.Broker
	stop   context.CancelFunc
	run    sync.WaitGroup
	err    error // of the run
}

// openInproq opens queues whose handlers get batches of a size at most.
func openInproq[T any](batch int) func(Setup) (Queue[T], error) {
	return func(s Setup) (Queue[T], error) {
		q, err := newInproq[T](s, batch, inproq.Config{})
		if err != nil {
			return nil, err
		}
		return q, nil
	}
}

func newInproq[T any](s Setup, batch int, cfg inproq.Config) (*inproqQueue[T], error) {
	cfg.Logger = slog.New(slog.DiscardHandler)
	broker, err := inproq.NewBroker(cfg)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	q := &inproqQueue[T]{setup: s, batch: batch, broker: broker, stop: stop}
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

func (q *inproqQueue[T]) SendBatchAfter(ctx context.Context, bodies []T, d time.Duration) error {
	_, err := q.Queue.SendBatch(ctx, inproq.Bodies(bodies...), inproq.Delay(d))
	return err
}

func (q *inproqQueue[T]) Consume(sink Sink[T]) error {
	cfg := inproq.ConsumerConfig{MaxBatchSize: q.batch, MaxConcurrency: q.setup.Handlers, MaxBatchTimeout: inproq.NoWait}
	var batches handlerNumbers
	_, err := q.Queue.Consume(func(_ context.Context, batch *inproq.MessageBatch[T]) error {
		handler := batches.next()
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
