package inproq_test

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

const (
	soakProducers = 16
	soakEach      = 20_000
	soakTotal     = soakProducers * soakEach
	soakRetries   = 3
)

// A soak knows the fate of each message, by its index, from what the handlers did
// with it.
type soak struct {
	deliveries [soakTotal]atomic.Uint32 // that were begun
	acked      [soakTotal]atomic.Uint32
	spent      [soakTotal]atomic.Uint32 // retried in their last delivery
	letters    [soakTotal]atomic.Uint32 // acknowledged as a dead letter
	wrong      atomic.Uint64            // deliveries with other attempts than these
	fates      atomic.Int64
	over       chan struct{} // closed when each message has a fate
	batches    atomic.Uint64
}

// The verdicts that a handler has for a message.
const (
	soakLeave = iota // to the outcome
	soakAck
	soakRetry
)

// handle acknowledges, retries and leaves messages at random, and then returns
// nil, returns an error, or panics.
func (s *soak) handle(_ context.Context, b *inproq.MessageBatch[[]byte]) error {
	rng := rand.New(rand.NewPCG(16, s.batches.Add(1)))
	verdicts := make([]int, len(b.Messages))
	for i, m := range b.Messages {
		n := binary.BigEndian.Uint32(m.Body)
		if s.deliveries[n].Add(1) != uint32(m.Attempts) {
			s.wrong.Add(1)
		}
		switch p := rng.IntN(100); {
		case p < 60:
			verdicts[i] = soakAck
			m.Ack()
		case p < 80:
			verdicts[i] = soakRetry
			m.Retry(inproq.Delay(time.Duration(p%3) * time.Millisecond))
		}
	}
	outcome := rng.IntN(20)
	for i, m := range b.Messages {
		s.note(m, verdicts[i] == soakAck || verdicts[i] == soakLeave && outcome > 1)
	}
	switch outcome {
	case 0:
		return errConsume
	case 1:
		panic(errConsume)
	}
	return nil
}

// note keeps what becomes of a message.
func (s *soak) note(m *inproq.Message[[]byte], acked bool) {
	n := binary.BigEndian.Uint32(m.Body)
	switch {
	case acked:
		s.acked[n].Add(1)
	case m.Attempts == soakRetries+1:
		s.spent[n].Add(1)
	default:
		return
	}
	if s.fates.Add(1) == soakTotal {
		close(s.over)
	}
}

func (s *soak) bury(_ context.Context, b *inproq.MessageBatch[[]byte]) error {
	for _, m := range b.Messages {
		s.letters[binary.BigEndian.Uint32(m.Body)].Add(1)
	}
	return nil
}

// TestSoak sends many messages to handlers that fail in all ways: each message is
// settled once, and none is lost.
func TestSoak(t *testing.T) {
	s := &soak{over: make(chan struct{})}
	broker, err := inproq.NewBroker(inproq.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	queue, err := inproq.Declare[[]byte](t.Context(), broker, "jobs", inproq.QueueConfig{})
	require.NoError(t, err)
	_, err = queue.Consume(s.handle, inproq.ConsumerConfig{
		MaxBatchSize: 100, MaxBatchTimeout: time.Millisecond, MaxRetries: soakRetries, DeadLetterQueue: "dead",
	})
	require.NoError(t, err)
	dead, err := inproq.Declare[[]byte](t.Context(), broker, "dead", inproq.QueueConfig{})
	require.NoError(t, err)
	_, err = dead.Consume(s.bury, inproq.ConsumerConfig{MaxBatchSize: 100, MaxBatchTimeout: inproq.NoWait})
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- broker.Run(ctx) }()
	require.NoError(t, s.produce(t.Context(), queue))
	select {
	case <-s.over:
	case <-time.After(time.Minute):
		t.Error("messages were lost")
	}
	cancel() // what is still in the dead-letter queue is delivered now
	require.NoError(t, <-ended)

	assert.Zero(t, s.wrong.Load(), "attempts count the deliveries")
	for n := range soakTotal {
		acked, spent, letters := s.acked[n].Load(), s.spent[n].Load(), s.letters[n].Load()
		if acked+spent != 1 || letters != spent {
			t.Fatalf("message %d: %d times acknowledged, %d times spent, %d dead letters", n, acked, spent, letters)
		}
	}
	st, stDead := broker.Stats("jobs"), broker.Stats("dead")
	assert.EqualValues(t, soakTotal, st.Sent)
	assert.EqualValues(t, soakTotal, st.Acked+st.DeadLettered)
	assert.Equal(t, st.Delivered, st.Acked+st.Retried+st.DeadLettered)
	assert.NotZero(t, st.DeadLettered)
	assert.Equal(t, st.DeadLettered, stDead.Acked)
	assert.Equal(t, stDead.Delivered, stDead.Acked)
	assert.Zero(t, st.Dropped+st.LeasesLost+stDead.LeasesLost)
	assert.NotZero(t, st.FailedBatches)
	assert.Zero(t, st.Running+stDead.Running)
	t.Logf("%d batches, %d failed, %d retries, %d dead letters", st.Batches, st.FailedBatches, st.Retried, st.DeadLettered)
}

// produce sends each index once, one by one or in batches.
func (s *soak) produce(ctx context.Context, queue *inproq.Queue[[]byte]) error {
	var wg sync.WaitGroup
	errs := make([]error, soakProducers)
	for p := range soakProducers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(17, uint64(p)))
			for next, end := p*soakEach, (p+1)*soakEach; next < end; {
				bodies := make([][]byte, min(1+rng.IntN(20), end-next))
				for i := range bodies {
					bodies[i] = binary.BigEndian.AppendUint32(nil, uint32(next+i))
				}
				var err error
				if len(bodies) == 1 {
					_, err = queue.Send(ctx, bodies[0])
				} else {
					_, err = queue.SendBatch(ctx, inproq.Bodies(bodies...))
				}
				if err != nil {
					errs[p] = err
					return
				}
				next += len(bodies)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
