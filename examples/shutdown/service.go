package main

import (
	"context"
	"fmt"
	"time"

	"github.com/inproq/inproq"
)

const pages = 1000 // of a report

// A service sends emails, which are quick, and writes reports, which are not.
type service struct {
	out     *story
	email   time.Duration // what one takes
	page    time.Duration // what one takes of a report
	grace   time.Duration // how long a shutdown waits for handlers
	deploy  func() error  // ends the context of run
	emails  *inproq.Queue[string]
	reports *inproq.Queue[string]
}

// wire declares the queues and attaches the handlers.
func (s *service) wire(ctx context.Context, broker *inproq.Broker) error {
	var err error
	if s.emails, err = inproq.Declare[string](ctx, broker, "emails", inproq.QueueConfig{}); err != nil {
		return err
	}
	if s.reports, err = inproq.Declare[string](ctx, broker, "reports", inproq.QueueConfig{}); err != nil {
		return err
	}
	one := inproq.ConsumerConfig{MaxBatchSize: 1, MaxBatchTimeout: inproq.NoWait, MaxConcurrency: 1}
	if _, err = s.emails.Consume(inproq.Each(s.sendEmail), one); err != nil {
		return err
	}
	_, err = s.reports.Consume(inproq.Each(s.writeReport), one)
	return err
}

// writeReport looks at its context in each page: the last may be far away.
func (s *service) writeReport(ctx context.Context, m *inproq.Message[string]) error {
	s.out.say("%s: begun", m.Body)
	if _, err := s.emails.SendBatch(ctx, inproq.Bodies("to ada", "to alan", "to grace")); err != nil {
		return err
	}
	for page := 1; page <= pages; page++ {
		if !wait(ctx, s.page) {
			// context.Cause tells a shutdown from a MaxDuration that is over.
			s.out.say("%s: stopped at page %d: %v", m.Body, page, context.Cause(ctx))
			return context.Cause(ctx) // a retry: a store that outlives the process keeps the message
		}
	}
	s.out.say("%s: written", m.Body)
	return nil
}

// sendEmail is quick. The first one sees the deploy begin.
func (s *service) sendEmail(ctx context.Context, m *inproq.Message[string]) error {
	s.out.say("email %s: begun", m.Body)
	if m.Body == "to ada" {
		if err := s.deploy(); err != nil {
			return err
		}
	}
	if !wait(ctx, s.email) {
		return context.Cause(ctx)
	}
	s.out.say("email %s: sent", m.Body)
	if m.Body == "to grace" {
		// Handlers may send during a shutdown. This is delivered too.
		if _, err := s.emails.Send(ctx, "to the archive"); err != nil {
			return fmt.Errorf("archive: %w", err)
		}
	}
	return nil
}

// wait stands for work. It reports false if ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	done := time.NewTimer(d)
	defer done.Stop()
	select {
	case <-done.C:
		return true
	case <-ctx.Done():
		return false
	}
}
