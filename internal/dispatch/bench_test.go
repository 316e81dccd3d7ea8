package dispatch

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/inproq/inproq/store"
)

// A tap is a store that always has the same batch ready, and accepts whatever is
// settled. It lets a benchmark see the engine alone.
type tap struct {
	store.Store
	batch []store.Delivery
}

func (*tap) Guarantee() store.Guarantee { return store.Guarantee{Fenced: true} }

func (s *tap) Lease(_ context.Context, _ string, _ store.Claim, buf []store.Delivery) ([]store.Delivery, error) {
	return append(buf, s.batch...), nil
}

func (*tap) Settle(context.Context, string, []store.Outcome) ([]int, error) { return nil, nil }
func (*tap) Stats(context.Context, string) (store.Stats, error)             { return store.Stats{}, nil }

// BenchmarkInvocation measures what a batch costs beyond its messages.
func BenchmarkInvocation(b *testing.B) {
	handlers := map[string]handleFunc{
		"unarmed": succeed,
		"armed":   func(ctx context.Context, _ *Batch) error { _ = ctx.Done(); return nil },
	}
	for _, name := range []string{"unarmed", "armed"} {
		b.Run(name, func(b *testing.B) {
			s := &tap{batch: make([]store.Delivery, 1)}
			s.batch[0].Body = make([]byte, 64)
			e := New(Config{
				Store: s, Queue: "q", Handle: handlers[name], Logger: slog.New(slog.DiscardHandler), Counters: new(Counters), Observer: nobody{},
				Settings: Settings{BatchSize: 1, MaxConcurrency: 1, MaxDuration: 15 * time.Minute},
			})
			_ = e.Hold(context.Background())
			e.Start(context.Background())
			e.held, e.filling = 0, true // the benchmark plays the filler, see fillAndRun
			b.ReportAllocs()
			for b.Loop() {
				if !e.run(e.next()) {
					b.Fatal("lost the role of the filler")
				}
			}
			e.filling = false
			if n := e.Close(); n > 0 {
				b.Fatal("handlers run")
			}
		})
	}
}

func BenchmarkContext(b *testing.B) {
	base, cancel := context.WithCancel(b.Context())
	defer cancel()
	for name, use := range map[string]func(context.Context){
		"unarmed": func(ctx context.Context) { _ = ctx.Err() },
		"armed":   func(ctx context.Context) { _ = ctx.Done() },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c := new(invocation)
				c.begin(base, 15*time.Minute)
				use(c)
				c.end()
			}
		})
	}
}
