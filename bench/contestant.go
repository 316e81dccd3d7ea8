package main

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"
)

// A Contestant is something that a message can go through.
type Contestant struct {
	// Name is what it is called in the results, and in -run.
	Name string
	// Modules are the paths of the modules that it comes from, for their versions. None:
	// the Go runtime.
	Modules []string
	// How says how it is configured and used.
	How string
	// Promises are what a user gets for the price.
	Promises Promises
	// Shares: all its messages have the same body. Otherwise each has a new one, whether
	// Send takes that over or copies it.
	Shares bool
	// Delays: its queues are Delayers.
	Delays bool
	// Durable: what it has accepted outlives a loss of power. It takes part in the
	// durable workloads, and only there; if it Delays, its queues are BatchDelayers.
	Durable bool
	// Polls is how long it may not look for messages after it had none. Zero: it is
	// woken.
	Polls time.Duration
	// Only is the ID of the one workload that it enters. Empty: all that it can.
	Only string

	Open func(Setup) (Queue[[]byte], error)
	// OpenJSON opens a queue of JSON bodies. Nil: the contestant does not take
	// part there.
	OpenJSON func(Setup) (Queue[Order], error)
}

// Promises of a contestant, in a few words each; "–" is none.
type Promises struct {
	IDs, Acks, Retries, Delays, DeadLetters, Order, Survives string
}

// A Setup says what a queue is opened for.
type Setup struct {
	// Handlers is how many goroutines, or handlers at once, Consume may use.
	Handlers int
	// Producers is how many goroutines will send.
	Producers int
	// Backlog is the largest number of messages that will be sent before Consume.
	// Zero: Consume comes first.
	Backlog int
}

// A Queue is a contestant at work. Send and SendBatch are called from several
// goroutines at once, the other methods from one.
type Queue[T any] interface {
	// Send returns when the queue has accepted the message.
	Send(ctx context.Context, body T) error
	// SendBatch does that for several messages, in the way that is best for
	// throughput. It may keep the bodies, as Send may, but not the slice.
	SendBatch(ctx context.Context, bodies []T) error
	// Consume starts Setup.Handlers handlers. They pass every message to sink, and
	// acknowledge it after that.
	Consume(sink Sink[T]) error
	// Settle is called when all that was sent has been passed to the sink. It returns
	// when every acknowledgement has taken effect.
	Settle(ctx context.Context) error
	Close() error
}

// A Delayer is a queue that can keep a message back.
type Delayer interface {
	SendAfter(ctx context.Context, body []byte, d time.Duration) error
}

// A BatchDelayer can do that for several messages at once.
type BatchDelayer interface {
	Delayer
	SendBatchAfter(ctx context.Context, bodies [][]byte, d time.Duration) error
}

// A Sink is called by handlers with what they get. Handlers that run at the same
// time should say so with different numbers, any from 0: they then count in
// different places, and do not slow each other down.
type Sink[T any] func(handler int, body T)

// opener makes an Open of a function that returns a type of its own.
func opener[Q Queue[[]byte]](open func(Setup) (Q, error)) func(Setup) (Queue[[]byte], error) {
	return func(s Setup) (Queue[[]byte], error) {
		q, err := open(s)
		if err != nil {
			return nil, err // and no interface that holds a nil pointer
		}
		return q, nil
	}
}

// handlerNumbers gives handlers numbers where nobody else has done it.
type handlerNumbers struct{ last atomic.Int64 }

func (n *handlerNumbers) next() int { return int(n.last.Add(1)) }

// Contestants in the order of the results.
var Contestants = []Contestant{
	floorContestant,
	channelContestant,
	inproqContestant,
	inproqTensContestant,
	workqueueContestant,
	watermillContestant,
	mempubsubContestant,
	jetstreamContestant,
	rawLogContestant,
	inproqSQLiteContestant,
	backliteContestant,
	riverContestant,
}

// An Order is a JSON body, of about 128 bytes.
type Order struct {
	ID       int64    `json:"id"`
	Customer string   `json:"customer"`
	Items    []string `json:"items"`
	Total    float64  `json:"total"`
	Paid     bool     `json:"paid"`
	Count    int64    `json:"count"` // 1: what the sink adds up
}

// jsonQueue puts JSON bodies, by encoding/json, through a queue of bytes.
type jsonQueue struct{ Queue[[]byte] }

func withJSON(open func(Setup) (Queue[[]byte], error)) func(Setup) (Queue[Order], error) {
	return func(s Setup) (Queue[Order], error) {
		q, err := open(s)
		return jsonQueue{q}, err
	}
}

func (q jsonQueue) Send(ctx context.Context, o Order) error {
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return q.Queue.Send(ctx, body)
}

func (q jsonQueue) SendBatch(ctx context.Context, orders []Order) error {
	bodies := make([][]byte, len(orders))
	for i, o := range orders {
		var err error
		if bodies[i], err = json.Marshal(o); err != nil {
			return err
		}
	}
	return q.Queue.SendBatch(ctx, bodies)
}

func (q jsonQueue) Consume(sink Sink[Order]) error {
	return q.Queue.Consume(func(handler int, body []byte) {
		var o Order
		if json.Unmarshal(body, &o) == nil { // what does not decode is missing in the count
			sink(handler, o)
		}
	})
}
