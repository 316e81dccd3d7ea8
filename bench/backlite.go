package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mikestefanello/backlite"
)

var backliteContestant = Contestant{
	Name:    "backlite",
	Modules: []string{"github.com/mikestefanello/backlite", "modernc.org/sqlite"},
	How: "One connection and 1,000 workers, which is best for it: with the 10 of its README it looks ten times a second whether one is free, and with more connections " +
		"some of its transactions fail because the file is locked. Save of one task or of 100, with the body as the only field; a queue without retention, " +
		"whose processor is the handler.",
	Promises: Promises{
		IDs: "UUIDv7", Acks: "per message", Retries: "counted, a constant backoff", Delays: "yes, to the ms",
		DeadLetters: "– (failed tasks may be retained)", Order: "about that of sending", Survives: "loss of power",
	},
	Delays:  true,
	Durable: true,
	Open:    opener(openBacklite),
}

const backliteWorkers = 1000

// A backliteTask is a message. What JSON makes of the body is a part of the price.
type backliteTask struct{ Body []byte }

func (backliteTask) Config() backlite.QueueConfig {
	return backlite.QueueConfig{Name: topic, MaxAttempts: 5, Backoff: 5 * time.Second, Timeout: 10 * time.Second}
}

type backliteQueue struct {
	db     *database
	client *backlite.Client
	stop   context.CancelFunc
	log    *complaints
}

func openBacklite(Setup) (*backliteQueue, error) {
	db, err := openSQLite()
	if err != nil {
		return nil, err
	}
	q := &backliteQueue{db: db, stop: func() {}, log: &complaints{}}
	q.client, err = backlite.NewClient(backlite.ClientConfig{
		DB: db.DB, Logger: q.log, NumWorkers: backliteWorkers, ReleaseAfter: 10 * time.Minute, CleanupInterval: time.Hour,
	})
	if err == nil {
		err = q.client.Install()
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return q, nil
}

func (q *backliteQueue) Send(ctx context.Context, body []byte) error {
	_, err := q.client.Add(backliteTask{body}).Ctx(ctx).Save()
	return err
}

func (q *backliteQueue) SendBatch(ctx context.Context, bodies [][]byte) error {
	_, err := q.client.Add(backliteTasks(bodies)...).Ctx(ctx).Save()
	return err
}

func (q *backliteQueue) SendAfter(ctx context.Context, body []byte, d time.Duration) error {
	_, err := q.client.Add(backliteTask{body}).Ctx(ctx).Wait(d).Save()
	return err
}

func (q *backliteQueue) SendBatchAfter(ctx context.Context, bodies [][]byte, d time.Duration) error {
	_, err := q.client.Add(backliteTasks(bodies)...).Ctx(ctx).Wait(d).Save()
	return err
}

func backliteTasks(bodies [][]byte) []backlite.Task {
	tasks := make([]backlite.Task, len(bodies))
	for i, body := range bodies {
		tasks[i] = backliteTask{body}
	}
	return tasks
}

func (q *backliteQueue) Consume(sink Sink[[]byte]) error {
	var handled handlerNumbers
	q.client.Register(backlite.NewQueue(func(_ context.Context, t backliteTask) error {
		sink(handled.next(), t.Body)
		return nil
	}))
	var ctx context.Context
	ctx, q.stop = context.WithCancel(context.Background())
	q.client.Start(ctx)
	return nil
}

// Settle waits until the tasks that are done have been deleted.
func (q *backliteQueue) Settle(ctx context.Context) error {
	return eventually(ctx, func() (done bool, err error) {
		if err := q.log.err(); err != nil {
			return false, err
		}
		err = q.db.QueryRowContext(ctx, "SELECT NOT EXISTS (SELECT 1 FROM backlite_tasks)").Scan(&done)
		return done, err
	})
}

func (q *backliteQueue) files() string { return q.db.dir }

func (q *backliteQueue) durability() durability { return q.db.witness.durability() }

func (q *backliteQueue) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stopped := q.client.Stop(ctx)
	q.stop()
	err := q.db.Close()
	if !stopped {
		err = errors.Join(err, errors.New("the workers have not stopped"))
	}
	return err
}

// complaints are the first errors that somebody has logged who returns none.
type complaints struct {
	mu    sync.Mutex
	first error
}

func (*complaints) Info(string, ...any) {}

func (c *complaints) Error(message string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == nil {
		c.first = fmt.Errorf("%s: %v", message, args)
	}
}

func (c *complaints) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}
