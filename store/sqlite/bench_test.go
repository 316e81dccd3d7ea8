package sqlite_test

import (
	"context"
	"encoding/binary"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq/store"
)

// A durable is what a benchmark measures: the store, or the raw log.
type durable interface {
	send(msgs []store.Message)
	lease(n int) int // and keeps what it has leased
	ack(n int)
}

// A subject is the store as a durable. A consumer has one of its own.
type subject struct {
	tb   testing.TB
	s    store.Store
	buf  []store.Delivery
	outs []store.Outcome
}

func (x *subject) send(msgs []store.Message) {
	_, err := x.s.Enqueue(context.Background(), "q", msgs)
	require.NoError(x.tb, err)
}

func (x *subject) lease(n int) int {
	var err error
	x.buf, err = x.s.Lease(context.Background(), "q", store.Claim{Max: n, Visibility: time.Hour, Wait: leaseWait}, x.buf[:0])
	require.NoError(x.tb, err)
	return len(x.buf)
}

func (x *subject) ack(int) {
	x.outs = x.outs[:0]
	for _, d := range x.buf {
		x.outs = append(x.outs, store.Outcome{Lease: d.Lease})
	}
	lost, err := x.s.Settle(context.Background(), "q", x.outs)
	require.NoError(x.tb, err)
	require.Empty(x.tb, lost)
}

// leaseWait is how long a consumer waits before it looks whether all is done.
const leaseWait = 5 * time.Millisecond

var ids atomic.Uint64

// messages are n messages of size bytes with IDs of their own.
func messages(n, size int) []store.Message {
	all := make([]store.Message, n)
	for i := range all {
		all[i] = store.Message{Body: make([]byte, size), ContentType: "bytes"}
		binary.BigEndian.PutUint64(all[i].ID[:], ids.Add(1))
	}
	return all
}

// load has senders send each messages of size bytes, some at a time, and consumers lease and
// acknowledge all of them, 100 at a time. It returns the messages per second.
func load(d func() durable, senders, each, some, size, consumers int) float64 {
	total := int64(senders * each)
	var done atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for range senders {
		all.Go(func() {
			d := d()
			msgs := messages(some, size)
			for n := 0; n < each; n += some {
				d.send(msgs)
			}
		})
	}
	for range consumers {
		all.Go(func() {
			d := d()
			for done.Load() < total {
				if n := d.lease(100); n > 0 {
					d.ack(n)
					done.Add(int64(n))
				}
			}
		})
	}
	all.Wait()
	return float64(total) / time.Since(start).Seconds()
}

// BenchmarkOfLog measures the store beside a raw group-commit log, in turns in the same run.
// "of-log" is the median of the ratios of messages per second.
func BenchmarkOfLog(b *testing.B) {
	for _, row := range []struct {
		name                                 string
		senders, each, some, size, consumers int
	}{
		{"Send/1", 1, 1000, 1, 128, 0},
		{"Send/16", 16, 1000, 1, 128, 0},
		{"Send/256", 256, 200, 1, 128, 0},
		{"Send1KiB/16", 16, 1000, 1, 1 << 10, 0},
		{"Send64KiB/16", 16, 100, 1, 64 << 10, 0},
		{"SendBatch100/4", 4, 20_000, 100, 128, 0},
		{"SendBatch100/16", 16, 10_000, 100, 128, 0},
		{"Life/16x100", 16, 10_000, 100, 128, 4},
		{"Life/16x1", 16, 1000, 1, 128, 4},
	} {
		b.Run(row.name, func(b *testing.B) {
			var ours, logs, ratios []float64
			for b.Loop() {
				l := newRawLog(b)
				s := open(b)
				_, err := s.PutQueue(context.Background(), store.Queue{Name: "q"})
				require.NoError(b, err)
				runtime.GC()
				log := load(func() durable { return &rawConsumer{rawLog: l} }, row.senders, row.each, row.some, row.size, row.consumers)
				runtime.GC()
				our := load(func() durable { return &subject{tb: b, s: s} }, row.senders, row.each, row.some, row.size, row.consumers)
				ours, logs, ratios = append(ours, our), append(logs, log), append(ratios, our/log)
				require.NoError(b, s.Close())
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(ours), "msg/s")
			b.ReportMetric(median(logs), "log-msg/s")
			b.ReportMetric(median(ratios), "of-log")
		})
	}
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}
