package main

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
)

var riverContestant = Contestant{
	Name:    "River on SQLite",
	Modules: []string{"github.com/riverqueue/river", "github.com/riverqueue/river/riverdriver/riversqlite", "modernc.org/sqlite"},
	How: "One connection, as its driver recommends, and what its own benchmark sets for throughput: FetchCooldown 2 ms, FetchPollInterval 20 ms, and the 1,000 workers " +
		"that it calls best. Insert, or InsertManyFast of 100, of jobs with the body as their only argument. Completed jobs stay for a day, as they do by default.",
	Promises: Promises{
		IDs: "int64", Acks: "per message, in groups", Retries: "counted, with backoff", Delays: "yes, checked every 5 s",
		DeadLetters: "– (discarded jobs are retained)", Order: "about that of sending", Survives: "loss of power",
	},
	Delays:  true,
	Durable: true,
	Polls:   riverPolls,
	Open:    opener(openRiver),
}

const (
	riverCools   = 2 * time.Millisecond
	riverPolls   = 20 * time.Millisecond
	riverWorkers = 1000
)

// A riverJob is a message. What JSON makes of the body is a part of the price.
type riverJob struct {
	Body []byte `json:"body"`
}

func (riverJob) Kind() string { return topic }

type riverWorker struct {
	river.WorkerDefaults[riverJob]
	queue *riverQueue
}

func (w *riverWorker) Work(_ context.Context, job *river.Job[riverJob]) error {
	w.queue.sink(w.queue.handled.next(), job.Args.Body)
	return nil
}

type riverQueue struct {
	db      *database
	client  *river.Client[*sql.Tx]
	sink    Sink[[]byte]
	handled handlerNumbers

	sent, completed atomic.Int64
	events          sync.WaitGroup
	unsubscribe     func()
}

func openRiver(Setup) (_ *riverQueue, err error) {
	q := &riverQueue{}
	if q.db, err = openSQLite(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, q.db.Close())
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	driver := riversqlite.New(q.db.DB)
	migrator, err := rivermigrate.New(driver, nil)
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &riverWorker{queue: q})
	q.client, err = river.NewClient(driver, &river.Config{
		FetchCooldown: riverCools, FetchPollInterval: riverPolls,
		Logger:  slog.New(slog.DiscardHandler),
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: riverWorkers}},
		Workers: workers,
	})
	return q, err
}

func (q *riverQueue) Send(ctx context.Context, body []byte) error {
	return q.insert(ctx, body, nil)
}

func (q *riverQueue) SendAfter(ctx context.Context, body []byte, d time.Duration) error {
	return q.insert(ctx, body, riverAfter(d))
}

func (q *riverQueue) insert(ctx context.Context, body []byte, opts *river.InsertOpts) error {
	_, err := q.client.Insert(ctx, riverJob{body}, opts)
	if err == nil {
		q.sent.Add(1)
	}
	return err
}

func (q *riverQueue) SendBatch(ctx context.Context, bodies [][]byte) error {
	return q.insertMany(ctx, bodies, nil)
}

func (q *riverQueue) SendBatchAfter(ctx context.Context, bodies [][]byte, d time.Duration) error {
	return q.insertMany(ctx, bodies, riverAfter(d))
}

func (q *riverQueue) insertMany(ctx context.Context, bodies [][]byte, opts *river.InsertOpts) error {
	jobs := make([]river.InsertManyParams, len(bodies))
	for i, body := range bodies {
		jobs[i] = river.InsertManyParams{Args: riverJob{body}, InsertOpts: opts}
	}
	_, err := q.client.InsertManyFast(ctx, jobs)
	if err == nil {
		q.sent.Add(int64(len(jobs)))
	}
	return err
}

func riverAfter(d time.Duration) *river.InsertOpts {
	return &river.InsertOpts{ScheduledAt: time.Now().Add(d)}
}

// Consume subscribes to completions, as River's own benchmark does: a handler that has
// returned says nothing about the database.
func (q *riverQueue) Consume(sink Sink[[]byte]) error {
	q.sink = sink
	events, unsubscribe := q.client.SubscribeConfig(&river.SubscribeConfig{ChanSize: 100_000, Kinds: []river.EventKind{river.EventKindJobCompleted}})
	q.unsubscribe = unsubscribe
	q.events.Go(func() {
		for range events {
			q.completed.Add(1)
		}
	})
	return q.client.Start(context.Background())
}

func (q *riverQueue) Settle(ctx context.Context) error {
	return eventually(ctx, func() (bool, error) { return q.completed.Load() >= q.sent.Load(), nil })
}

func (q *riverQueue) files() string { return q.db.dir }

func (q *riverQueue) durability() durability { return q.db.witness.durability() }

func (q *riverQueue) Close() (err error) {
	if q.unsubscribe != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = q.client.Stop(ctx)
		q.unsubscribe()
		q.events.Wait()
	}
	return errors.Join(err, q.db.Close())
}
