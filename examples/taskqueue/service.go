package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/inproq/inproq"
)

// Task is what the queue holds.
type Task struct {
	Message string `json:"message"`
}

// service is the HTTP side and the consumer.
type service struct {
	http.ServeMux
	broker    *inproq.Broker
	tasks     inproq.Producer[Task]
	process   func(context.Context, Task) error
	enqueued  atomic.Int64
	processed atomic.Int64
}

// newService wires queue, consumer and routes. It starts nothing.
func newService(ctx context.Context) (*service, error) {
	broker, err := inproq.NewBroker(inproq.Config{})
	if err != nil {
		return nil, err
	}
	tasks, err := inproq.Declare[Task](ctx, broker, "tasks", inproq.QueueConfig{})
	if err != nil {
		return nil, err
	}
	s := &service{broker: broker, tasks: tasks, process: work}
	_, err = tasks.Consume(inproq.Each(s.consume), inproq.ConsumerConfig{MaxBatchSize: 10, MaxBatchTimeout: 5 * time.Second})
	if err != nil {
		return nil, err
	}
	s.HandleFunc("POST /enqueue", s.enqueue)
	s.HandleFunc("GET /stats", s.stats)
	return s, nil
}

// consume processes one task. An error brings it back, up to three times.
func (s *service) consume(ctx context.Context, m *inproq.Message[Task]) error {
	if err := s.process(ctx, m.Body); err != nil {
		return err
	}
	s.processed.Add(1)
	return nil
}

// work stands for what takes time.
func work(_ context.Context, t Task) error {
	fmt.Println("processing:", t.Message)
	return nil
}

const (
	maxMessage = 500     // characters
	maxRequest = 8 << 10 // bytes: 500 characters, each escaped, and some more
)

func (s *service) enqueue(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Message *string `json:"message"`
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err == nil {
		err = json.Unmarshal(body, &req)
	}
	if err != nil || req.Message == nil || *req.Message == "" || utf8.RuneCountInString(*req.Message) > maxMessage {
		reply(w, http.StatusBadRequest, problem{"Missing or invalid message (required string, max 500 chars)", "INVALID_MESSAGE"})
		return
	}
	at := time.Now()
	s.enqueued.Add(1) // before the task can be processed
	if _, err := s.tasks.Send(r.Context(), Task{Message: *req.Message}); err != nil {
		s.enqueued.Add(-1)
		reply(w, http.StatusServiceUnavailable, problem{err.Error(), "ENQUEUE_FAILED"})
		return
	}
	reply(w, http.StatusOK, struct {
		Queued     bool   `json:"queued"`
		Message    string `json:"message"`
		EnqueuedAt string `json:"enqueuedAt"`
	}{true, *req.Message, at.UTC().Format("2006-01-02T15:04:05.000Z07:00")})
}

func (s *service) stats(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, struct {
		Enqueued  int64 `json:"enqueued"`
		Processed int64 `json:"processed"`
	}{s.enqueued.Load(), s.processed.Load()})
}

type problem struct {
	Error string `json:"error"`
	Code  string `json:"code"`
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone: nobody to tell
}
