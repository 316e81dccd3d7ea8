package queuetest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// Retries over hours and a dead letter, in a test that takes no time.
func ExampleObserve() {
	synctest.Test(t, func(t *testing.T) {
		broker := inproq.Must(inproq.NewBroker(inproq.Config{}))
		emails := inproq.Must(inproq.Declare[string](t.Context(), broker, "emails", inproq.QueueConfig{}))
		inproq.Must(emails.Consume(inproq.Each(func(ctx context.Context, m *inproq.Message[string]) error {
			if m.Body == "ada@example.org" {
				return errors.New("mailbox full")
			}
			return nil
		}), inproq.ConsumerConfig{MaxRetries: 2, RetryDelay: 6 * time.Hour, DeadLetterQueue: "undelivered"}))
		happened := queuetest.Observe(t, emails)
		queuetest.Start(t, broker)
		inproq.Must(emails.SendBatch(t.Context(), inproq.Bodies("ada@example.org", "alan@example.org")))
		queuetest.Drain(t, broker)
		queuetest.AssertAcked(t, happened, "alan@example.org")
		queuetest.AssertRetried(t, happened, "ada@example.org", "ada@example.org")
		queuetest.AssertDeadLettered(t, happened, "ada@example.org")
	})
}

func TestExampleObserve(test *testing.T) {
	t = test
	ExampleObserve()
}

// The same words serve for code that only sends.
func ExampleAssertSent() {
	mails := queuetest.NewRecorder[string](t)
	inproq.Must(mails.Send(t.Context(), "ada@example.org"))
	queuetest.AssertSent(t, mails, "ada@example.org")
	queuetest.AssertNotSent(t, mails, "alan@example.org")
}

func TestExampleAssertSent(test *testing.T) {
	t = test
	ExampleAssertSent()
}

// And for a handler that is called with one batch.
func ExampleAssertRetried() {
	charge := func(ctx context.Context, batch *inproq.MessageBatch[int]) error {
		for _, m := range batch.Messages {
			if m.Body > 100 {
				m.Retry(inproq.Delay(time.Hour))
			}
		}
		return nil
	}
	result := queuetest.Deliver(t.Context(), charge, queuetest.NewBatch("charges", queuetest.Messages(20, 500)...))
	queuetest.AssertAcked(t, result, 20)
	queuetest.AssertRetried(t, result, 500)
}

func TestExampleAssertRetried(test *testing.T) {
	t = test
	ExampleAssertRetried()
}
