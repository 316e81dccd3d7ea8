package queuetest_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
	"github.com/inproq/inproq/store/memory"
)

// A payment that is delivered twice is booked once. Without the look at booked this
// fails within a few seeds, and says how to replay the one that found it.
func ExampleSeeds() {
	queuetest.Seeds(t, 100, func(t *testing.T, seed uint64) {
		faulty := queuetest.NewFaultStore(t, memory.New(), seed, queuetest.DefaultFaults())
		broker := inproq.Must(inproq.NewBroker(inproq.Config{Store: faulty, Logger: slog.New(slog.DiscardHandler)}))
		payments := inproq.Must(inproq.Declare[int64](t.Context(), broker, "payments", inproq.QueueConfig{}))
		var booked sync.Map
		var balance atomic.Int64
		inproq.Must(payments.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[int64]) error {
			if _, again := booked.LoadOrStore(m.ID, true); !again {
				balance.Add(m.Body)
			}
			return nil
		}), inproq.ConsumerConfig{}))
		queuetest.Start(t, broker)
		inproq.Must(payments.SendBatch(t.Context(), inproq.Bodies[int64](10, 20, 30, 40, 50)))
		queuetest.Drain(t, broker)
		if got := balance.Load(); got != 150 {
			t.Errorf("the balance is %d, not 150", got)
		}
	})
}

func TestExampleSeeds(test *testing.T) {
	t = test
	ExampleSeeds()
}
