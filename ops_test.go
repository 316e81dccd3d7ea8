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
)

// opsSizes are bodies and the operations that each counts for.
var opsSizes = map[int]uint64{0: 1, 1: 1, 63_999: 1, 64_000: 1, 64_001: 2, 128_000: 2, 128_001: 3, 192_000: 3, 192_001: 4}

// opsCount is what Stats says of operations.
type opsCount struct {
	Write, Read, Delete       uint64
	Success, DeadLetter, Fail uint64
}

func opsOf(b *inproq.Broker, queue string) opsCount {
	s := b.Stats(queue)
	return opsCount{s.Ops.Write, s.Ops.Read, s.Ops.Delete, s.Outcomes.Success, s.Outcomes.DeadLetter, s.Outcomes.Fail}
}

// opsRig is a broker with a queue "jobs" of bytes, with one message of each size, and a large one that is
// sent in a batch.
type opsRig struct {
	broker *inproq.Broker
	queue  *inproq.Queue[[]byte]
	units  uint64 // of all messages
	n      uint64 // number of messages
}

func newOpsRig(t *testing.T) *opsRig {
	t.Helper()
	r := &opsRig{broker: accountBroker(t, inproq.Config{Limits: inproq.Limits{MaxMessageBytes: 200_000, MaxBatchBytes: inproq.NoLimit}})}
	var err error
	r.queue, err = inproq.Declare[[]byte](t.Context(), r.broker, "jobs", inproq.QueueConfig{MessageRetentionPeriod: time.Hour})
	require.NoError(t, err)
	return r
}

func (r *opsRig) send(t *testing.T) {
	t.Helper()
	var all [][]byte
	for size, units := range opsSizes {
		_, err := r.queue.Send(t.Context(), make([]byte, size))
		require.NoError(t, err)
		all, r.units, r.n = append(all, make([]byte, size)), r.units+2*units, r.n+2
	}
	_, err := r.queue.SendBatch(t.Context(), inproq.Bodies(all...))
	require.NoError(t, err)
}

// A message counts for one operation for each started 64 KB, each time it is written, read and
// deleted.
func TestOperationsBySize(t *testing.T) {
	for size, units := range opsSizes {
		for _, watched := range []bool{false, true} {
			t.Run(fmt.Sprint(size, " bytes, watched: ", watched), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newOpsRig(t)
					if watched {
						redriveWatch(t, r.broker)
					}
					_, err := r.queue.Send(t.Context(), make([]byte, size))
					require.NoError(t, err)
					assert.Equal(t, opsCount{Write: units}, opsOf(r.broker, "jobs"))
					_, err = r.queue.SendBatch(t.Context(), inproq.Bodies(make([]byte, size), make([]byte, size)))
					require.NoError(t, err)
					assert.Equal(t, opsCount{Write: 3 * units}, opsOf(r.broker, "jobs"))
					_, err = r.queue.Consume(func(context.Context, *inproq.MessageBatch[[]byte]) error { return nil }, inproq.ConsumerConfig{})
					require.NoError(t, err)
					run := accountStart(r.broker)
					time.Sleep(time.Minute)
					assert.Equal(t, opsCount{Write: 3 * units, Read: 3 * units, Delete: 3 * units, Success: 3 * units}, opsOf(r.broker, "jobs"))
					require.NoError(t, run.stop())
				})
			})
		}
	}
}

// Each way that a message can go, with and without a reader of events: the counts are the same.
func TestOperationsByOutcome(t *testing.T) {
	for name, c := range map[string]struct {
		cfg    inproq.ConsumerConfig
		handle func(ctx context.Context, b *inproq.MessageBatch[[]byte]) error
		want   func(u uint64) opsCount
	}{
		"acknowledged by the outcome": {
			handle: func(context.Context, *inproq.MessageBatch[[]byte]) error { return nil },
			want:   func(u uint64) opsCount { return opsCount{Write: u, Read: u, Delete: u, Success: u} },
		},
		"acknowledged by calls": {
			handle: func(_ context.Context, b *inproq.MessageBatch[[]byte]) error {
				for _, m := range b.Messages {
					m.Ack()
				}
				return errConsume
			},
			want: func(u uint64) opsCount { return opsCount{Write: u, Read: u, Delete: u, Success: u} },
		},
		"retried twice": {
			cfg: inproq.ConsumerConfig{MaxRetries: 2},
			handle: func(_ context.Context, b *inproq.MessageBatch[[]byte]) error {
				for _, m := range b.Messages {
					if m.Attempts < 3 {
						m.Retry()
					}
				}
				return nil
			},
			want: func(u uint64) opsCount {
				return opsCount{Write: u, Read: 3 * u, Delete: u, Success: u, Fail: 2 * u}
			},
		},
		"dead-lettered": {
			cfg:    inproq.ConsumerConfig{MaxRetries: 1, DeadLetterQueue: redriveDead},
			handle: func(context.Context, *inproq.MessageBatch[[]byte]) error { return errConsume },
			want: func(u uint64) opsCount {
				return opsCount{Write: 2 * u, Read: 2 * u, DeadLetter: u, Fail: u}
			},
		},
		"dropped": {
			cfg:    inproq.ConsumerConfig{MaxRetries: 1},
			handle: func(context.Context, *inproq.MessageBatch[[]byte]) error { return errConsume },
			want: func(u uint64) opsCount {
				return opsCount{Write: u, Read: 2 * u, Delete: u, Fail: 2 * u}
			},
		},
	} {
		for _, watched := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", watched: ", watched), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newOpsRig(t)
					if watched {
						redriveWatch(t, r.broker)
					}
					r.send(t)
					_, err := r.queue.Consume(c.handle, c.cfg)
					require.NoError(t, err)
					run := accountStart(r.broker)
					time.Sleep(time.Minute)
					assert.Equal(t, c.want(r.units), opsOf(r.broker, "jobs"))
					require.NoError(t, run.stop())
				})
			})
		}
	}
}

// A dead letter is written once more, for the queue that it leaves; so is one that is redriven.
func TestOperationsOfARedrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newOpsRig(t)
		r.send(t)
		_, err := r.queue.Consume(func(context.Context, *inproq.MessageBatch[[]byte]) error { return errConsume },
			inproq.ConsumerConfig{MaxRetries: inproq.NoRetries, DeadLetterQueue: redriveDead, MaxBatchTimeout: inproq.NoWait})
		require.NoError(t, err)
		run := accountStart(r.broker)
		synctest.Wait()
		assert.Zero(t, opsOf(r.broker, redriveDead))
		require.NoError(t, r.broker.PauseDelivery(t.Context(), "jobs"))
		_, err = r.broker.Redrive(t.Context(), redriveDead, "", inproq.RedriveConfig{})
		require.NoError(t, err)
		assert.Equal(t, opsCount{Write: r.units}, opsOf(r.broker, redriveDead))
		assert.Equal(t, opsCount{Write: 2 * r.units, Read: r.units, DeadLetter: r.units}, opsOf(r.broker, "jobs"))
		require.NoError(t, run.stop())
	})
}

// What retention deletes is deleted as well as what is acknowledged. Of several messages only the sum of
// their sizes is known.
func TestOperationsOfExpiry(t *testing.T) {
	for size, units := range opsSizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newOpsRig(t)
				_, err := r.queue.Send(t.Context(), make([]byte, size))
				require.NoError(t, err)
				time.Sleep(time.Hour + time.Second)
				synctest.Wait()
				assert.Equal(t, opsCount{Write: units, Delete: units}, opsOf(r.broker, "jobs"))
				assert.EqualValues(t, 1, r.broker.Stats("jobs").Expired)
				for range 3 {
					_, err := r.queue.Send(t.Context(), nil)
					require.NoError(t, err)
				}
				time.Sleep(time.Hour + time.Second)
				synctest.Wait()
				assert.Equal(t, max(units, 4), opsOf(r.broker, "jobs").Delete, "each is one at least")
			})
		})
	}
}

// A lease that is lost leaves its reads without an outcome.
func TestOperationsOfALostLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newOpsRig(t)
		_, err := r.queue.Send(t.Context(), make([]byte, 64_001))
		require.NoError(t, err)
		p, err := r.queue.PullConsumer(inproq.PullConfig{VisibilityTimeout: time.Second})
		require.NoError(t, err)
		first, err := p.Pull(t.Context())
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		second, err := p.Pull(t.Context())
		require.NoError(t, err)
		for _, b := range []*inproq.PulledBatch[[]byte]{first, second} {
			b.AckAll()
			_, err = b.Settle(t.Context())
			require.NoError(t, err)
		}
		assert.Equal(t, opsCount{Write: 2, Read: 4, Delete: 2, Success: 2}, opsOf(r.broker, "jobs"))
		assert.EqualValues(t, 1, r.broker.Stats("jobs").LeasesLost)
	})
}

// opsPull pulls what is there, settles it, and returns how many messages that were.
type opsPull func(t *testing.T, r *opsRig, p *inproq.PullConsumer[[]byte], retry bool) int

// opsPulls are the ways to pull.
var opsPulls = map[string]opsPull{
	"typed": func(t *testing.T, r *opsRig, p *inproq.PullConsumer[[]byte], retry bool) int {
		b, err := p.Pull(t.Context())
		require.NoError(t, err)
		if retry {
			b.RetryAll()
		}
		b.AckAll()
		_, err = b.Settle(t.Context())
		require.NoError(t, err)
		return len(b.Messages)
	},
	"by lease": func(t *testing.T, r *opsRig, p *inproq.PullConsumer[[]byte], retry bool) int {
		res, err := r.broker.Pull(t.Context(), "jobs", inproq.PullRequest{})
		require.NoError(t, err)
		var req inproq.SettleRequest
		for _, m := range res.Messages {
			if retry {
				req.Retries = append(req.Retries, inproq.LeaseDelay{LeaseID: m.LeaseID})
			} else {
				req.Acks = append(req.Acks, m.LeaseID)
			}
		}
		_, err = r.broker.Settle(t.Context(), "jobs", req)
		require.NoError(t, err)
		return len(res.Messages)
	},
}

// Pulls count as deliveries do, and one that finds nothing is a read.
func TestOperationsOfPulls(t *testing.T) {
	for name, pull := range opsPulls {
		for _, watched := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", watched: ", watched), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newOpsRig(t)
					if watched {
						redriveWatch(t, r.broker)
					}
					p, err := r.queue.PullConsumer(inproq.PullConfig{MaxBatchSize: 100, MaxRetries: 1, DeadLetterQueue: redriveDead})
					require.NoError(t, err)
					r.send(t)
					u := r.units
					assert.EqualValues(t, r.n, pull(t, r, p, true))
					want := opsCount{Write: u, Read: u, Fail: u}
					assert.Equal(t, want, opsOf(r.broker, "jobs"))
					assert.EqualValues(t, r.n, pull(t, r, p, true))
					want.Write, want.Read, want.DeadLetter = 2*u, 2*u, u
					assert.Equal(t, want, opsOf(r.broker, "jobs"))
					for range 3 {
						assert.Zero(t, pull(t, r, p, false))
						want.Read++
					}
					assert.Equal(t, want, opsOf(r.broker, "jobs"))
					r.units = 0
					r.send(t)
					pull(t, r, p, false)
					want.Write, want.Read, want.Delete, want.Success = want.Write+u, want.Read+u, u, u
					assert.Equal(t, want, opsOf(r.broker, "jobs"))
					s := r.broker.Stats("jobs")
					assert.Equal(t, []uint64{6, 3}, []uint64{s.Pulls, s.EmptyPulls})
				})
			})
		}
	}
}

// A pull that finds only messages without an attempt left is one pull, which finds nothing.
func TestPullOfSpentMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newOpsRig(t)
		p, err := r.queue.PullConsumer(inproq.PullConfig{MaxBatchSize: 100, VisibilityTimeout: time.Second, MaxRetries: inproq.NoRetries})
		require.NoError(t, err)
		r.send(t)
		_, err = p.Pull(t.Context())
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		batch, err := p.Pull(t.Context())
		require.NoError(t, err)
		assert.Empty(t, batch.Messages)
		s := r.broker.Stats("jobs")
		assert.Equal(t, []uint64{2, 1}, []uint64{s.Pulls, s.EmptyPulls})
		assert.Equal(t, r.n, s.Dropped)
		assert.Equal(t, opsCount{Write: r.units, Read: r.units + 1, Delete: r.units, Fail: r.units}, opsOf(r.broker, "jobs"))
	})
}
