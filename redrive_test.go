package inproq_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/queuetest"
)

// All of a message is kept, but for what says that it is dead.
func TestRedriveKeepsTheMessage(t *testing.T) {
	for name, to := range map[string]string{"to its source": "", "to one queue": "other"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newConsumeRig(t, inproq.ConsumerConfig{MaxRetries: 1, DeadLetterQueue: redriveDead, MaxBatchTimeout: inproq.NoWait},
					consumeScript(consumeFail, consumeFail))
				other := r.attach("other", inproq.QueueConfig{}, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait}, nil)
				sent, err := r.queue.Send(t.Context(), "ink", inproq.Header("Colour", "blue"), inproq.ContentAs(inproq.Text))
				require.NoError(t, err)
				at := time.Now()
				queuetest.Start(t, r.broker)
				consumePass(time.Minute)
				letter := sendPeekOne(t, r.broker, redriveDead)
				_, dead := letter.DeadLetter()
				require.True(t, dead)

				n, err := r.broker.Redrive(t.Context(), redriveDead, to, inproq.RedriveConfig{})
				require.NoError(t, err)
				assert.Equal(t, 1, n)
				synctest.Wait()
				assert.Zero(t, r.backlog(redriveDead))
				seen := r.all()
				if to != "" {
					seen = other.all()
				}
				require.NotEmpty(t, seen)
				m := seen[len(seen)-1]
				assert.Equal(t, sent.ID, m.ID)
				assert.True(t, m.Timestamp.Equal(at), "sent at %v, now %v", at, m.Timestamp)
				assert.Equal(t, "ink", m.Body)
				assert.Equal(t, inproq.Text, m.ContentType)
				assert.Equal(t, map[string]string{"Colour": "blue"}, m.Headers)
				assert.Equal(t, 1, m.Attempts)
				assert.Equal(t, time.Minute, m.At, "delivered when it is moved")
				_, dead = m.DeadLetter()
				assert.False(t, dead)
			})
		})
	}
}

// Headers that only said that the message is dead are all gone.
func TestRedriveLeavesNoHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := consumeRun(t, inproq.ConsumerConfig{MaxRetries: inproq.NoRetries, DeadLetterQueue: redriveDead, MaxBatchTimeout: inproq.NoWait},
			consumeScript(consumeFail), "ink")
		n, err := r.broker.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		synctest.Wait()
		seen := r.all()
		require.Len(t, seen, 2)
		assert.Empty(t, seen[1].Headers)
	})
}

func TestRedriveToEachSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := accountStore(t)
		sources := map[string][]string{"a": redriveBodies("a", 130), "b": redriveBodies("b", 70), "c": redriveBodies("c", 1)}
		redriveKill(t, st, sources)
		b := accountBroker(t, inproq.Config{Store: st})
		require.Len(t, redriveAll(t, b, redriveDead), 201)
		n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{})
		require.NoError(t, err)
		assert.Equal(t, 201, n)
		for queue, bodies := range sources {
			assert.ElementsMatch(t, bodies, redriveText(t, b, queue), queue)
		}
		assert.Zero(t, accountCount(t, b, redriveDead))
	})
}

// Retention counts from the move: a letter that is about to expire lives on, as long as a new
// message would.
func TestRedriveRenewsRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := redriveSetup(t, 1, nil)
		time.Sleep(time.Hour - time.Nanosecond)
		n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		time.Sleep(time.Hour - time.Millisecond)
		synctest.Wait()
		assert.Equal(t, 1, accountCount(t, b, "jobs"))
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Zero(t, accountCount(t, b, "jobs"), "and no longer")
	})
}

func TestRedriveFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := redriveSetup(t, 350, nil)
		odd := func(m inproq.PeekedMessage) bool {
			letter, ok := m.DeadLetter()
			assert.True(t, ok)
			assert.Equal(t, "jobs", letter.Queue)
			assert.Equal(t, errConsume.Error(), letter.Error)
			var i int
			_, err := fmt.Sscanf(string(m.Body), `"jobs %d"`, &i)
			assert.NoError(t, err)
			return i%2 == 1
		}
		calls := make(map[inproq.MessageID]int)
		n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{Filter: func(m inproq.PeekedMessage) bool {
			calls[m.ID]++
			return odd(m)
		}})
		require.NoError(t, err)
		assert.Equal(t, 175, n)
		assert.Len(t, calls, 350)
		for id, n := range calls {
			assert.Equal(t, 1, n, "letter %v", id)
		}
		for _, m := range redriveAll(t, b, "jobs") {
			assert.True(t, strings.ContainsAny(string(m.Body[len(m.Body)-2:len(m.Body)-1]), "13579"), "%s", m.Body)
		}
		assert.Len(t, redriveAll(t, b, redriveDead), 175)
	})
}

// A panic of the filter is an error. What was moved before it stays moved.
func TestRedriveFilterPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := redriveSetup(t, 250, nil)
		calls := 0
		n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{Filter: func(inproq.PeekedMessage) bool {
			if calls++; calls == 120 {
				panic("no glasses")
			}
			return true
		}})
		require.EqualError(t, err, "inproq: the filter of a redrive panicked: no glasses")
		assert.Equal(t, 100, n, "a page")
		assert.Equal(t, 100, accountCount(t, b, "jobs"))
		assert.Equal(t, 150, accountCount(t, b, redriveDead))
	})
}

func TestRedriveMax(t *testing.T) {
	for _, most := range []int{1, 99, 100, 101, 249, 250, 251} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := redriveSetup(t, 250, nil)
				for left := 250; left > 0; left -= most {
					n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{Max: most, DryRun: true})
					require.NoError(t, err)
					require.Equal(t, min(most, left), n)
					n, err = b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{Max: most})
					require.NoError(t, err)
					require.Equal(t, min(most, left), n)
					if most == 1 {
						break // is enough
					}
				}
				assert.Equal(t, 250, accountCount(t, b, "jobs")+accountCount(t, b, redriveDead))
			})
		})
	}
}

// Letters that go away between the look and the move do not count, and others take their
// places.
func TestRedriveMaxDespiteLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := redriveSetup(t, 60, nil)
		looked := 0
		n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{Max: 50, Filter: func(m inproq.PeekedMessage) bool {
			if looked++; looked <= 10 {
				_, err := b.PurgeMessages(t.Context(), redriveDead, []string{m.Ref})
				assert.NoError(t, err)
			}
			return true
		}})
		require.NoError(t, err)
		assert.Equal(t, 50, n)
		assert.Equal(t, 50, accountCount(t, b, "jobs"))
		assert.EqualValues(t, 50, b.Stats(redriveDead).Ops.Write)
	})
}

func TestRedriveDryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := redriveSetup(t, 250, nil)
		events := redriveWatch(t, b)
		before, began := redriveAll(t, b, redriveDead), time.Now()
		n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{DryRun: true, PerSecond: 1})
		require.NoError(t, err)
		assert.Equal(t, 250, n)
		assert.Zero(t, time.Since(began), "what moves nothing need not wait")
		assert.Equal(t, before, redriveAll(t, b, redriveDead))
		assert.Zero(t, accountCount(t, b, "jobs"))
		assert.Zero(t, b.Stats(redriveDead).Ops.Write)
		assert.Empty(t, events.list())
	})
}

// Without a destination of its own, a message that is no dead letter stays. With one it goes,
// as it is.
func TestRedriveOfOtherMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := redriveSetup(t, 3, nil)
		dead := accountDeclare(t, b, redriveDead, inproq.QueueConfig{MessageRetentionPeriod: time.Hour})
		_, err := dead.Send(t.Context(), "alive", inproq.Header("Colour", "red"))
		require.NoError(t, err)
		n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{Filter: func(m inproq.PeekedMessage) bool {
			_, ok := m.DeadLetter()
			assert.True(t, ok, "asked about %s", m.Body)
			return true
		}})
		require.NoError(t, err)
		assert.Equal(t, 3, n)
		assert.Equal(t, []string{"alive"}, redriveText(t, b, redriveDead))
		n, err = b.Redrive(t.Context(), redriveDead, "jobs", inproq.RedriveConfig{})
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		all := redriveAll(t, b, "jobs")
		require.Len(t, all, 4)
		assert.Equal(t, map[string]string{"Colour": "red"}, all[3].Headers)
	})
}

func TestRedriveEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := redriveSetup(t, 120, nil)
		events := redriveWatch(t, b, inproq.EventRedriven)
		var ids []inproq.MessageID
		for _, m := range redriveAll(t, b, redriveDead) {
			ids = append(ids, m.ID)
		}
		time.Sleep(time.Minute)
		_, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{})
		require.NoError(t, err)
		list := events.list()
		require.Len(t, list, 120)
		for i, e := range list {
			assert.True(t, e.Time.Equal(time.Now()))
			e.Time = time.Time{}
			require.Equal(t, inproq.Event{Kind: inproq.EventRedriven, Queue: redriveDead, To: "jobs", Message: ids[i]}, e)
		}
	})
}

// Neither queue need be delivering: a pause stops nothing but deliveries.
func TestRedriveOfPausedQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := redriveSetup(t, 5, nil)
		require.NoError(t, b.PauseDelivery(t.Context(), redriveDead))
		require.NoError(t, b.PauseDelivery(t.Context(), "jobs"))
		q := accountDeclare(t, b, "jobs", inproq.QueueConfig{})
		var sink accountSink
		accountConsume(t, q, sink.handle, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
		run := accountStart(b)
		n, err := b.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{})
		require.NoError(t, err)
		assert.Equal(t, 5, n)
		synctest.Wait()
		assert.Empty(t, sink.bodies())
		require.NoError(t, b.ResumeDelivery(t.Context(), "jobs"))
		synctest.Wait()
		assert.ElementsMatch(t, redriveBodies("jobs", 5), sink.bodies())
		require.NoError(t, run.stop())
	})
}

// Two redrives at once share the letters between them.
func TestRedriveTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := redriveSetup(t, 2000, nil)
		var wg sync.WaitGroup
		var moved [4]int
		for i := range moved {
			wg.Go(func() {
				n, err := b.Redrive(context.Background(), redriveDead, "", inproq.RedriveConfig{Max: 2000})
				assert.NoError(t, err)
				moved[i] = n
			})
		}
		wg.Wait()
		assert.Equal(t, 2000, moved[0]+moved[1]+moved[2]+moved[3])
		assert.ElementsMatch(t, redriveBodies("jobs", 2000), redriveText(t, b, "jobs"))
		assert.Zero(t, accountCount(t, b, redriveDead))
	})
}
