package main

import (
	"context"
	"sync"
)

// floorContestant is a channel of 64-byte values: what moving anything from one
// goroutine to another costs in Go.
var floorContestant = Contestant{
	Name: "raw channel",
	How: "The floor that ratios refer to: 64-byte values through a buffered channel (8,192), as many readers as senders up to 10, which is best for it; " +
		"10 readers where they decode JSON or work a backlog off. All values point to one body: nothing is copied or allocated.",
	Promises: Promises{IDs: "–", Acks: "–", Retries: "–", Delays: "–", DeadLetters: "–", Order: "first in, first out", Survives: "nothing"},
	Shares:   true,
	Open:     openFloor,
	OpenJSON: withJSON(openParcels),
}

// channelContestant is what code without a queue does.
var channelContestant = Contestant{
	Name:     "channel of bodies",
	How:      "chan []byte, buffered (8,192), each message with a body of its own and 10 readers, as a program without a queue would do.",
	Promises: floorContestant.Promises,
	Open: func(s Setup) (Queue[[]byte], error) {
		same := func(body []byte) []byte { return body }
		return openChannel(s, same, same), nil
	},
}

// A parcel has 64 bytes.
type parcel struct {
	body []byte
	_    [5]uint64
}

func openFloor(s Setup) (Queue[[]byte], error) {
	if s.Backlog == 0 {
		s.Handlers = min(s.Handlers, s.Producers)
	}
	return openParcels(s)
}

func openParcels(s Setup) (Queue[[]byte], error) {
	return openChannel(s, func(body []byte) parcel { return parcel{body: body} }, func(p parcel) []byte { return p.body }), nil
}

type channelQueue[V any] struct {
	setup   Setup
	ch      chan V
	wrap    func([]byte) V
	unwrap  func(V) []byte
	readers sync.WaitGroup
}

func openChannel[V any](s Setup, wrap func([]byte) V, unwrap func(V) []byte) Queue[[]byte] {
	return &channelQueue[V]{setup: s, ch: make(chan V, max(8192, s.Backlog)), wrap: wrap, unwrap: unwrap}
}

func (q *channelQueue[V]) Send(_ context.Context, body []byte) error {
	q.ch <- q.wrap(body)
	return nil
}

func (q *channelQueue[V]) SendBatch(_ context.Context, bodies [][]byte) error {
	for _, body := range bodies {
		q.ch <- q.wrap(body)
	}
	return nil
}

func (q *channelQueue[V]) Consume(sink Sink[[]byte]) error {
	for handler := range q.setup.Handlers {
		q.readers.Go(func() {
			for v := range q.ch {
				sink(handler, q.unwrap(v))
			}
		})
	}
	return nil
}

func (q *channelQueue[V]) Settle(context.Context) error { return nil }

func (q *channelQueue[V]) Close() error {
	close(q.ch)
	q.readers.Wait()
	return nil
}
