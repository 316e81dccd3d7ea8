package inproq_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

const (
	pullSoakTotal      = 10_000
	pullSoakRetries    = 4
	pullSoakVisibility = 30 * time.Second
)

// A pullSoak knows what became of each message, by its index.
type pullSoak struct {
	mu         sync.Mutex
	ids        map[inproq.MessageID]int
	deliveries [pullSoakTotal]int
	acked      [pullSoakTotal]int // acknowledgements that were not warned of
	late       int                // of those, after their leases had run out
	wrong      int                // deliveries after an acknowledgement, or too many of them
}

// note keeps a delivery.
func (s *pullSoak) note(id inproq.MessageID, attempts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.ids[id]
	s.deliveries[n]++
	if s.acked[n] > 0 || s.deliveries[n] != attempts || attempts > pullSoakRetries+1 {
		s.wrong++
	}
}

// settled keeps acknowledgements of messages that were pulled at a time.
func (s *pullSoak) settled(pulled time.Time, acks []inproq.MessageID, stale func(i int) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, id := range acks {
		if stale(i) {
			continue
		}
		s.acked[s.ids[id]]++
		if time.Since(pulled) >= pullSoakVisibility {
			s.late++
		}
	}
}

// fate draws what a puller does with a message: acknowledge it, retry it after a
// delay, or forget it.
func (s *pullSoak) fate(rng *rand.Rand) (ack, retry bool, delay time.Duration) {
	switch p := rng.IntN(100); {
	case p < 45:
		return true, false, 0
	case p < 75:
		return false, true, time.Duration(rng.IntN(20)) * time.Second
	}
	return false, false, 0
}

// hold draws how long a puller takes for a batch. Often its leases run out meanwhile.
func (s *pullSoak) hold(rng *rand.Rand) time.Duration {
	return time.Duration(rng.Int64N(int64(2 * pullSoakVisibility)))
}

// typed pulls until the queue is empty, and settles a batch by and by.
func (s *pullSoak) typed(t *testing.T, b *inproq.Broker, c *inproq.PullConsumer[[]byte]) {
	rng := rand.New(rand.NewPCG(4, 1))
	var wg sync.WaitGroup
	defer wg.Wait()
	for sendBacklog(t, b, "jobs") > 0 {
		pulled := time.Now()
		batch, err := c.Pull(t.Context())
		if !assert.NoError(t, err) {
			return
		}
		var acks []inproq.MessageID
		for _, m := range batch.Messages {
			s.note(m.ID, m.Attempts)
			switch ack, retry, delay := s.fate(rng); {
			case ack:
				m.Ack()
				acks = append(acks, m.ID)
			case retry:
				m.Retry(inproq.Delay(delay))
			}
		}
		hold := s.hold(rng)
		wg.Go(func() {
			time.Sleep(hold)
			res, err := batch.Settle(context.Background())
			assert.NoError(t, err)
			s.settled(pulled, acks, func(i int) bool { return res.Warnings[acks[i].String()] != "" })
		})
		time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
	}
}

// named does the same by lease ids.
func (s *pullSoak) named(t *testing.T, b *inproq.Broker) {
	rng := rand.New(rand.NewPCG(4, 2))
	var wg sync.WaitGroup
	defer wg.Wait()
	for sendBacklog(t, b, "jobs") > 0 {
		pulled := time.Now()
		var req inproq.SettleRequest
		var acks []inproq.MessageID
		for _, m := range pullLeases(t, b, inproq.PullRequest{BatchSize: 1 + rng.IntN(100)}) {
			s.note(m.ID, m.Attempts)
			switch ack, retry, delay := s.fate(rng); {
			case ack:
				req.Acks, acks = append(req.Acks, m.LeaseID), append(acks, m.ID)
			case retry:
				req.Retries = append(req.Retries, inproq.LeaseDelay{LeaseID: m.LeaseID, Delay: delay})
			}
		}
		hold := s.hold(rng)
		wg.Go(func() {
			time.Sleep(hold)
			res, err := b.Settle(context.Background(), "jobs", req)
			assert.NoError(t, err)
			s.settled(pulled, acks, func(i int) bool { return res.Warnings[req.Acks[i]] != "" })
		})
		time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
	}
}

// TestPullSoak lets two pull 10,000 messages, forget some of them, retry some, and settle
// many after their leases have run out: each message is acknowledged once or a dead
// letter, and none is lost.
func TestPullSoak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := accountBroker(t, inproq.Config{})
		q := sendQueue[[]byte](t, b, "jobs", inproq.QueueConfig{})
		c := pullConsumer(t, q, inproq.PullConfig{
			MaxBatchSize: 100, VisibilityTimeout: pullSoakVisibility, MaxRetries: pullSoakRetries, DeadLetterQueue: "dead",
		})
		s := &pullSoak{ids: make(map[inproq.MessageID]int)}
		for n := range pullSoakTotal {
			sent, err := q.Send(t.Context(), binary.BigEndian.AppendUint32(nil, uint32(n)), inproq.Header("Index", "x"))
			require.NoError(t, err)
			s.ids[sent.ID] = n
		}
		began := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { s.typed(t, b, c) })
		wg.Go(func() { s.named(t, b) })
		wg.Wait()

		letters := [pullSoakTotal]int{}
		reasons := map[inproq.DeadLetterReason]int{}
		dead, err := b.Peek(t.Context(), "dead", pullSoakTotal)
		require.NoError(t, err)
		for _, m := range dead {
			n := binary.BigEndian.Uint32(m.Body)
			require.Equal(t, int(n), s.ids[m.ID])
			require.Equal(t, "x", m.Headers["Index"])
			letters[n]++
			letter, _ := m.DeadLetter()
			reasons[letter.Reason]++
			require.Equal(t, pullSoakRetries+1, letter.Attempts)
		}
		acked, delivered := 0, 0
		for n := range pullSoakTotal {
			if s.acked[n]+letters[n] != 1 {
				t.Fatalf("message %d: %d times acknowledged, %d times a dead letter", n, s.acked[n], letters[n])
			}
			acked += s.acked[n]
			delivered += s.deliveries[n]
		}
		st := b.Stats("jobs")
		assert.Zero(t, s.wrong, "attempts count the deliveries, and none comes after an acknowledgement")
		assert.EqualValues(t, acked, st.Acked)
		assert.EqualValues(t, len(dead), st.DeadLettered)
		assert.EqualValues(t, delivered, st.Delivered)
		assert.NotZero(t, reasons[inproq.Crashed])
		assert.NotZero(t, reasons[inproq.RetriesExhausted])
		assert.NotZero(t, st.LeasesLost)
		assert.NotZero(t, s.late)
		t.Logf("%v: %d acknowledged, %d of them late, %d deliveries, %d leases lost, dead: %v", time.Since(began), acked, s.late, delivered, st.LeasesLost, reasons)
	})
}
