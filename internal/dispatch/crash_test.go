package dispatch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/internal/headers"
	"github.com/inproq/inproq/store"
)

// crash makes the store lose the settlements of what a handler has processed, as
// if the process had died before each.
func (r *rig) crash() {
	r.spy.onSettle(func(ctx context.Context, queue string, o []store.Outcome) ([]int, error) {
		for i := range o {
			if o[i].Verb == store.Move || o[i].Verb == store.Release {
				return r.store.Settle(ctx, queue, o)
			}
		}
		return nil, store.ErrReadOnly
	})
}

func TestMessageThatCrashesItsHandlerIsDeadLettered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed, with(func(s *Settings) { s.MaxRetries, s.DeadLetterQueue = 2, "dead" }))
		r.create("dead")
		r.crash()
		r.send(3)
		time.Sleep(24 * time.Hour)
		assert.Equal(t, []int{1, 2, 3}, r.seen.attempts(), "as many deliveries as it may have")
		assert.Zero(t, r.stats().Messages)
		dead := r.peek("dead")
		require.Len(t, dead, 3)
		h, err := headers.Decode(dead[0].Headers)
		require.NoError(t, err)
		letter, ok := headers.ParseDeadLetter(h)
		require.True(t, ok)
		assert.Equal(t, "q", letter.Queue)
		assert.Equal(t, Crashed, letter.Reason)
		assert.Equal(t, 3, letter.Attempts, "the lease that found it spent is no delivery")
		assert.Empty(t, letter.Error)
		assert.EqualValues(t, 3, r.cfg.Counters.DeadLettered.Load())
		assert.EqualValues(t, 9, r.cfg.Counters.Delivered.Load())
		assert.Len(t, r.book.find("message dead-lettered"), 3)
	})
}

func TestMessageThatCrashesItsHandlerIsDeletedWithoutADeadLetterQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed, with(func(s *Settings) { s.MaxRetries = 0 }))
		r.crash()
		r.send(3)
		time.Sleep(time.Minute)
		r.spy.onSettle(nil)
		time.Sleep(24 * time.Hour)
		assert.Equal(t, []int{1}, r.seen.attempts())
		assert.Zero(t, r.stats().Messages)
		assert.EqualValues(t, 3, r.cfg.Counters.Dropped.Load())
		assert.Zero(t, r.cfg.Counters.Acked.Load())
		synctest.Wait() // goroutines that are about to end
		assert.Equal(t, 1, goroutinesIn("dispatch.(*Engine).fillAndRun"), "it goes on filling")
	})
}

func TestSpentMessagesDoNotKeepOthersBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed, with(func(s *Settings) { s.MaxRetries, s.BatchTimeout = 0, time.Hour }))
		r.crash()
		r.send(10)
		time.Sleep(time.Minute)
		r.spy.onSettle(nil)
		require.NoError(t, r.Hold(t.Context()))
		time.Sleep(time.Hour)
		r.change(func(s *Settings) { s.BatchSize, s.BatchTimeout = 12, time.Second })
		r.send(2)
		r.Resume()
		synctest.Wait()
		assert.Equal(t, []int{10, 2}, r.seen.sizes())
		assert.Equal(t, []int{11, 12}, r.seen.batches()[1].numbers)
		assert.EqualValues(t, 10, r.cfg.Counters.Dropped.Load())
	})
}

func TestSpentMessageThatCannotBeBuriedIsNotDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed, with(func(s *Settings) { s.MaxRetries = 0 }))
		r.crash()
		r.send(1)
		time.Sleep(24 * time.Hour)
		assert.Equal(t, []int{1}, r.seen.attempts())
		assert.Zero(t, r.cfg.Counters.Dropped.Load())
		assert.EqualValues(t, 1, r.stats().Messages)
	})
}

func TestLostLeasesAreNotCountedAsAcked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(_ context.Context, b *Batch) error {
			b.Ack(0)
			b.Ack(1)
			return errors.New("refused")
		}, with(func(s *Settings) { s.BatchSize = 4 }))
		r.spy.onSettle(func(ctx context.Context, queue string, o []store.Outcome) ([]int, error) {
			_, err := r.store.Settle(ctx, queue, o)
			return []int{1, 3}, err
		})
		r.send(4)
		synctest.Wait()
		c := r.cfg.Counters
		assert.EqualValues(t, 1, c.Acked.Load())
		assert.EqualValues(t, 1, c.Retried.Load())
		assert.EqualValues(t, 2, c.LeasesLost.Load())
		assert.EqualValues(t, 1, c.DeleteOps.Load())
		logged := r.book.find("lease lost: the message is delivered again")
		require.Len(t, logged, 2)
		assert.Equal(t, idText(store.ID{15: 2}), attr(logged[0], "message_id").String())
		assert.Equal(t, idText(store.ID{15: 4}), attr(logged[1], "message_id").String())
		r.spy.onSettle(nil)
		r.Halt()
	})
}
