package inproq_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"runtime"
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

// BenchmarkThroughput is the whole way of a message: Send, lease, handler, Ack,
// settled. Bodies have 100 bytes.
//
// The process of a benchmark has next to no heap, so that the collector runs every
// few milliseconds and costs more than the queue; heap=64MiB is the same beside
// as much memory of an application's.
func BenchmarkThroughput(b *testing.B) {
	for _, c := range []struct{ handlers, batch, send, heap int }{
		{10, 100, 1, 64},
		{10, 100, 100, 64},
		{10, 10, 1, 64},
		{1, 100, 1, 64},
		{250, 100, 1, 64},
		{10, 100, 1, 0},
		{10, 100, 100, 0},
	} {
		for _, producers := range []int{1, 16} {
			name := fmt.Sprintf("producers=%d/handlers=%d/batch=%d/send=%d/heap=%dMiB", producers, c.handlers, c.batch, c.send, c.heap)
			b.Run(name, func(b *testing.B) {
				application := make([]byte, c.heap<<20)
				throughput(b, producers, c.handlers, c.batch, c.send)
				runtime.KeepAlive(application)
			})
		}
	}
}

func throughput(b *testing.B, producers, handlers, batchSize, send int) {
	var handled atomic.Int64
	done := make(chan struct{}, 1)
	queue := benchQueue(b, func(_ context.Context, batch *inproq.MessageBatch[[]byte]) error {
		for _, m := range batch.Messages {
			m.Ack()
		}
		if n := handled.Add(int64(len(batch.Messages))); n%round == 0 {
			done <- struct{}{}
		}
		return nil
	}, inproq.ConsumerConfig{MaxBatchSize: batchSize, MaxConcurrency: handlers, MaxBatchTimeout: 50 * time.Millisecond})
	body := make([]byte, 100)
	bodies := slices.Repeat([][]byte{body}, send)
	ctx := b.Context()
	b.ReportAllocs()
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

// benchQueue declares a queue with a consumer on a broker that runs for the
// length of the benchmark.
func benchQueue[T any](b *testing.B, h inproq.Handler[T], cfg inproq.ConsumerConfig) *inproq.Queue[T] {
	queue, _ := benchBroker(b, h, cfg)
	return queue
}

// benchBroker is benchQueue for who needs the broker too.
func benchBroker[T any](b *testing.B, h inproq.Handler[T], cfg inproq.ConsumerConfig) (*inproq.Queue[T], *inproq.Broker) {
	broker, err := inproq.NewBroker(inproq.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	queue, err := inproq.Declare[T](ctx, broker, "bench", inproq.QueueConfig{})
	require.NoError(b, err)
	_, err = queue.Consume(h, cfg)
	require.NoError(b, err)
	var run sync.WaitGroup
	run.Go(func() { _ = broker.Run(ctx) })
	b.Cleanup(func() {
		cancel()
		run.Wait()
	})
	return queue, broker
}

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
	run() // warm up
	for b.Loop() {
		start := time.Now()
		channelRound(p)
		middle := time.Now()
		run()
		channel = append(channel, middle.Sub(start))
		ours = append(ours, time.Since(middle))
	}
	slices.Sort(ours)
	slices.Sort(channel)
	perMessage := func(all []time.Duration) float64 { return float64(all[len(all)/2]) / round }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(perMessage(ours), "ns/msg")
	b.ReportMetric(perMessage(channel), "channel-ns/msg")
	b.ReportMetric(perMessage(channel)/perMessage(ours), "of-channel")
}

// BenchmarkJSON is the same with a JSON body on both sides, which costs more than
// all else.
func BenchmarkJSON(b *testing.B) {
	type order struct {
		ID       int64    `json:"id"`
		Customer string   `json:"customer"`
		Items    []string `json:"items"`
		Total    float64  `json:"total"`
		Paid     bool     `json:"paid"`
	}
	var handled atomic.Int64
	queue := benchQueue(b, func(_ context.Context, batch *inproq.MessageBatch[order]) error {
		handled.Add(int64(len(batch.Messages)))
		return nil
	}, inproq.ConsumerConfig{MaxBatchSize: 100, MaxBatchTimeout: 50 * time.Millisecond})
	body := order{ID: 1 << 40, Customer: "ada@example.org", Items: []string{"a pen", "ink"}, Total: 12.5}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = queue.Send(b.Context(), body)
	}
}

// BenchmarkIdleLatency is the time from Send to the first line of the handler, on
// a queue where nothing else happens; the sender then waits.
func BenchmarkIdleLatency(b *testing.B) {
	arrived := make(chan time.Time, 1)
	queue := benchQueue(b, func(context.Context, *inproq.MessageBatch[[]byte]) error {
		arrived <- time.Now()
		return nil
	}, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
	body := make([]byte, 100)
	var all []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		_, _ = queue.Send(b.Context(), body)
		all = append(all, (<-arrived).Sub(start))
		time.Sleep(200 * time.Microsecond) // the queue is idle again
	}
	slices.Sort(all)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(all[len(all)/2].Nanoseconds())/1000, "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Nanoseconds())/1000, "p99-µs")
}

// BenchmarkLateness is how long after their time delayed messages reach a handler, a
// million of them due within four seconds.
func BenchmarkLateness(b *testing.B) {
	const messages, batch = 1_000_000, 100
	var mu sync.Mutex
	var late []time.Duration
	done := make(chan struct{}, 1)
	queue := benchQueue(b, func(_ context.Context, batch *inproq.MessageBatch[[]byte]) error {
		now := time.Now()
		mu.Lock()
		defer mu.Unlock()
		for _, m := range batch.Messages {
			late = append(late, now.Sub(m.Timestamp.Add(time.Duration(binary.LittleEndian.Uint64(m.Body)))))
		}
		if len(late)%messages == 0 {
			done <- struct{}{}
		}
		return nil
	}, inproq.ConsumerConfig{MaxBatchSize: batch, MaxBatchTimeout: inproq.NoWait})
	for b.Loop() {
		for i := range messages / batch {
			msgs := make([]inproq.MessageSendRequest[[]byte], batch)
			for k := range msgs {
				delay := 3*time.Second + time.Duration(k*messages/batch+i)*(4*time.Second/messages)
				msgs[k].Body, msgs[k].Delay = binary.LittleEndian.AppendUint64(nil, uint64(delay)), delay
			}
			_, _ = queue.SendBatch(b.Context(), msgs)
		}
		<-done
	}
	slices.Sort(late)
	milliseconds := func(i int) float64 { return float64(late[i].Microseconds()) / 1000 }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(milliseconds(0), "min-ms")
	b.ReportMetric(milliseconds(len(late)/2), "p50-ms")
	b.ReportMetric(milliseconds(len(late)*99/100), "p99-ms")
	b.ReportMetric(milliseconds(len(late)-1), "max-ms")
}

// BenchmarkIdleQueue is the memory that a queue takes on which nothing happens. The
// largest figure counts, which is that of the first round: later ones find stacks of
// goroutines that have ended.
func BenchmarkIdleQueue(b *testing.B) {
	const queues = 1000
	for _, consumed := range []bool{false, true} {
		b.Run(fmt.Sprintf("consumed=%t", consumed), func(b *testing.B) {
			var bytes, goroutines float64
			for b.Loop() {
				by, g := idleQueues(b, queues, consumed)
				bytes, goroutines = max(bytes, by), max(goroutines, g)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(bytes, "B/queue")
			b.ReportMetric(goroutines, "goroutines/queue")
		})
	}
}

// idleQueues returns what each of n queues adds to heap, stacks and goroutines.
func idleQueues(b *testing.B, n int, consumed bool) (bytes, goroutines float64) {
	broker, err := inproq.NewBroker(inproq.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { _ = broker.Run(ctx) })
	defer run.Wait()
	defer cancel()
	memory, routines := inUse(), runtime.NumGoroutine()
	for i := range n {
		queue, err := inproq.Declare[string](ctx, broker, fmt.Sprint("queue-", i), inproq.QueueConfig{})
		require.NoError(b, err)
		if consumed {
			_, err := queue.Consume(func(context.Context, *inproq.MessageBatch[string]) error { return nil }, inproq.ConsumerConfig{})
			require.NoError(b, err)
		}
	}
	return float64(inUse()-memory) / float64(n), float64(runtime.NumGoroutine()-routines) / float64(n)
}

// inUse is the memory in use by the heap and by stacks.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // also what pools hold
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// BenchmarkBacklog is what a million waiting messages cost: memory beyond their
// bodies, and one collection.
func BenchmarkBacklog(b *testing.B) {
	const messages = 1_000_000
	body := make([]byte, 100)
	for _, delay := range []time.Duration{0, time.Hour} {
		b.Run(fmt.Sprintf("delay=%v", delay), func(b *testing.B) {
			var bytes, collection float64
			n := 0
			for b.Loop() {
				broker, err := inproq.NewBroker(inproq.Config{Logger: slog.New(slog.DiscardHandler)})
				require.NoError(b, err)
				queue, err := inproq.Declare[[]byte](b.Context(), broker, "backlog", inproq.QueueConfig{DeliveryDelay: delay})
				require.NoError(b, err)
				before := inUse()
				for range messages {
					_, _ = queue.Send(b.Context(), body)
				}
				bytes += float64(inUse()-before)/messages - float64(len(body))
				start := time.Now()
				runtime.GC()
				collection += time.Since(start).Seconds() * 1000
				n++
				require.NoError(b, broker.Shutdown(b.Context()))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(bytes/float64(n), "B/msg-beyond-body")
			b.ReportMetric(collection/float64(n), "gc-ms")
		})
	}
}
