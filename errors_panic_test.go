package inproq_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// A panicError is an error that cannot be asked for its text, unless ask is set.
type panicError struct{ ask func() string }

func (e *panicError) Error() string {
	if e.ask == nil { // a panic of its own if e is nil
		panic("at a loss for words")
	}
	return e.ask()
}

// panicErrors are such errors, with what stands for their text.
var panicErrors = map[string]struct {
	err  *panicError
	text string
}{
	"a typed nil": {nil, "<nil>"},
	"a panic":     {new(panicError), "at a loss for words"},
}

// panicCheck looks at the letter of a message that was retried once and then died, and at its
// journey.
func panicCheck(t *testing.T, b *inproq.Broker, text string) {
	t.Helper()
	m := sendPeekOne(t, b, redriveDead)
	letter, ok := m.DeadLetter()
	require.True(t, ok)
	assert.Contains(t, letter.Error, text)
	var told []inproq.EventKind
	for _, e := range b.Journey(m.ID) {
		if e.Err != nil {
			assert.Contains(t, e.Err.Error(), text)
			told = append(told, e.Kind)
		}
	}
	assert.Equal(t, []inproq.EventKind{inproq.EventRetried, inproq.EventDeadLettered}, told)
	assert.Contains(t, b.Journey(m.ID).String(), text)
}

// A handler may return an error whose Error panics: logs, dead letters and journeys do without its text.
func TestErrorsThatPanicInHandlers(t *testing.T) {
	for name, c := range panicErrors {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log accountLog
				b := accountBroker(t, inproq.Config{Journey: true, Logger: log.logger()})
				eventsConsume(t, b, "q", func(context.Context, *inproq.MessageBatch[string]) error { return c.err },
					inproq.ConsumerConfig{MaxRetries: 1, DeadLetterQueue: redriveDead})
				queuetest.Start(t, b)
				consumersSend(t, b, "q", "x")
				synctest.Wait()
				panicCheck(t, b, c.text)
				assert.Contains(t, log.String(), "handler failed")
			})
		})
	}
}

// The same for a cause of who pulls.
func TestErrorsThatPanicAsCausesOfPulls(t *testing.T) {
	for name, c := range panicErrors {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := accountBroker(t, inproq.Config{Journey: true})
				q := accountDeclare(t, b, "q", inproq.QueueConfig{})
				p := pullConsumer(t, q, inproq.PullConfig{MaxRetries: 1, DeadLetterQueue: redriveDead})
				accountSend(t, q, "x")
				for attempt := range 2 {
					batch, m := pullOne(t, p, attempt+1)
					m.Retry(inproq.Cause(c.err))
					pullSettle(t, batch)
					require.NoError(t, batch.Extend(t.Context(), time.Minute), "it is not locked")
				}
				panicCheck(t, b, c.text)
			})
		})
	}
}

// A batch is not locked while a cause is asked for its text, which may do anything.
func TestCausesMayUseTheirBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPullRig(t, inproq.Config{})
		p := r.consumer(inproq.PullConfig{MaxRetries: inproq.NoRetries, DeadLetterQueue: redriveDead})
		r.send("a", "b")
		batch := pullNow(t, p)
		batch.Messages[0].Retry(inproq.Cause(&panicError{ask: func() string {
			assert.NoError(t, batch.Extend(t.Context(), time.Hour))
			return "extended"
		}}))
		pullSettle(t, batch)
		_, letter := r.letter(redriveDead)
		assert.Equal(t, "extended", letter.Error)
		time.Sleep(time.Minute)
		pullNone(t, p, "the other is still held")
	})
}
