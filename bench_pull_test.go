package inproq_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// BenchmarkPull sends 100 messages, pulls them and settles them, by a typed consumer and by
// lease ids. Beside it the same 100 values go through a channel.
func BenchmarkPull(b *testing.B) {
	const n = 100
	setUp := func(b *testing.B) (*inproq.Broker, *inproq.Queue[[]byte], *inproq.PullConsumer[[]byte], []inproq.MessageSendRequest[[]byte]) {
		broker, err := inproq.NewBroker(inproq.Config{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, broker.Shutdown(context.Background())) })
		q, err := inproq.Declare[[]byte](b.Context(), broker, "q", inproq.QueueConfig{})
		require.NoError(b, err)
		c, err := q.PullConsumer(inproq.PullConfig{MaxBatchSize: n})
		require.NoError(b, err)
		msgs := make([]inproq.MessageSendRequest[[]byte], n)
		for i := range msgs {
			msgs[i].Body = make([]byte, 100)
		}
		return broker, q, c, msgs
	}
	perMessage := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/msg")
	}
	b.Run("typed", func(b *testing.B) {
		_, q, c, msgs := setUp(b)
		b.ReportAllocs()
		for b.Loop() {
			_, err := q.SendBatch(b.Context(), msgs)
			require.NoError(b, err)
			batch, err := c.Pull(b.Context())
			require.NoError(b, err)
			batch.AckAll()
			res, err := batch.Settle(b.Context())
			require.NoError(b, err)
			require.Equal(b, n, res.Acked)
		}
		perMessage(b)
	})
	b.Run("leases", func(b *testing.B) {
		broker, q, _, msgs := setUp(b)
		b.ReportAllocs()
		for b.Loop() {
			_, err := q.SendBatch(b.Context(), msgs)
			require.NoError(b, err)
			pulled, err := broker.Pull(b.Context(), "q", inproq.PullRequest{})
			require.NoError(b, err)
			var req inproq.SettleRequest
			for i := range pulled.Messages {
				req.Acks = append(req.Acks, pulled.Messages[i].LeaseID)
			}
			res, err := broker.Settle(b.Context(), "q", req)
			require.NoError(b, err)
			require.Equal(b, n, res.Acked)
		}
		perMessage(b)
	})
	b.Run("empty", func(b *testing.B) {
		_, _, c, _ := setUp(b)
		b.ReportAllocs()
		for b.Loop() {
			_, err := c.Pull(b.Context())
			require.NoError(b, err)
		}
	})
	b.Run("channel", func(b *testing.B) {
		ch := make(chan [64]byte, n)
		b.ReportAllocs()
		for b.Loop() {
			for range n {
				ch <- [64]byte{}
			}
			for range n {
				<-ch
			}
		}
		perMessage(b)
	})
}
