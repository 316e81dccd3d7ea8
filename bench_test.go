package inproq_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

// A round is the number of messages that go through in one iteration.
const round = 96_000

// spread calls fn in p goroutines with an equal share of a round each, and waits
// for them.
func spread(p int, fn func(n int)) {
	var wg sync.WaitGroup
	for range p {
		wg.Go(func() { fn(round / p) })
	}
	wg.Wait()
}

// channelRound sends a round of 64-byte values through a buffered channel, from p
// goroutines to as many.
func channelRound(p int) {
	ch := make(chan [64]byte, 8192)
	var sum atomic.Int64
	var readers sync.WaitGroup
	for range p {
		readers.Go(func() {
			n := int64(0)
			for v := range ch {
				n += int64(v[0])
			}
			sum.Add(n)
		})
	}
	spread(p, func(n int) {
		var v [64]byte
		for i := range n {
			v[0] = byte(i)
			ch <- v
		}
	})
	close(ch)
	readers.Wait()
}

// reportRatio reports what a message costs, and the fraction of a raw channel's
// throughput that makes. Both are measured in turns, and the medians reported: on
// a busy machine the mean says more of its other work.
func reportRatio(b *testing.B, p int, run func()) {
	var ours, channel []time.Duration
	var cpu time.Duration
	run() // warm up
	for b.Loop() {
		start := time.Now()
		channelRound(p)
		middle := time.Now()
		c0 := cpuTime()
		run()
		cpu += cpuTime() - c0
		channel = append(channel, middle.Sub(start))
		ours = append(ours, time.Since(middle))
	}
	slices.Sort(ours)
	slices.Sort(channel)
	dump("ours", ours)
	dump("chan", channel)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(cpu)/float64(len(ours)*round), "cpu-ns/msg")
	b.ReportMetric(float64(ours[0])/round, "min-ns/msg")
	b.ReportMetric(float64(ours[len(ours)/2])/round, "ns/msg")
	b.ReportMetric(float64(channel[len(channel)/2])/round, "channel-ns/msg")
	b.ReportMetric(float64(channel[len(channel)/2])/float64(ours[len(ours)/2]), "of-channel")
}

// BenchmarkThroughput is the way of a message: Send, lease, handler, Ack, settled.
// Bodies have 100 bytes.
func BenchmarkThroughput(b *testing.B) {
	for _, producers := range []int{1, 16} {
		for _, handlers := range []int{1, 10, 250} {
			for _, batch := range []int{100, 10} {
				for _, send := range []int{1, 100} {
					name := fmt.Sprintf("producers=%d/handlers=%d/batch=%d/send=%d", producers, handlers, batch, send)
					b.Run(name, func(b *testing.B) { throughput(b, producers, handlers, batch, send) })
				}
			}
		}
	}
}

func throughput(b *testing.B, producers, handlers, batchSize, send int) {
	broker, err := inproq.NewBroker(inproq.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	queue, err := inproq.Declare[[]byte](ctx, broker, "bench", inproq.QueueConfig{})
	require.NoError(b, err)
	var handled atomic.Int64
	done := make(chan struct{}, 1)
	_, err = queue.Consume(func(_ context.Context, batch *inproq.MessageBatch[[]byte]) error {
		for _, m := range batch.Messages {
			m.Ack()
		}
		if n := handled.Add(int64(len(batch.Messages))); n%round == 0 {
			done <- struct{}{}
		}
		return nil
	}, inproq.ConsumerConfig{MaxBatchSize: batchSize, MaxConcurrency: handlers, MaxBatchTimeout: 50 * time.Millisecond})
	require.NoError(b, err)
	var run sync.WaitGroup
	run.Go(func() { _ = broker.Run(ctx) })
	defer run.Wait()
	defer cancel()

	body := make([]byte, 100)
	bodies := make([][]byte, send)
	for i := range bodies {
		bodies[i] = body
	}
	b.ReportAllocs()
	defer func() { fmt.Printf("%+v\n", broker.Stats("bench")) }()
	reportRatio(b, producers, func() {
		spread(producers, func(n int) {
			if send == 1 {
				for range n {
					_, _ = queue.Send(ctx, body)
				}
				return
			}
			msgs := inproq.Bodies(bodies...)
			for range n / send {
				_, _ = queue.SendBatch(ctx, msgs)
			}
		})
		<-done
	})
}
