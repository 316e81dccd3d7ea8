package dispatch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/internal/settlement"
	"github.com/inproq/inproq/store"
)

// kindsOf are the kinds of what a watcher was told.
func (w *watcher) kindsOf() []Kind {
	kinds := []Kind{}
	for _, h := range w.all() {
		kinds = append(kinds, h.Kind)
	}
	return kinds
}

// An observer is told of what it wants and of nothing else, whatever happens beside.
func TestObserverIsToldOnlyWhatItWants(t *testing.T) {
	for want, n := range map[Kind]int{
		Delivered: 8, Acked: 2, Retried: 3, DeadLettered: 3, Failed: 1, CallIgnored: 1,
		LeaseLost: 0, Stuck: 0, Dropped: 0,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &watcher{kinds: Kinds(0).With(want)}
			r := newRig(t, func(_ context.Context, b *Batch) error {
				if len(b.Deliveries) < 5 {
					return errors.New("refused")
				}
				b.Ack(0)
				b.Remark("Ack", 0, b.Deliveries[0].ID, b.Ack(0))
				b.Ack(1)
				for i := range 3 {
					b.Retry(2+i, settlement.Retry{})
				}
				return nil
			}, watchedBy(w), with(func(s *Settings) { s.BatchSize, s.MaxRetries, s.DeadLetterQueue = 5, 1, "dead" }))
			r.create("dead")
			r.send(5)
			r.Start(t.Context())
			time.Sleep(time.Minute)
			wanted := []Kind{}
			for range n {
				wanted = append(wanted, want)
			}
			assert.Equal(t, wanted, w.kindsOf())
		})
	}
}

// Overdue is told to all, and once for an invocation or a pull.
func TestObserverIsToldOfWhatIsOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(watcher)
		r := newRig(t, takes(time.Minute), watchedBy(w), with(func(s *Settings) { s.BatchSize, s.MaxRetries = 1, 0 }))
		pull := func(hold time.Duration) {
			r.send(1)
			b, err := r.Pull(t.Context(), r.settings, store.Claim{Max: 1, Visibility: 30 * time.Second})
			require.NoError(t, err)
			b.AckAll()
			time.Sleep(hold)
			_, _, err = b.Settle(t.Context())
			require.NoError(t, err)
		}
		pull(30 * time.Second)
		assert.Empty(t, w.kindsOf())
		pull(31 * time.Second)
		assert.Equal(t, []Kind{Overdue}, w.kindsOf())
		r.change(func(s *Settings) { s.MaxDuration = time.Minute })
		r.send(1)
		r.Start(t.Context())
		time.Sleep(2 * time.Minute)
		assert.Equal(t, []Kind{Overdue, Overdue}, w.kindsOf())
	})
}
