// Package queuetest helps to test code that uses inproq.
//
// There is nothing to mock: a broker in memory is the real thing, fast, and runs
// inside a testing/synctest bubble, where a delay of 12 hours passes at once.
//
//   - [Start] runs a broker for the length of a test.
//   - An [Observer] keeps what happens to the messages of a queue, and [Drain] waits
//     until its handlers have nothing left to do.
//   - A [Recorder] is a producer that keeps what is sent, for code that only
//     sends.
//   - [NewBatch] makes a batch to call one handler with, and a [Result] tells what
//     it made of it. [DeadLetter] makes a message of a dead-letter queue.
//   - [AssertSent], [AssertAcked], [AssertRetried] and [AssertDeadLettered] say in a
//     line what should have happened to which bodies, for all of these.
//   - [CheckAcks] finds calls of Ack and Retry that have no effect, and
//     [AssertBudget] bills a queue's operations.
//   - A [FaultStore] delivers twice, in another order, or too late, as production may;
//     with [Seeds] it finds handlers that are not idempotent, and replays what it found.
//
// The package uses only the standard library.
package queuetest

import (
	"context"
	"sync"
	"testing"

	"github.com/inproq/inproq"
)

// Start runs the broker until the test ends. Then it shuts it down, which with
// the broker's own store delivers all that is ready, and fails the test if that
// took handlers being cancelled or a consumer could not start. In a synctest
// bubble call it with the bubble's t.
func Start(t testing.TB, b *inproq.Broker) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background()) // t's own ends before the cleanups
	var run sync.WaitGroup
	run.Go(func() {
		if err := b.Run(ctx); err != nil {
			t.Errorf("queuetest: the broker's Run returned: %v", err) // at once: the test may wait for what it would do
		}
	})
	t.Cleanup(func() {
		cancel()
		run.Wait()
	})
}
