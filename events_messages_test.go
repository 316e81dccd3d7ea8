package inproq_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/memory"
)

// A send is told for each message, with the delay that it got.
func TestEventsOfSends(t *testing.T) {
	for name, make := range map[string]func() store.Store{
		"local":  func() store.Store { return memory.New() },
		"remote": func() store.Store { return newSendStore() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := accountBroker(t, inproq.Config{Store: make()})
				q := accountDeclare(t, b, "q", inproq.QueueConfig{DeliveryDelay: time.Minute})
				r := eventsOf(t, b, inproq.EventSent)
				one, err := q.Send(t.Context(), "a")
				require.NoError(t, err)
				time.Sleep(time.Second)
				two, err := q.Send(t.Context(), "b", inproq.Delay(0))
				require.NoError(t, err)
				batch, err := q.SendBatch(t.Context(), []inproq.MessageSendRequest[string]{{Body: "c"}, {Body: "d", Delay: time.Hour}})
				require.NoError(t, err)
				_, err = q.Send(t.Context(), "e", inproq.Delay(13*time.Hour))
				require.Error(t, err, "which is told nobody")
				assert.Equal(t, []eventsLine{
					{Kind: inproq.EventSent, Queue: "q", Message: one.ID, Delay: time.Minute},
					{At: time.Second, Kind: inproq.EventSent, Queue: "q", Message: two.ID},
					{At: time.Second, Kind: inproq.EventSent, Queue: "q", Message: batch.IDs[0], Delay: time.Minute},
					{At: time.Second, Kind: inproq.EventSent, Queue: "q", Message: batch.IDs[1], Delay: time.Hour},
				}, r.lines())
			})
		})
	}
}

// A message that is retried by a call, by a failure, and then dead.
func TestEventsOfALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		eventsConsume(t, b, "q", consumeScript(
			func(_ context.Context, batch *inproq.MessageBatch[string]) error {
				batch.Messages[0].Retry(inproq.Delay(time.Minute), inproq.Cause(errors.New("busy")))
				return nil
			},
			func(_ context.Context, batch *inproq.MessageBatch[string]) error { batch.RetryAll(); return nil },
			consumeFail, consumeFail,
		), inproq.ConsumerConfig{RetryDelay: time.Second, DeadLetterQueue: "dead"})
		eventsConsume(t, b, "dead", eventsAccept, inproq.ConsumerConfig{})
		queuetest.Start(t, b)
		synctest.Wait()
		r := eventsOf(t, b)
		id := consumersSend(t, b, "q", "a")[0]
		time.Sleep(time.Hour)
		out := errConsume.Error()
		line := func(at time.Duration, kind inproq.EventKind, attempts int) eventsLine {
			return eventsLine{At: at, Kind: kind, Queue: "q", Message: id, Attempts: attempts}
		}
		third := time.Minute + time.Second
		want := []eventsLine{
			line(0, inproq.EventSent, 0),
			line(0, inproq.EventDelivered, 1),
			line(0, inproq.EventRetried, 1),
			line(time.Minute, inproq.EventDelivered, 2),
			line(time.Minute, inproq.EventRetried, 2),
			line(third, inproq.EventDelivered, 3),
			{At: third, Kind: inproq.EventFailed, Queue: "q", Count: 1, Err: out},
			line(third, inproq.EventRetried, 3),
			line(third+time.Second, inproq.EventDelivered, 4),
			{At: third + time.Second, Kind: inproq.EventFailed, Queue: "q", Count: 1, Err: out},
			line(third+time.Second, inproq.EventDeadLettered, 4),
			{At: third + time.Second, Kind: inproq.EventDelivered, Queue: "dead", Message: id, Attempts: 1},
			{At: third + time.Second, Kind: inproq.EventAcked, Queue: "dead", Message: id, Attempts: 1},
		}
		want[2].Delay, want[2].Err = time.Minute, "busy"
		want[4].Delay = time.Second
		want[7].Delay, want[7].Err = time.Second, out
		want[10].To, want[10].Err = "dead", out
		got := r.lines()
		var lives []eventsLine
		for _, l := range got {
			if l.Kind != inproq.EventScaled {
				lives = append(lives, l)
			}
		}
		assert.ElementsMatch(t, want, lives) // what another goroutine does at once may be told before
	})
}

// Without a dead-letter queue a message is dropped, for the reason if no cause is known.
func TestEventsOfDrops(t *testing.T) {
	for name, tc := range map[string]struct {
		h   inproq.Handler[string]
		err string
	}{
		"cause":  {inproq.Each(func(context.Context, *inproq.Message[string]) error { return errConsume }), errConsume.Error()},
		"reason": {accountRetryAll, "inproq: retries_exhausted"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := accountBroker(t, inproq.Config{})
				eventsConsume(t, b, "q", tc.h, inproq.ConsumerConfig{MaxRetries: inproq.NoRetries})
				queuetest.Start(t, b)
				r := eventsOf(t, b, inproq.EventDropped)
				id := consumersSend(t, b, "q", "a")[0]
				assert.Equal(t, []eventsLine{{Kind: inproq.EventDropped, Queue: "q", Message: id, Attempts: 1, Err: tc.err}}, r.lines())
			})
		})
	}
}

// A body that does not decode is retried with that as the reason, and so it dies.
func TestEventsOfUndecodableBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := consumersBroker(t, inproq.Config{})
		raw, err := inproq.Bind[[]byte](t.Context(), b, "q")
		require.NoError(t, err)
		eventsConsume(t, b, "q", eventsAccept, inproq.ConsumerConfig{MaxRetries: 1, DeadLetterQueue: "dead"})
		queuetest.Start(t, b)
		r := eventsOf(t, b, inproq.EventRetried, inproq.EventDeadLettered)
		_, err = raw.Send(t.Context(), []byte("?"), inproq.ContentAs(inproq.Bytes))
		require.NoError(t, err)
		got := r.take()
		require.Len(t, got, 2)
		for i, e := range got {
			assert.Equal(t, []inproq.EventKind{inproq.EventRetried, inproq.EventDeadLettered}[i], e.Kind)
			var bad *inproq.DecodeError
			assert.ErrorAs(t, e.Err, &bad)
		}
	})
}

// eventsAccept is a handler that is content.
func eventsAccept(context.Context, *inproq.MessageBatch[string]) error { return nil }

// Pulls and their settlements are told as those of handlers are; a lease that another
// has by now is lost, and of a crash the letter's reason is told.
func TestEventsOfPulls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := consumersBroker(t, inproq.Config{})
		consumersAttach(t, b, "q", inproq.ConsumerSpec{Kind: inproq.HTTPPull, Settings: inproq.ConsumerSettings{
			VisibilityTimeout: time.Minute, MaxRetries: 1, RetryDelay: time.Second, DeadLetterQueue: "dead",
		}})
		id := consumersSend(t, b, "q", "a")[0]
		r := eventsOf(t, b)
		pull := func() string {
			res, err := b.Pull(t.Context(), "q", inproq.PullRequest{})
			require.NoError(t, err)
			if len(res.Messages) == 0 {
				return ""
			}
			return res.Messages[0].LeaseID
		}
		first := pull()
		time.Sleep(2 * time.Minute)
		pull()
		_, err := b.Settle(t.Context(), "q", inproq.SettleRequest{Acks: []string{first}})
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		assert.Empty(t, pull(), "it is dead")
		line := func(at time.Duration, kind inproq.EventKind, attempts int) eventsLine {
			return eventsLine{At: at, Kind: kind, Queue: "q", Message: id, Attempts: attempts}
		}
		dead := line(4*time.Minute, inproq.EventDeadLettered, 2)
		dead.To, dead.Err = "dead", "inproq: crashed"
		assert.Equal(t, []eventsLine{
			line(0, inproq.EventDelivered, 1),
			line(2*time.Minute, inproq.EventDelivered, 2),
			line(2*time.Minute, inproq.EventLeaseLost, 1),
			dead,
		}, r.lines())

		id = consumersSend(t, b, "q", "b")[0]
		_, err = b.Settle(t.Context(), "q", inproq.SettleRequest{Retries: []inproq.LeaseDelay{{LeaseID: pull()}}})
		require.NoError(t, err)
		time.Sleep(time.Second)
		_, err = b.Settle(t.Context(), "q", inproq.SettleRequest{Acks: []string{pull()}})
		require.NoError(t, err)
		again := line(4*time.Minute, inproq.EventRetried, 1)
		again.Delay = time.Second
		assert.Equal(t, []eventsLine{
			line(4*time.Minute, inproq.EventSent, 0),
			line(4*time.Minute, inproq.EventDelivered, 1), again,
			line(4*time.Minute+time.Second, inproq.EventDelivered, 2),
			line(4*time.Minute+time.Second, inproq.EventAcked, 2),
		}, r.lines())
	})
}

// Retention is told of as a number, when somebody asks, or after a batch.
func TestEventsOfExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := accountDeclare(t, b, "q", inproq.QueueConfig{MessageRetentionPeriod: time.Minute})
		r := eventsOf(t, b, inproq.EventExpired)
		accountSend(t, q, "a", "b", "c")
		time.Sleep(2 * time.Minute)
		assert.Empty(t, r.lines(), "nobody has looked")
		assert.EqualValues(t, 3, b.Stats("q").Expired)
		b.Stats("q")
		accountSend(t, q, "d")
		time.Sleep(2 * time.Minute)
		assert.Zero(t, accountCount(t, b, "q"))
		assert.Equal(t, []eventsLine{
			{At: 2 * time.Minute, Kind: inproq.EventExpired, Queue: "q", Count: 3},
			{At: 4 * time.Minute, Kind: inproq.EventExpired, Queue: "q", Count: 1},
		}, r.lines())

		accountSend(t, q, "e")
		time.Sleep(2 * time.Minute)
		accountConsume(t, q, eventsAccept, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		queuetest.Start(t, b)
		accountSend(t, q, "f")
		assert.Equal(t, []eventsLine{{At: 6 * time.Minute, Kind: inproq.EventExpired, Queue: "q", Count: 1}}, r.lines())
		assert.EqualValues(t, 5, b.Stats("q").Expired)
	})
}

// A queue that is made anew counts anew, and what was counted stays.
func TestEventsOfExpiryInAQueueMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		r := eventsOf(t, b, inproq.EventExpired)
		for i, n := range []int{3, 2, 1} {
			q := accountDeclare(t, b, "q", inproq.QueueConfig{MessageRetentionPeriod: time.Minute})
			for range n {
				accountSend(t, q, "x")
			}
			time.Sleep(2 * time.Minute)
			assert.EqualValues(t, []int{3, 5, 6}[i], b.Stats("q").Expired)
			got := r.take()
			require.Len(t, got, 1)
			assert.EqualValues(t, n, got[0].Count)
			require.NoError(t, b.DeleteQueue(t.Context(), "q"))
		}
	})
}

// A purge tells how many messages it has deleted, those with a consumer excepted.
func TestEventsOfPurges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := consumersBroker(t, inproq.Config{})
		consumersAttach(t, b, "q", inproq.ConsumerSpec{Kind: inproq.HTTPPull, Settings: inproq.ConsumerSettings{MaxBatchSize: 1}})
		consumersSend(t, b, "q", "a", "b", "c", "d", "e")
		r := eventsOf(t, b, inproq.EventPurged)
		peeked, err := b.Peek(t.Context(), "q", 2)
		require.NoError(t, err)
		_, err = b.PurgeMessages(t.Context(), "q", []string{peeked[0].Ref, peeked[1].Ref, "?"})
		require.NoError(t, err)
		_, err = b.Pull(t.Context(), "q", inproq.PullRequest{})
		require.NoError(t, err)
		require.NoError(t, b.Purge(t.Context(), "q"))
		require.NoError(t, b.Purge(t.Context(), "q"))
		assert.Equal(t, []eventsLine{
			{Kind: inproq.EventPurged, Queue: "q", Count: 2}, {Kind: inproq.EventPurged, Queue: "q", Count: 2},
		}, r.lines())
	})
}

func TestEventsOfARedrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := consumersBroker(t, inproq.Config{})
		consumersCreate(t, b, "dead")
		ids := consumersSend(t, b, "dead", "a", "b")
		r := eventsOf(t, b, inproq.EventRedriven)
		time.Sleep(time.Second)
		n, err := b.Redrive(t.Context(), "dead", "q", inproq.RedriveConfig{})
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		assert.Equal(t, []eventsLine{
			{At: time.Second, Kind: inproq.EventRedriven, Queue: "dead", Message: ids[0], To: "q"},
			{At: time.Second, Kind: inproq.EventRedriven, Queue: "dead", Message: ids[1], To: "q"},
		}, r.lines())
	})
}
