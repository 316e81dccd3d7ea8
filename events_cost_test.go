package inproq_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/inproq/inproq"
)

// costOf is how often a batch of 100 messages allocates that is sent and pulled, beside a reader of some kinds.
func costOf(t *testing.T, kinds ...inproq.EventKind) float64 {
	t.Helper()
	b := sendBroker(t, inproq.Config{})
	q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
	p := pullConsumer(t, q, inproq.PullConfig{MaxBatchSize: 100})
	if kinds != nil {
		_ = b.Events(t.Context(), kinds...)
	}
	bodies := make([][]byte, 100)
	for i := range bodies {
		bodies[i] = []byte("x")
	}
	reqs := inproq.Bodies(bodies...)
	return testing.AllocsPerRun(50, func() {
		if _, err := q.SendBatch(t.Context(), reqs); err != nil {
			t.Fatal(err)
		}
		batch, err := p.Pull(t.Context())
		if err != nil || len(batch.Messages) != 100 {
			t.Fatal(len(batch.Messages), err)
		}
		batch.AckAll()
		if _, err := batch.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// Who wants to know of what is rare costs nothing for each message.
func TestEventsOfRareKindsCostNothing(t *testing.T) {
	unread := costOf(t)
	for _, kind := range []inproq.EventKind{inproq.EventDeadLettered, inproq.EventWarning, inproq.EventLeaseLost, inproq.EventScaled} {
		assert.InDelta(t, unread, costOf(t, kind), 10, kind)
	}
	// The race detector makes pools drop what they keep now and then: allocations vary by one or two.
	assert.InDelta(t, unread+100, costOf(t, inproq.EventAcked), 5, "each message is told of, by one allocation")
}

// A pull takes the queue's settings as they were read before: reading the record takes some 40 allocations.
func TestPullDoesNotReadTheRecordAgain(t *testing.T) {
	b := sendBroker(t, inproq.Config{})
	q := sendQueue[[]byte](t, b, "q", inproq.QueueConfig{})
	p := pullConsumer(t, q, inproq.PullConfig{})
	const most = 15
	for name, pull := range map[string]func() error{
		"PullConsumer.Pull": func() error { _, err := p.Pull(t.Context()); return err },
		"Broker.Pull":       func() error { _, err := b.Pull(t.Context(), "q", inproq.PullRequest{}); return err },
	} {
		allocs := testing.AllocsPerRun(100, func() {
			if err := pull(); err != nil {
				t.Fatal(err)
			}
		})
		assert.Less(t, allocs, float64(most), name)
	}
}
