package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/mail"

	"github.com/inproq/inproq"
)

// Person is who signs up.
type Person struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// Kind says what a job does.
type Kind string

// The kinds of jobs.
const (
	Email     Kind = "email"
	Analytics Kind = "analytics"
	Chat      Kind = "chat"
)

// Job is what the queue holds: one thing to do after a sign-up. Each thing is a
// message of its own, so a retry of the email does not ping the chat again.
type Job struct {
	Kind   Kind   `json:"kind"`
	Person Person `json:"person"`
}

// effect does a job. It may be called more than once for the same one: delivery is
// at least once.
type effect func(context.Context, Person) error

// app is the HTTP side and the consumers.
type app struct {
	http.ServeMux
	broker  *inproq.Broker
	jobs    inproq.Producer[Job]
	effects map[Kind]effect
	log     *log.Logger
}

// newApp wires queues, consumers and routes. It starts nothing.
func newApp(ctx context.Context, effects map[Kind]effect, story *log.Logger) (*app, error) {
	broker, err := inproq.NewBroker(inproq.Config{})
	if err != nil {
		return nil, err
	}
	jobs, err := inproq.Declare[Job](ctx, broker, "signups", inproq.QueueConfig{})
	if err != nil {
		return nil, err
	}
	dead, err := inproq.Declare[Job](ctx, broker, "signups-dead", inproq.QueueConfig{})
	if err != nil {
		return nil, err
	}
	a := &app{broker: broker, jobs: jobs, effects: effects, log: story}
	if _, err := jobs.Consume(inproq.Each(a.do), inproq.ConsumerConfig{
		MaxBatchSize:    10,
		MaxRetries:      3,
		DeadLetterQueue: dead.Name(),
	}); err != nil {
		return nil, err
	}
	if _, err := dead.Consume(inproq.Each(a.bury), inproq.ConsumerConfig{}); err != nil {
		return nil, err
	}
	a.HandleFunc("POST /signup", a.signUp)
	return a, nil
}

// signUp answers when the jobs are in the queue: all of them, or none.
func (a *app) signUp(w http.ResponseWriter, r *http.Request) {
	var p Person
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&p); err != nil {
		http.Error(w, "not a person: "+err.Error(), http.StatusBadRequest)
		return
	}
	if address, err := mail.ParseAddress(p.Email); err != nil || address.Address != p.Email || p.Name == "" {
		http.Error(w, "a name and an email address are required", http.StatusBadRequest)
		return
	}
	// Here a service would write the account to its database.
	_, err := a.jobs.SendBatch(r.Context(), inproq.Bodies(Job{Email, p}, Job{Analytics, p}, Job{Chat, p}))
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// do does one job. An error brings it back, up to three times.
func (a *app) do(ctx context.Context, m *inproq.Message[Job]) error {
	effect, ok := a.effects[m.Body.Kind]
	if !ok {
		return fmt.Errorf("no such kind of job: %q", m.Body.Kind)
	}
	return effect(ctx, m.Body.Person)
}

// bury reports a job that was given up.
func (a *app) bury(_ context.Context, m *inproq.Message[Job]) error {
	letter, ok := m.DeadLetter()
	if !ok {
		return errors.New("somebody has sent to the dead-letter queue")
	}
	a.log.Printf("dead letter from %s: %s for %s, %s after %d attempts: %s",
		letter.Queue, m.Body.Kind, m.Body.Person.Name, letter.Reason, letter.Attempts, letter.Error)
	return nil
}
