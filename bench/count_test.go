package main

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCounter(t *testing.T) {
	c := newCounter()
	sink := sinkOf(c, firstByte)
	c.expect(100)
	for handler := range 100 {
		sink(handler, []byte{1})
	}
	require.NoError(t, c.wait(t.Context()))
	require.NoError(t, c.check())
	sink(0, []byte{1})
	assert.EqualError(t, c.wait(t.Context()), "100 messages were sent, the count is 101")
	assert.EqualError(t, c.check(), "100 messages were sent, the count is 101")

	c.expect(2)
	sink(0, []byte{0}) // it has lost its body
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.EqualError(t, c.wait(ctx), "102 messages were sent, the count is 101")
}

// Whoever waits learns of the last message, wherever it was counted and however many
// there are; in a bubble, a wait that nobody ends is a deadlock.
func TestCounterTells(t *testing.T) {
	for _, n := range []int{1, stride, 500, 16 * stride, 16*stride + 1, 5000} {
		for _, handlers := range []int{1, 3, 16, 40} {
			synctest.Test(t, func(t *testing.T) {
				c := newCounter()
				for range 20 { // rounds
					var all sync.WaitGroup
					c.expect(n)
					for handler := range handlers {
						share := n / handlers
						if handler == 0 {
							share += n % handlers
						}
						all.Go(func() {
							for range share {
								c.add(handler, 1)
							}
						})
					}
					assert.NoError(t, c.wait(t.Context()))
					all.Wait()
				}
			})
		}
	}
}

// twice is a queue whose last message comes again before it has settled.
type twice struct {
	Queue[[]byte]
	sink Sink[[]byte]
}

func (q *twice) Consume(sink Sink[[]byte]) error {
	q.sink = sink
	return q.Queue.Consume(sink)
}

func (q *twice) Settle(context.Context) error {
	q.sink(0, []byte{1})
	return nil
}

func TestTwiceFails(t *testing.T) {
	c := channelContestant
	c.Open = func(s Setup) (Queue[[]byte], error) {
		q, err := channelContestant.Open(s)
		return &twice{Queue: q}, err
	}
	_, err := drainBytes(c, shape{1, 1, 128}, tinyEffort)
	assert.ErrorContains(t, err, "messages were sent, the count is ")
	_, err = pileUp(c, 500, tinyEffort)
	assert.ErrorContains(t, err, "messages were sent, the count is ")
}
