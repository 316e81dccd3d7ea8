package inproq_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

// eventsSlowStore answers a Settle a second after it has done it.
type eventsSlowStore struct{ store.Store }

func (s eventsSlowStore) Settle(ctx context.Context, queue string, outcomes []store.Outcome) ([]int, error) {
	lost, err := s.Store.Settle(ctx, queue, outcomes)
	time.Sleep(time.Second)
	return lost, err
}

// A delivery may be told before the retry that has made it possible; their times are in
// order, and so is the journey.
func TestEventsHaveTheTimeOfTheirBeginning(t *testing.T) {
	for name, pulled := range map[string]bool{"typed pull": true, "pull by lease": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := accountBroker(t, inproq.Config{Store: eventsSlowStore{accountStore(t)}, Journey: true})
				q := accountDeclare(t, b, "q", inproq.QueueConfig{})
				p, err := q.PullConsumer(inproq.PullConfig{})
				require.NoError(t, err)
				r := eventsOf(t, b, inproq.EventRetried, inproq.EventDelivered)
				id := consumersSend(t, b, "q", "a")[0]
				var settling sync.WaitGroup
				if pulled {
					batch, err := p.Pull(t.Context())
					require.NoError(t, err)
					batch.RetryAll()
					settling.Go(func() { _, _ = batch.Settle(t.Context()) })
				} else {
					res, err := b.Pull(t.Context(), "q", inproq.PullRequest{})
					require.NoError(t, err)
					retry := inproq.SettleRequest{Retries: []inproq.LeaseDelay{{LeaseID: res.Messages[0].LeaseID}}}
					settling.Go(func() { _, _ = b.Settle(t.Context(), "q", retry) })
				}
				time.Sleep(time.Millisecond)
				_, err = p.Pull(t.Context())
				require.NoError(t, err)
				settling.Wait()
				line := func(at time.Duration, kind inproq.EventKind, attempts int) eventsLine {
					return eventsLine{At: at, Kind: kind, Queue: "q", Message: id, Attempts: attempts}
				}
				assert.Equal(t, []eventsLine{
					line(0, inproq.EventDelivered, 1), line(time.Millisecond, inproq.EventDelivered, 2), line(0, inproq.EventRetried, 1),
				}, r.lines())
				var kinds []inproq.EventKind
				for _, e := range b.Journey(id) {
					kinds = append(kinds, e.Kind)
				}
				assert.Equal(t, []inproq.EventKind{"sent", "delivered", "retried", "delivered"}, kinds)
			})
		})
	}
}

// The same for handlers, and for messages that are moved back.
func TestEventsHaveTheTimeOfTheirBeginningInHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{Store: eventsSlowStore{accountStore(t)}})
		eventsConsume(t, b, "q", eventsAccept, inproq.ConsumerConfig{})
		run := accountStart(b)
		synctest.Wait()
		consumersCreate(t, b, "dead")
		r := eventsOf(t, b, inproq.EventAcked, inproq.EventRedriven)
		one := consumersSend(t, b, "q", "a")[0]
		time.Sleep(time.Minute)
		two := consumersSend(t, b, "dead", "b")[0]
		_, err := b.Redrive(t.Context(), "dead", "q", inproq.RedriveConfig{})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		assert.ElementsMatch(t, []eventsLine{
			{Kind: inproq.EventAcked, Queue: "q", Message: one, Attempts: 1},
			{At: time.Minute, Kind: inproq.EventRedriven, Queue: "dead", Message: two, To: "q"},
			{At: time.Minute, Kind: inproq.EventAcked, Queue: "q", Message: two, Attempts: 1},
		}, r.lines())
		require.NoError(t, run.stop())
	})
}
