package memory

import (
	"context"
	"testing"
	"time"

	"github.com/inproq/inproq/store"
)

func BenchmarkEnq(b *testing.B) {
	s := New()
	ctx := context.Background()
	s.PutQueue(ctx, store.Queue{Name: "q", Retention: 4 * 24 * time.Hour})
	body := make([]byte, 100)
	msgs := make([]store.Message, 1)
	msgs[0] = store.Message{Body: body, ContentType: "bytes"}
	s.Enqueue(ctx, "q", msgs)
	q, _ := s.queue(ctx, "q")
	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				f()
				if i++; i%20000 == 0 {
					s.Purge(ctx, "q")
				}
			}
		})
	}
	run("lookup", func() { s.queue(ctx, "q") })
	run("now", func() { s.now() })
	run("inlet", func() { q.inlet().mu.Unlock() })
	run("count", func() { q.count(msgs, 1, &store.Stats{}) })
	run("push", func() { q.push(msgs, 1) })
	run("enqueue", func() { s.Enqueue(ctx, "q", msgs) })
	var w writer
	run("write", func() { r := w.writeBody(&q.arena, body); q.dropped.drop(r) })
}
