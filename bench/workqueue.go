package main

import (
	"context"
	"sync"
	"time"
	"unsafe"

	"k8s.io/client-go/util/workqueue"
)

var workqueueContestant = Contestant{
	Name:    "k8s workqueue",
	Modules: []string{"k8s.io/client-go"},
	How: "workqueue.NewTypedDelayingQueue of bodies, by address; Get and Done for each. It merges equal items that wait; here all are different. " +
		"It has no batches: 100 times Add.",
	Promises: Promises{
		IDs: "the item itself", Acks: "Done, per item", Retries: "Add it again (a rate limiter helps)", Delays: "AddAfter, to the ms",
		DeadLetters: "–", Order: "first in, first out", Survives: "nothing: an item that is not added again is gone",
	},
	Delays: true,
	Open: func(s Setup) (Queue[[]byte], error) {
		return &workQueue{setup: s, TypedDelayingInterface: workqueue.NewTypedDelayingQueue[item]()}, nil
	},
}

// An item is a body, compared by its address: no two are equal. Slices cannot be
// compared, and a pointer to one would be an allocation more.
type item struct {
	first *byte
	size  int
}

func itemOf(body []byte) item { return item{unsafe.SliceData(body), len(body)} }

func (i item) body() []byte { return unsafe.Slice(i.first, i.size) }

type workQueue struct {
	workqueue.TypedDelayingInterface[item]
	setup   Setup
	workers sync.WaitGroup
}

func (q *workQueue) Send(_ context.Context, body []byte) error {
	q.Add(itemOf(body))
	return nil
}

func (q *workQueue) SendBatch(_ context.Context, bodies [][]byte) error {
	for _, body := range bodies {
		q.Add(itemOf(body))
	}
	return nil
}

func (q *workQueue) SendAfter(_ context.Context, body []byte, d time.Duration) error {
	q.AddAfter(itemOf(body), d)
	return nil
}

func (q *workQueue) Consume(sink Sink[[]byte]) error {
	for worker := range q.setup.Handlers {
		q.workers.Go(func() {
			for {
				it, shutdown := q.Get()
				if shutdown {
					return
				}
				sink(worker, it.body())
				q.Done(it)
			}
		})
	}
	return nil
}

// Settle waits for the last Done, by what is the queue's own way to do that.
func (q *workQueue) Settle(context.Context) error {
	q.ShutDownWithDrain() // cannot be given up: whoever runs the measurement has a deadline
	return nil
}

func (q *workQueue) Close() error {
	q.ShutDown()
	q.workers.Wait()
	return nil
}
