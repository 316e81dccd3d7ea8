package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/inproq/inproq/store"
)

// Benchmark measures a store, in real time. Each row but the first quotes its
// throughput in messages as a fraction of that of a raw buffered channel, with
// as many senders, in the same run: the unit is "of-channel", and 1 would be a
// channel's.
func Benchmark(b *testing.B, h Harness) {
	channel := map[int]float64{} // nanoseconds per message, by senders
	for _, senders := range []int{1, 16} {
		channel[senders] = channelSpeed(senders)
	}
	b.Run("Channel", func(b *testing.B) {
		c := make(chan [bodySize]byte, 8192)
		b.ReportAllocs()
		for b.Loop() {
			c <- [bodySize]byte{}
			<-c
		}
	})
	for _, row := range benchmarks {
		b.Run(row.name, func(b *testing.B) {
			w := newWorkload(b, h)
			round := row.prepare(w)
			messages := 0
			b.ReportAllocs()
			for b.Loop() {
				messages += round()
			}
			each := float64(b.Elapsed()) / float64(messages)
			b.ReportMetric(each, "ns/msg")
			b.ReportMetric(channel[max(row.senders, 1)]/each, "of-channel")
		})
	}
}

const bodySize = 64

// channelSpeed is the time per message of a raw buffered channel, in nanoseconds.
func channelSpeed(senders int) float64 {
	const total = 1 << 18
	best := time.Duration(1 << 62)
	for range 3 {
		c := make(chan [bodySize]byte, 8192)
		var all sync.WaitGroup
		start := time.Now()
		for range senders {
			all.Go(func() {
				for range total / senders {
					c <- [bodySize]byte{}
				}
			})
		}
		// As many receivers, each with its share: nobody needs to be told the end.
		for range senders {
			all.Go(func() {
				for range total / senders {
					<-c
				}
			})
		}
		all.Wait()
		best = min(best, time.Since(start))
	}
	return float64(best) / total
}

// A workload is what a benchmark does to a store. Its round is one iteration; it
// returns the number of messages it has put through.
type workload struct {
	testing.TB
	store store.Store
	ctx   context.Context
	buf   []store.Delivery
	fates []store.Outcome
}

// newWorkload opens a store and closes it with the benchmark.
func newWorkload(tb testing.TB, h Harness) *workload {
	w := &workload{TB: tb, store: h.Open(tb), ctx: context.Background()}
	tb.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	_, err := w.store.PutQueue(w.ctx, store.Queue{Name: "q"})
	w.check("PutQueue", err)
	return w
}

var benchmarks = []struct {
	name    string
	senders int // of the channel to compare with; zero: one
	prepare func(w *workload) (round func() int)
}{
	{"Cycle/1", 0, func(w *workload) func() int {
		one := w.batch(1, bodySize)
		return func() int { w.send(one); w.consume(1); return 1 }
	}},
	{"Cycle/10", 0, func(w *workload) func() int { return w.cycle(10, bodySize) }},
	{"Cycle/100", 0, func(w *workload) func() int { return w.cycle(100, bodySize) }},
	{"Cycle/100x4KiB", 0, func(w *workload) func() int { return w.cycle(100, 4<<10) }},
	{"Cycle/10x64KiB", 0, func(w *workload) func() int { return w.cycle(10, 64<<10) }},
	{"Singles/100", 0, func(w *workload) func() int {
		one := w.batch(1, bodySize)
		return func() int {
			for range 100 {
				w.send(one)
			}
			w.consume(100)
			return 100
		}
	}},
	{"Singles/16x100", 16, func(w *workload) func() int { return w.crowd(16, 100, 1) }},
	{"Batches/16x100", 16, func(w *workload) func() int { return w.crowd(16, 100, 100) }},
	{"Retry/100", 0, func(w *workload) func() int {
		batch := w.batch(100, bodySize)
		w.send(batch)
		return func() int {
			w.take(len(batch))
			w.settle(store.Outcome{Verb: store.Retry})
			return len(w.buf)
		}
	}},
	{"Delayed/100", 0, func(w *workload) func() int {
		batch := w.batch(100, bodySize)
		return func() int {
			for i := range batch {
				batch[i].Delay = time.Duration(i+1) * time.Hour / 8
			}
			w.send(batch)
			w.check("Purge", w.store.Purge(w.ctx, "q"))
			return len(batch)
		}
	}},
	{"Backlog10k/100", 0, func(w *workload) func() int {
		for range 100 {
			w.send(w.batch(100, bodySize))
		}
		return w.cycle(100, bodySize)
	}},
	{"Stats", 0, func(w *workload) func() int {
		w.send(w.batch(100, bodySize))
		return func() int {
			_, err := w.store.Stats(w.ctx, "q")
			w.check("Stats", err)
			return 1
		}
	}},
}

// cycle sends a batch, leases as many messages and acknowledges them.
func (w *workload) cycle(n, size int) func() int {
	batch := w.batch(n, size)
	return func() int { w.send(batch); w.consume(len(batch)); return len(batch) }
}

// crowd is a number of senders that send each messages, some at once, and one
// consumer.
func (w *workload) crowd(senders, each, some int) func() int {
	batches := make([][]store.Message, senders)
	for i := range batches {
		batches[i] = w.batch(some, bodySize)
	}
	errs := make([]error, senders)
	return func() int {
		var all sync.WaitGroup
		for i, batch := range batches {
			all.Go(func() {
				for sent := 0; sent < each && errs[i] == nil; sent += len(batch) {
					batch = batch[:min(len(batch), each-sent)]
					renew(batch)
					_, errs[i] = w.store.Enqueue(w.ctx, "q", batch)
				}
			})
		}
		w.consume(senders * each)
		all.Wait()
		for _, err := range errs {
			w.check("Enqueue", err)
		}
		return senders * each
	}
}

func (w *workload) check(call string, err error) {
	if err != nil {
		w.Fatalf("%s: %v", call, err)
	}
}

func (w *workload) batch(n, size int) []store.Message {
	if most := w.store.Guarantee().AtomicSend; most > 0 {
		n = min(n, most)
	}
	batch := make([]store.Message, n)
	for i := range batch {
		batch[i] = store.Message{Body: pattern(size), ContentType: "bytes"}
	}
	return batch
}

// renew gives each message an ID of its own, at less cost than a UUID.
func renew(batch []store.Message) {
	for i := range batch {
		n := minted.Add(1)
		batch[i].ID = store.ID{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), 15: byte(n)}
	}
}

func (w *workload) send(batch []store.Message) {
	renew(batch)
	_, err := w.store.Enqueue(w.ctx, "q", batch)
	w.check("Enqueue", err)
}

// take leases n messages into buf, as they come.
func (w *workload) take(n int) {
	w.buf = w.buf[:0]
	for len(w.buf) < n {
		got, err := w.store.Lease(w.ctx, "q", store.Claim{Max: n - len(w.buf), Visibility: time.Hour, Wait: 10 * time.Second}, w.buf)
		w.check("Lease", err)
		if len(got) == len(w.buf) {
			w.Fatalf("Lease: %d of %d messages came, and no more for 10 s", len(got), n)
		}
		w.buf = got
	}
}

// settle applies the same outcome to all of buf.
func (w *workload) settle(o store.Outcome) {
	w.fates = w.fates[:0]
	for _, d := range w.buf {
		o.Lease = d.Lease
		w.fates = append(w.fates, o)
	}
	lost, err := w.store.Settle(w.ctx, "q", w.fates)
	w.check("Settle", err)
	if len(lost) > 0 {
		w.Fatalf("Settle: lost are %v, want none", lost)
	}
}

// consume leases n messages and acknowledges them, up to 100 at a time.
func (w *workload) consume(n int) {
	for n > 0 {
		w.take(min(n, 100))
		w.settle(store.Outcome{Verb: store.Ack})
		n -= len(w.buf)
	}
}
