package queuetest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

var t *testing.T // of the test that runs the example

// In a bubble of testing/synctest the real code runs on virtual time.
func ExampleStart() {
	synctest.Test(t, func(t *testing.T) {
		broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
		reminders := inproq.Must(inproq.Declare[string](t.Context(), broker, "reminders", inproq.QueueConfig{}))
		reminded := make(chan string, 1)
		inproq.Must(reminders.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
			reminded <- m.Body
			return nil
		}), inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}))
		queuetest.Start(t, broker)
		sent := time.Now()
		inproq.Must(reminders.Send(t.Context(), "tea", inproq.Delay(12*time.Hour)))
		if got := <-reminded; got != "tea" {
			t.Errorf("reminded of %q", got)
		}
		if waited := time.Since(sent); waited != 12*time.Hour {
			t.Errorf("reminded after %v", waited)
		}
	})
}

func TestExampleStart(test *testing.T) {
	t = test
	ExampleStart()
}
