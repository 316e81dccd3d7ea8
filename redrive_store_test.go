package inproq_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

// A redrive asks for each queue once a page, not once a letter.
func TestRedriveAsksOnceAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sources, pages = 3, 4
		st := accountStore(t)
		bodies := make(map[string][]string)
		for i := range sources {
			name := fmt.Sprintf("jobs-%d", i)
			bodies[name] = redriveBodies(name, 100*pages/sources)
		}
		redriveKill(t, st, bodies)
		spy := &watchStore{Store: st}
		b := accountBroker(t, inproq.Config{Store: spy})
		n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{})
		require.NoError(t, err)
		require.Equal(t, sources*(100*pages/sources), n)
		assert.LessOrEqual(t, spy.calls.Load(), int64((sources+1)*(pages+1)), "of Queues")
	})
}

// Messages that are no letters and come while a redrive runs stay, too: it ends though each that
// it moves brings another.
func TestRedriveOfMessagesThatComeMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 1_000 // so that the test ends
		b := accountBroker(t, inproq.Config{})
		from := accountDeclare(t, b, redriveDead, inproq.QueueConfig{})
		accountDeclare(t, b, "jobs", inproq.QueueConfig{})
		accountSend(t, from, redriveBodies("early", 150)...)
		came := 0
		n, err := b.Redrive(t.Context(), redriveDead, "jobs", inproq.RedriveConfig{Filter: func(inproq.PeekedMessage) bool {
			time.Sleep(time.Millisecond)
			if came < most {
				came++
				accountSend(t, from, "late")
			}
			return true
		}})
		require.NoError(t, err)
		assert.Equal(t, 150, n)
		assert.Equal(t, redriveBodies("early", 150), redriveText(t, b, "jobs"))
		assert.Equal(t, came, accountCount(t, b, redriveDead))
	})
}

// A store that is unavailable for a moment is asked again. When only its answer was lost the letters
// have been moved; that is an error, and they are not moved twice.
func TestRedriveWhenTheStoreIsUnavailable(t *testing.T) {
	down := fmt.Errorf("%w: connection reset", store.ErrUnavailable)
	for name, applied := range map[string]bool{"the call is lost": false, "its answer is lost": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				b := redriveSetup(t, 250, func(st store.Store) store.Store {
					return &redriveStore{Store: st, settle: func(ctx context.Context, queue string, o []store.Outcome, next redriveSettle) ([]int, error) {
						calls++
						if calls != 2 {
							return next(ctx, queue, o)
						}
						if applied {
							_, err := next(ctx, queue, o)
							assert.NoError(t, err)
						}
						return nil, down
					}}
				})
				n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{Max: 200})
				if !applied {
					require.NoError(t, err)
					assert.Equal(t, 200, n)
				} else { // the second hundred has been moved, but that is not known
					require.ErrorIs(t, err, store.ErrUnavailable)
					assert.Equal(t, 100, n)
				}
				assert.Equal(t, 3, calls)
				assert.Len(t, redriveText(t, b, redriveDead), 50, "not one more than Max")
				n, err = b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{})
				require.NoError(t, err)
				assert.Equal(t, 50, n)
				assert.ElementsMatch(t, redriveBodies("jobs", 250), redriveText(t, b, "jobs"))
				assert.Empty(t, redriveText(t, b, redriveDead))
			})
		})
	}
}

// A destination that is deleted while the store is unavailable is not made anew, as a dead-letter queue would be.
func TestRedriveMakesNoQueue(t *testing.T) {
	for _, to := range []string{"", "jobs"} {
		t.Run(to, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				deleted := false
				b := redriveSetup(t, 3, func(st store.Store) store.Store {
					return &redriveStore{Store: st, settle: func(ctx context.Context, queue string, o []store.Outcome, next redriveSettle) ([]int, error) {
						if deleted {
							return next(ctx, queue, o)
						}
						deleted = true
						assert.NoError(t, st.DeleteQueue(ctx, "jobs"))
						return nil, store.ErrUnavailable
					}}
				})
				n, err := b.Redrive(t.Context(), redriveDead, to, inproq.RedriveConfig{})
				require.ErrorIs(t, err, inproq.ErrQueueNotFound)
				assert.Zero(t, n)
				_, err = b.Queue(t.Context(), "jobs")
				require.ErrorIs(t, err, inproq.ErrQueueNotFound)
				assert.Len(t, redriveText(t, b, redriveDead), 3)
			})
		})
	}
}
