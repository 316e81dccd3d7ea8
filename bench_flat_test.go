package inproq_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// BenchmarkAtBacklog is what a message costs, sent and consumed, while so many
// others wait. Each iteration sends a thousand and waits for as many, which are
// older.
func BenchmarkAtBacklog(b *testing.B) {
	const step = 1000
	for _, backlog := range []int{1_000, 1_000_000, 10_000_000} {
		b.Run(fmt.Sprint(backlog), func(b *testing.B) {
			application := make([]byte, 64<<20) // see BenchmarkThroughput
			var handled atomic.Int64
			var over atomic.Bool
			done, goOn := make(chan struct{}, 1), make(chan struct{}, 1)
			queue, broker := pausedQueue(b, func(_ context.Context, batch *inproq.MessageBatch[[]byte]) error {
				for _, m := range batch.Messages {
					m.Ack()
				}
				if handled.Add(int64(len(batch.Messages)))%step == 0 && !over.Load() {
					done <- struct{}{}
					<-goOn
				}
				return nil
			})
			body := make([]byte, 100)
			send := func(n int) {
				for range n {
					_, _ = queue.Send(b.Context(), body)
				}
			}
			send(backlog)
			require.NoError(b, broker.ResumeDelivery(b.Context(), "bench"))
			cycle := func() {
				<-done
				send(step)
				goOn <- struct{}{}
			}
			// Until the collector has run at this size: before, all memory is new to the
			// process, and a page of it costs more than what is written to it.
			for range 100 + backlog/step*6/5 {
				cycle()
			}
			b.ReportAllocs()
			for b.Loop() {
				cycle()
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/step, "ns/msg")
			over.Store(true)
			goOn <- struct{}{}
			runtime.KeepAlive(application)
		})
	}
}

// BenchmarkDelayedSend is a Send with a delay, while so many others are delayed.
func BenchmarkDelayedSend(b *testing.B) {
	for _, pending := range []int{1_000, 100_000, 1_000_000, 10_000_000} {
		b.Run(fmt.Sprint(pending), func(b *testing.B) {
			queue, _ := pausedQueue(b, func(context.Context, *inproq.MessageBatch[[]byte]) error { return nil })
			body := make([]byte, 100)
			for i := range pending {
				_, _ = queue.Send(b.Context(), body, inproq.Delay(time.Hour+time.Duration(i)%(10*time.Hour)))
			}
			i := time.Duration(0)
			b.ReportAllocs()
			for b.Loop() {
				i += 7919 * time.Millisecond
				_, _ = queue.Send(b.Context(), body, inproq.Delay(time.Hour+i%(10*time.Hour)))
			}
		})
	}
}

// pausedQueue is benchQueue with a pause, and without what is left of the messages at
// the end.
func pausedQueue(b *testing.B, h inproq.Handler[[]byte]) (*inproq.Queue[[]byte], *inproq.Broker) {
	queue, broker := benchBroker(b, h, inproq.ConsumerConfig{MaxBatchSize: 100, MaxConcurrency: 1, MaxBatchTimeout: 50 * time.Millisecond})
	require.NoError(b, broker.PauseDelivery(b.Context(), "bench"))
	b.Cleanup(func() { require.NoError(b, broker.DeleteQueue(context.Background(), "bench")) })
	return queue, broker
}
