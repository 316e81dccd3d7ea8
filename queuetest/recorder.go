package queuetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/internal/headers"
	"github.com/inproq/inproq/store"
	"github.com/inproq/inproq/store/memory"
)

// Sent is a message that was sent to a Recorder.
type Sent[T any] struct {
	ID          inproq.MessageID
	Body        T                  // as it was given
	Encoded     []byte             // as a store gets it
	ContentType inproq.ContentType // that it was encoded with
	Delay       time.Duration      // zero: none
	Headers     map[string]string  // nil: none
}

// A Recorder is an [inproq.Producer] that keeps what is sent to it and delivers
// nothing. Behind it is a real queue, so what a queue would refuse it refuses too,
// with the same errors. It is safe for concurrent use.
type Recorder[T any] struct {
	queue *inproq.Queue[T]
	store *recordingStore

	mu   sync.Mutex // held during a send, so that what the store got is its
	sent []Sent[T]
	fail error
}

var _ inproq.Producer[any] = (*Recorder[any])(nil)

// NewRecorder makes a recorder for the length of a test. At most one queue
// configuration may be given, to send as that queue would.
func NewRecorder[T any](t testing.TB, cfg ...inproq.QueueConfig) *Recorder[T] {
	t.Helper()
	st := &recordingStore{Store: memory.New()}
	b, err := inproq.NewBroker(inproq.Config{Store: st})
	if err != nil {
		t.Fatalf("queuetest: %v", err)
	}
	t.Cleanup(func() {
		if err := b.Shutdown(context.Background()); err != nil {
			t.Errorf("queuetest: %v", err)
		}
		_ = st.Close()
	})
	var c inproq.QueueConfig
	switch len(cfg) {
	case 0:
	case 1:
		c = cfg[0]
	default:
		t.Fatalf("queuetest: %d queue configurations, allowed: at most one", len(cfg))
	}
	q, err := inproq.Declare[T](context.Background(), b, "recorder", c)
	if err != nil {
		t.Fatalf("queuetest: %v", err)
	}
	return &Recorder[T]{queue: q, store: st}
}

// Send records a message.
func (r *Recorder[T]) Send(ctx context.Context, body T, opts ...inproq.SendOption) (inproq.SendResult, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return inproq.SendResult{}, r.fail
	}
	res, err := r.queue.Send(ctx, body, opts...)
	if err == nil {
		r.keep([]T{body})
	}
	return res, err
}

// SendBatch records the messages of a batch.
func (r *Recorder[T]) SendBatch(ctx context.Context, msgs []inproq.MessageSendRequest[T], opts ...inproq.SendOption) (inproq.SendBatchResult, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return inproq.SendBatchResult{}, r.fail
	}
	res, err := r.queue.SendBatch(ctx, msgs, opts...)
	if err == nil {
		bodies := make([]T, len(msgs))
		for i := range msgs {
			bodies[i] = msgs[i].Body
		}
		r.keep(bodies)
	}
	return res, err
}

// keep notes what the store has got. The caller holds mu.
func (r *Recorder[T]) keep(bodies []T) {
	for i, m := range r.store.take() {
		h, _ := headers.Decode(m.Headers) // encoded a moment ago
		r.sent = append(r.sent, Sent[T]{
			ID: inproq.MessageID(m.ID), Body: bodies[i], Encoded: m.Body,
			ContentType: inproq.ContentType(m.ContentType), Delay: m.Delay, Headers: h,
		})
	}
}

// Sent returns all messages that were sent, in their order.
func (r *Recorder[T]) Sent() []Sent[T] {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sent)
}

// Bodies returns the bodies of all messages that were sent, in their order.
func (r *Recorder[T]) Bodies() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	bodies := make([]T, len(r.sent))
	for i := range r.sent {
		bodies[i] = r.sent[i].Body
	}
	return bodies
}

func (r *Recorder[T]) sends() chronicle[T] {
	c := chronicle[T]{where: "recorder"}
	for _, body := range r.Bodies() {
		c.happened = append(c.happened, &story[T]{body: body, known: true})
	}
	return c
}

// Fail makes every send from now on fail with err, for testing what the caller
// makes of it. Nil ends that.
func (r *Recorder[T]) Fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

// Reset forgets what was sent.
func (r *Recorder[T]) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = nil
}

// recordingStore keeps a copy of what it is given.
type recordingStore struct {
	store.Store
	mu   sync.Mutex
	msgs []store.Message
}

func (s *recordingStore) Enqueue(ctx context.Context, queue string, msgs []store.Message) (store.Stats, error) {
	before, err := s.Store.Enqueue(ctx, queue, msgs)
	if err != nil {
		return before, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range msgs {
		m.Body, m.Headers = slices.Clone(m.Body), slices.Clone(m.Headers)
		s.msgs = append(s.msgs, m)
	}
	return before, nil
}

// take returns what was kept, and forgets it.
func (s *recordingStore) take() []store.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	msgs := s.msgs
	s.msgs = nil
	return msgs
}
