package inproq_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
	"github.com/inproq/inproq/store"
)

// Letters that die again while the redrive runs stay: it ends though nothing has become
// better, and though no time passes.
func TestRedriveOfLettersThatDieAgain(t *testing.T) {
	for _, rate := range []int{0, 2, 1000} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := consumeRun(t, inproq.ConsumerConfig{
					MaxRetries: inproq.NoRetries, MaxBatchSize: 100, MaxBatchTimeout: inproq.NoWait, DeadLetterQueue: redriveDead,
				}, consumeFail, redriveBodies("", 100)...)
				r.send(redriveBodies("more", 100)...)
				synctest.Wait()
				require.EqualValues(t, 200, r.backlog(redriveDead))
				asked := make(map[inproq.MessageID]int)
				n, err := r.broker.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{PerSecond: rate, Filter: func(m inproq.PeekedMessage) bool {
					asked[m.ID]++
					time.Sleep(time.Nanosecond * time.Duration(rate)) // lets the handlers run, at rate 0 within one instant
					synctest.Wait()
					return true
				}})
				require.NoError(t, err)
				assert.Equal(t, 200, n)
				synctest.Wait()
				assert.EqualValues(t, 200, r.backlog(redriveDead))
				assert.Len(t, r.all(), 400, "each was delivered once more")
				for id, n := range asked {
					assert.Equal(t, 1, n, "asked about %v", id)
				}
			})
		})
	}
}

// Letters that die for the first time stay, too.
func TestRedriveOfLettersThatComeMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		redriveKill(t, st, map[string][]string{"jobs": redriveBodies("jobs", 3)})
		b := accountBroker(t, inproq.Config{Store: st})
		q := accountDeclare(t, b, "late", inproq.QueueConfig{})
		accountConsume(t, q, consumeFail, inproq.ConsumerConfig{MaxRetries: inproq.NoRetries, MaxBatchTimeout: inproq.NoWait, DeadLetterQueue: redriveDead})
		run := accountStart(b)
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(1500 * time.Millisecond)
			_, err := q.Send(t.Context(), "late")
			assert.NoError(t, err)
		})
		n, err := b.Redrive(t.Context(), redriveDead, "jobs", inproq.RedriveConfig{PerSecond: 1})
		require.NoError(t, err)
		assert.Equal(t, 3, n)
		wg.Wait()
		assert.Equal(t, []string{"late"}, redriveText(t, b, redriveDead))
		require.NoError(t, run.stop())
	})
}

// What is with the dead-letter queue's consumer stays there. What that has put off is moved.
func TestRedriveBesideAConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := redriveSetup(t, 30, nil)
		dead := accountDeclare(t, b, redriveDead, inproq.QueueConfig{})
		held := accountGate()
		first := true
		accountConsume(t, dead, consumeScript(
			func(_ context.Context, batch *inproq.MessageBatch[string]) error {
				batch.RetryAll(inproq.Delay(time.Minute))
				return nil
			},
			held.handle,
		), inproq.ConsumerConfig{MaxBatchSize: 10, MaxConcurrency: 1})
		run := accountStart(b)
		synctest.Wait()
		bl, err := b.Backlog(t.Context(), redriveDead)
		require.NoError(t, err)
		require.Equal(t, []int64{10, 10, 10}, []int64{bl.Ready, bl.Delayed, bl.Leased})
		n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{Filter: func(m inproq.PeekedMessage) bool {
			if first {
				first = false
				assert.Zero(t, m.Attempts, "ready ones come first")
			}
			return true
		}})
		require.NoError(t, err)
		assert.Equal(t, 20, n)
		assert.Equal(t, 10, accountCount(t, b, redriveDead))
		close(held.open)
		require.NoError(t, run.stop())
		assert.Len(t, held.bodies(), 10)
		assert.Len(t, redriveAll(t, b, "jobs"), 20)
		for _, m := range redriveAll(t, b, "jobs") {
			assert.Zero(t, m.Attempts)
		}
	})
}

// A letter that a consumer has between two pages, and gives back at the end of the line, is not
// asked about again.
func TestRedriveLooksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		redriveKill(t, st, map[string][]string{"jobs": redriveBodies("jobs", 250)})
		b := accountBroker(t, inproq.Config{Store: st})
		asked := make(map[inproq.MessageID]int)
		n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{Filter: func(m inproq.PeekedMessage) bool {
			if len(asked) == 10 {
				ds, err := st.Lease(t.Context(), redriveDead, store.Claim{Max: 10, Visibility: time.Minute}, nil)
				assert.NoError(t, err)
				for _, d := range ds {
					_, err := st.Settle(t.Context(), redriveDead, []store.Outcome{{Lease: d.Lease, Verb: store.Retry}})
					assert.NoError(t, err)
				}
			}
			asked[m.ID]++
			return len(asked) > 20
		}})
		require.NoError(t, err)
		assert.Equal(t, 230, n)
		assert.Len(t, asked, 250)
		for id, n := range asked {
			assert.Equal(t, 1, n, "asked about %v", id)
		}
		assert.ElementsMatch(t, redriveBodies("jobs", 20), redriveText(t, b, redriveDead))
	})
}

// Ready letters, fresh messages and delayed ones are in different places of the store. A redrive goes
// through all of them in pages, while what it has passed is gone.
func TestRedriveGoesThroughAllPlaces(t *testing.T) {
	for name, wanted := range map[string]func(i int) bool{
		"all":       nil,
		"odd ones":  func(i int) bool { return i%2 == 1 },
		"one of 99": func(i int) bool { return i%99 == 0 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := redriveSetup(t, 330, nil)
				dead := accountDeclare(t, b, redriveDead, inproq.QueueConfig{})
				for i := range 300 {
					var opts []inproq.SendOption
					if i%2 == 1 {
						opts = append(opts, inproq.Delay(time.Hour))
					}
					_, err := dead.Send(t.Context(), fmt.Sprint("other ", i), opts...)
					require.NoError(t, err)
				}
				before := redriveText(t, b, redriveDead)
				var looked []string
				var cfg inproq.RedriveConfig
				want := before
				if wanted != nil {
					want = nil
					for i, body := range before {
						if wanted(i) {
							want = append(want, body)
						}
					}
					cfg.Filter = func(m inproq.PeekedMessage) bool {
						looked = append(looked, string(m.Body[1:len(m.Body)-1]))
						return wanted(len(looked) - 1)
					}
				}
				n, err := b.Redrive(t.Context(), redriveDead, "jobs", cfg)
				require.NoError(t, err)
				assert.Equal(t, len(want), n)
				assert.Equal(t, want, redriveText(t, b, "jobs"), "in their order")
				assert.Equal(t, 630-len(want), accountCount(t, b, redriveDead))
				if wanted != nil {
					assert.Equal(t, before, looked)
				}
			})
		})
	}
}

// Letters come from here and go there, in a circle: queues may be each other's dead-letter queue.
func TestRedriveBetweenTwoQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newConsumeRig(t, inproq.ConsumerConfig{MaxRetries: inproq.NoRetries, MaxBatchTimeout: inproq.NoWait, DeadLetterQueue: "other"},
			consumeScript(consumeFail))
		other := r.attach("other", inproq.QueueConfig{}, inproq.ConsumerConfig{MaxRetries: inproq.NoRetries, MaxBatchTimeout: time.Minute}, nil)
		r.send("x")
		queuetest.Start(t, r.broker)
		consumePass(time.Second)
		n, err := r.broker.Redrive(t.Context(), "other", "", inproq.RedriveConfig{})
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		synctest.Wait()
		assert.Equal(t, []time.Duration{0, time.Second}, r.times("x"))
		assert.Empty(t, other.all())
		n, err = r.broker.Redrive(t.Context(), "other", "", inproq.RedriveConfig{})
		require.NoError(t, err)
		assert.Zero(t, n)
	})
}
