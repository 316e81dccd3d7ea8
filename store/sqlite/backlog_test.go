package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/sqlite"
)

// BenchmarkBacklog fills a queue with messages of 128 bytes, closes the file and opens
// it again, and works some of the messages off: what that takes must not depend on how
// many there are.
func BenchmarkBacklog(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000, 10_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				backlog(b, n)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func backlog(b *testing.B, n int) {
	const batch, drained = 500, 10_000
	ctx := context.Background()
	path := filepath.Join(b.TempDir(), "queues.db")
	s := openAt(b, path)
	_, err := s.PutQueue(ctx, store.Queue{Name: "q"})
	require.NoError(b, err)
	x := &subject{tb: b, s: s}
	start := time.Now()
	msgs := messages(batch, 128)
	for range n / batch {
		x.send(msgs)
	}
	b.ReportMetric(float64(n)/time.Since(start).Seconds(), "sent/s")
	require.NoError(b, s.Close())
	debug.FreeOSMemory()

	start = time.Now()
	s = openAt(b, path)
	b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "open-ms")
	x.s = s
	start = time.Now()
	first := x.lease(100)
	b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "first-lease-ms")
	x.ack(first)
	runtime.GC()
	start = time.Now()
	for done := first; done < drained; {
		got := x.lease(100)
		require.Positive(b, got)
		x.ack(got)
		done += got
	}
	b.ReportMetric(float64(drained-first)/time.Since(start).Seconds(), "drained/s")
	b.ReportMetric(residentMB(b), "rss-MB")
	require.NoError(b, s.Close())
	require.NoError(b, os.RemoveAll(filepath.Dir(path)))
}

// residentMB is the memory of the process that is in use, in MB.
func residentMB(tb testing.TB) float64 {
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(tb, err)
	for line := range strings.Lines(string(status)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kb); n == 1 {
			return kb / 1024
		}
	}
	return 0
}

// BenchmarkDelayed is a message that is due within twelve hours, sent in batches of
// 100, beside a million of them.
func BenchmarkDelayed(b *testing.B) {
	ctx := context.Background()
	s := open(b)
	closing(b, s)
	_, err := s.PutQueue(ctx, store.Queue{Name: "q"})
	require.NoError(b, err)
	x := &subject{tb: b, s: s}
	send := func(n int) {
		msgs := messages(100, 128)
		for i := range n {
			for k := range msgs {
				msgs[k].Delay = time.Duration(1+(i*100+k)*7919%43_200) * time.Second
			}
			x.send(msgs)
		}
	}
	send(10_000)
	b.ResetTimer()
	for b.Loop() {
		send(1)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/msg")
}

// BenchmarkIdleLatency is the time from Send to the first line of the handler, on a queue where
// nothing else happens.
func BenchmarkIdleLatency(b *testing.B) {
	s, err := sqlite.Open(filepath.Join(b.TempDir(), "queues.db"), sqlite.Options{})
	require.NoError(b, err)
	closing(b, s)
	broker, err := inproq.NewBroker(inproq.Config{Store: s})
	require.NoError(b, err)
	q, err := inproq.Declare[[]byte](b.Context(), broker, "q", inproq.QueueConfig{})
	require.NoError(b, err)
	arrived := make(chan time.Time, 1)
	_, err = q.Consume(func(context.Context, *inproq.MessageBatch[[]byte]) error {
		arrived <- time.Now()
		return nil
	}, inproq.ConsumerConfig{MaxBatchTimeout: inproq.NoWait})
	require.NoError(b, err)
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- broker.Run(ctx) }()
	body := make([]byte, 100)
	var all, sends []time.Duration
	for b.Loop() {
		start := time.Now()
		_, err := q.Send(b.Context(), body)
		require.NoError(b, err)
		sends = append(sends, time.Since(start))
		all = append(all, (<-arrived).Sub(start))
		time.Sleep(2 * time.Millisecond) // the queue is idle again
	}
	stop()
	require.NoError(b, <-over)
	slices.Sort(all)
	slices.Sort(sends)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(sends[len(sends)/2].Microseconds()), "send-p50-µs")
}
