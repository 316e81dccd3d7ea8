package inproq_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inproq/inproq"
)

// eventsLine is an event in a form that can be compared.
type eventsLine struct {
	At       time.Duration // since the reader was made
	Kind     inproq.EventKind
	Queue    string
	Message  inproq.MessageID
	Attempts int
	Delay    time.Duration
	To       string
	Count    int64
	Err      string
}

// eventsReader keeps what a reader gets.
type eventsReader struct {
	began time.Time

	mu    sync.Mutex
	got   []inproq.Event
	ended bool
}

// eventsOf reads events until the test ends. It is called in a bubble: what has happened
// before may still be told by the goroutine that follows the store.
func eventsOf(t *testing.T, b *inproq.Broker, kinds ...inproq.EventKind) *eventsReader {
	t.Helper()
	synctest.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	r := &eventsReader{began: time.Now()}
	events := b.Events(ctx, kinds...)
	var reading sync.WaitGroup
	reading.Go(func() {
		for e := range events {
			r.mu.Lock()
			r.got = append(r.got, e)
			r.mu.Unlock()
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ended = true
	})
	t.Cleanup(func() {
		cancel()
		reading.Wait()
	})
	return r
}

// take returns what has come since the last time, once everybody waits.
func (r *eventsReader) take() []inproq.Event {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

func (r *eventsReader) over() bool {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

// lines is take without Before and After.
func (r *eventsReader) lines() []eventsLine {
	lines := []eventsLine{}
	for _, e := range r.take() {
		l := eventsLine{e.Time.Sub(r.began), e.Kind, e.Queue, e.Message, e.Attempts, e.Delay, e.To, e.Count, ""}
		if e.Err != nil {
			l.Err = e.Err.Error()
		}
		lines = append(lines, l)
	}
	return lines
}

// kinds is take, reduced to the kinds.
func (r *eventsReader) kinds() []inproq.EventKind {
	kinds := []inproq.EventKind{}
	for _, e := range r.take() {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// eventsConsume attaches a handler that gets every message at once.
func eventsConsume(t *testing.T, b *inproq.Broker, queue string, h inproq.Handler[string], cfg inproq.ConsumerConfig) {
	t.Helper()
	cfg.MaxBatchTimeout = inproq.NoWait
	accountConsume(t, accountDeclare(t, b, queue, inproq.QueueConfig{}), h, cfg)
}
