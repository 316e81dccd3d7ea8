package inproq_test

import (
	"context"
	"math/rand/v2"
	"strconv"
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

// A pullSwitch counts what handlers and pullers have got.
type pullSwitch struct {
	t      *testing.T
	rig    *pullRig
	mu     sync.Mutex
	pushed map[string]int
	pulled map[string]int
}

func (s *pullSwitch) note(m map[string]int, bodies ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, body := range bodies {
		m[body]++
	}
}

func (s *pullSwitch) handle(_ context.Context, b *inproq.MessageBatch[string]) error {
	for _, m := range b.Messages {
		s.note(s.pushed, m.Body)
	}
	time.Sleep(20 * time.Millisecond)
	return nil
}

// pulling works until d has passed and end has taken the consumer away.
func (s *pullSwitch) pulling(d time.Duration, end func(*inproq.PullConsumer[string]) error) {
	c := s.rig.consumer(inproq.PullConfig{MaxBatchSize: 100})
	l := pullStart(context.Background(), c, func(b *inproq.PulledBatch[string]) bool {
		s.note(s.pulled, pullBodies(b)...)
		time.Sleep(20 * time.Millisecond)
		b.AckAll()
		return true
	})
	time.Sleep(d)
	assert.NoError(s.t, end(c))
	l.wg.Wait()
	for _, err := range l.failures() {
		assert.ErrorIs(s.t, err, inproq.ErrNotPullConsumer)
	}
}

// A queue switches from push to pull and back, in all ways and under load: every
// message is delivered and settled, none is lost.
func TestQueueSwitchesBetweenPushAndPull(t *testing.T) {
	for name, open := range map[string]func(*testing.T) store.Store{
		"its own store": func(*testing.T) store.Store { return nil },
		"a store":       func(t *testing.T) store.Store { return accountStore(t) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { pullSwitching(t, open(t)) })
		})
	}
}

func pullSwitching(t *testing.T, st store.Store) {
	const senders, each, switches = 4, 1000, 40
	ctx := context.Background()
	s := &pullSwitch{t: t, rig: newPullRig(t, inproq.Config{Store: st}), pushed: make(map[string]int), pulled: make(map[string]int)}
	b := s.rig.broker
	require.NoError(t, inproq.Handle(b, "script", s.handle))
	queuetest.Start(t, b)
	synctest.Wait()
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(9, uint64(i)))
			for n := range each {
				_, err := s.rig.queue.Send(ctx, strconv.Itoa(i*each+n), inproq.Delay(time.Duration(rng.IntN(3))*100*time.Millisecond))
				assert.NoError(t, err)
				time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
			}
		})
	}
	rng := rand.New(rand.NewPCG(9, senders))
	remove := func(*inproq.PullConsumer[string]) error { return b.RemoveConsumer(ctx, "jobs") }
	for i := range switches {
		d := time.Duration(rng.IntN(500)) * time.Millisecond
		switch i % 4 {
		case 0:
			c := accountConsume(t, s.rig.queue, s.handle, inproq.ConsumerConfig{MaxBatchTimeout: 50 * time.Millisecond})
			time.Sleep(d)
			require.NoError(t, c.Stop(ctx))
		case 1:
			_, err := b.AttachConsumer(ctx, "jobs", inproq.ConsumerSpec{Kind: inproq.HTTPPull})
			require.NoError(t, err)
			s.pulling(d, remove)
		case 2:
			_, err := b.AttachConsumer(ctx, "jobs", inproq.ConsumerSpec{Kind: inproq.Worker, Script: "script"})
			require.NoError(t, err)
			time.Sleep(d)
			require.NoError(t, b.RemoveConsumer(ctx, "jobs"))
		case 3:
			s.pulling(d, func(c *inproq.PullConsumer[string]) error { return c.Stop(ctx) })
		}
	}
	wg.Wait()
	s.pulling(time.Minute, remove) // what is left
	synctest.Wait()
	assert.Zero(t, sendBacklog(t, b, "jobs"))
	for n := range senders * each {
		if body := strconv.Itoa(n); s.pushed[body]+s.pulled[body] != 1 {
			t.Fatalf("message %s: pushed %d times, pulled %d times", body, s.pushed[body], s.pulled[body])
		}
	}
	stats := s.rig.stats()
	assert.EqualValues(t, senders*each, stats.Acked)
	assert.Zero(t, stats.Retried+stats.LeasesLost+stats.Dropped)
	assert.Greater(t, len(s.pushed), senders*each/5)
	assert.Greater(t, len(s.pulled), senders*each/5)
}
