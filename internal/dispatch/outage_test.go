package dispatch

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

var errDown = fmt.Errorf("%w: connection refused", store.ErrUnavailable)

func TestLeaseIsTriedAgainWithGrowingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, succeed)
		began := time.Now()
		calls := make(chan time.Duration, 100)
		r.spy.onLease(func(ctx context.Context, queue string, c store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
			if calls <- time.Since(began); len(calls) < 11 {
				return buf, errDown
			}
			return r.store.Lease(ctx, queue, c, buf)
		})
		r.Start(t.Context())
		r.send(10)
		time.Sleep(time.Minute)
		for _, ms := range []int{0, 50, 150, 350, 750, 1550, 3150, 6350, 11350, 16350, 21350} {
			assert.Equal(t, time.Duration(ms)*time.Millisecond, <-calls)
		}
		assert.Equal(t, []int{10}, r.seen.sizes())
		assert.Len(t, r.book.find("store call failed, trying again"), 1, "logged when it begins")
		assert.Len(t, r.book.find("store call works again"), 1, "and when it is over")
		assert.Len(t, r.book.all(), 2)
	})
}

func TestOutageDoesNotDelayHoldAndStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, succeed)
		r.spy.onLease(func(context.Context, string, store.Claim, []store.Delivery) ([]store.Delivery, error) {
			return nil, errDown
		})
		r.Start(t.Context())
		time.Sleep(20*time.Second + time.Millisecond)
		began := time.Now()
		require.NoError(t, r.Hold(t.Context()))
		r.Resume()
		synctest.Wait()
		require.NoError(t, r.Stop(t.Context()))
		assert.Zero(t, time.Since(began))
	})
}

func TestSettlementIsTriedAgain(t *testing.T) {
	cases := []struct {
		down    time.Duration
		settled bool
	}{{5 * time.Second, true}, {9 * time.Second, true}, {10 * time.Second, false}}
	for _, c := range cases {
		t.Run(c.down.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, takes(time.Second), with(func(s *Settings) { s.MaxDuration = time.Minute }))
				until := time.Now().Add(time.Second + c.down)
				r.spy.onSettle(func(ctx context.Context, queue string, o []store.Outcome) ([]int, error) {
					if time.Now().Before(until) {
						return nil, errDown
					}
					return r.store.Settle(ctx, queue, o)
				})
				r.send(10)
				time.Sleep(time.Second + settleTime)
				synctest.Wait()
				assert.Len(t, r.book.find("store call failed, trying again"), 1)
				if c.settled {
					assert.Len(t, r.book.find("store call works again"), 1)
					assert.Len(t, r.book.all(), 2)
					assert.Zero(t, r.stats().Messages)
					return
				}
				given := r.book.find("batch not settled: its messages will be delivered again")
				require.Len(t, given, 1)
				assert.EqualValues(t, 10, attr(given[0], "messages").Int64())
				assert.Zero(t, r.cfg.Counters.Acked.Load(), "what is not settled is not counted")
				assert.Zero(t, r.State().Running, "the slot is free")
				time.Sleep(10 * time.Minute)
				assert.Equal(t, []int{1, 2}, r.seen.attempts(), "the messages come again when the leases have run out")
				assert.Zero(t, r.stats().Messages)
			})
		})
	}
}

func TestOtherErrorsOfSettlementAreNotTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, succeed)
		r.spy.onSettle(func(context.Context, string, []store.Outcome) ([]int, error) { return nil, store.ErrReadOnly })
		r.send(10)
		synctest.Wait()
		assert.Len(t, r.spy.calls(store.Ack), 1)
		failed := r.book.find("batch not settled: its messages will be delivered again")
		require.Len(t, failed, 1)
		assert.Equal(t, store.ErrReadOnly, attr(failed[0], "err").Any())
		assert.Len(t, r.book.all(), 1)
		r.spy.onSettle(nil)
	})
}

func TestSettlementSurvivesTheEndOfAllContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, takes(time.Minute))
		ctx, cancel := context.WithCancel(t.Context())
		r.Start(ctx)
		r.send(10)
		synctest.Wait()
		cancel()
		r.Halt()
		r.Cancel(context.Canceled)
		deadlines := make(chan time.Duration, 1)
		r.spy.onSettle(func(ctx context.Context, queue string, o []store.Outcome) ([]int, error) {
			d, _ := ctx.Deadline()
			deadlines <- time.Until(d)
			assert.NoError(t, ctx.Err())
			return r.store.Settle(ctx, queue, o)
		})
		require.NoError(t, r.Stop(t.Context()))
		assert.Equal(t, settleTime, <-deadlines)
		assert.Zero(t, r.stats().Leased)
	})
}

func TestQueueThatIsDeletedEndsTheEngine(t *testing.T) {
	for name, end := range map[string]struct {
		do  func(*rig) error
		err error
	}{
		"deleted": {func(r *rig) error { return r.store.DeleteQueue(context.Background(), "q") }, store.ErrQueueNotFound},
		"closed":  {func(r *rig) error { return r.store.Close() }, store.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 10)
				var r *rig
				r = start(t, takes(time.Minute), func(c *Config) {
					c.Settings.MaxConcurrency = 2
					c.Ended = func(err error) { r.Halt(); ended <- err }
				})
				r.grow(2)
				r.send(10)
				synctest.Wait()
				require.NoError(t, end.do(r))
				synctest.Wait()
				require.ErrorIs(t, <-ended, end.err)
				assert.Equal(t, 1, r.State().Running, "the handler may finish")
				time.Sleep(time.Hour)
				assert.Empty(t, ended, "Ended is called once")
				synctest.Wait() // goroutines that are about to end
				assert.Zero(t, goroutinesIn("dispatch.(*Engine).fillAndRun"))
				if errors.Is(end.err, store.ErrQueueNotFound) {
					assert.Len(t, r.book.find("batch not settled: its queue was deleted"), 1)
				}
			})
		})
	}
}

func TestEngineThatWasStoppedDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, succeed)
		gone := make(chan struct{})
		r.spy.onLease(func(context.Context, string, store.Claim, []store.Delivery) ([]store.Delivery, error) {
			<-gone
			return nil, store.ErrQueueNotFound
		})
		r.Start(t.Context())
		synctest.Wait()
		r.Halt()
		close(gone)
		synctest.Wait() // Ended would fail the test
		assert.Zero(t, goroutinesIn("dispatch.(*Engine).fillAndRun"))
	})
}
