package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/inproq/inproq"
)

var queues = []string{"orders", "refunds", "audits"}

// A shop does the work of three queues.
type shop struct {
	mu   sync.Mutex // handlers of different queues run at the same time
	done map[string][]string
}

func newShop() *shop { return &shop{done: make(map[string][]string)} }

// consume declares the queues and attaches the handler to each.
func (s *shop) consume(ctx context.Context, broker *inproq.Broker) error {
	for _, name := range queues {
		queue, err := inproq.Declare[json.RawMessage](ctx, broker, name, inproq.QueueConfig{})
		if err != nil {
			return err
		}
		cfg := consumers[name]
		cfg.Name = "shop" // one consumer of three queues
		if _, err := queue.Consume(s.handle, cfg); err != nil {
			return err
		}
	}
	return nil
}

// handle is the handler of all queues. json.RawMessage gives it the bodies as they
// were encoded; what is in them depends on the queue.
func (s *shop) handle(_ context.Context, batch *inproq.MessageBatch[json.RawMessage]) error {
	switch batch.Queue {
	case "orders":
		return s.ship(batch)
	case "refunds":
		return s.refund(batch)
	case "audits":
		return s.audit(batch)
	default:
		return fmt.Errorf("no work for queue %q", batch.Queue)
	}
}

// ship succeeds or fails as a whole: its error retries the batch.
func (s *shop) ship(batch *inproq.MessageBatch[json.RawMessage]) error {
	var parcels []string
	for _, m := range batch.Messages {
		var o Order
		if err := json.Unmarshal(m.Body, &o); err != nil {
			return err
		}
		parcels = append(parcels, fmt.Sprintf("%s (%d)", o.Item, o.Number))
	}
	s.note(batch.Queue, "shipped "+strings.Join(parcels, " and "))
	return nil
}

// refund decides for each message. The bank is busy at first.
func (s *shop) refund(batch *inproq.MessageBatch[json.RawMessage]) error {
	for _, m := range batch.Messages {
		var r Refund
		if err := json.Unmarshal(m.Body, &r); err != nil {
			return err
		}
		if r.Cents > 1000 && m.Attempts < 3 {
			m.Retry(inproq.Cause(errors.New("the bank is busy")))
			continue
		}
		s.note(batch.Queue, fmt.Sprintf("refunded order %d: %d.%02d in attempt %d", r.Order, r.Cents/100, r.Cents%100, m.Attempts))
	}
	return nil
}

// audit writes all lines of a batch at once.
func (s *shop) audit(batch *inproq.MessageBatch[json.RawMessage]) error {
	var lines []string
	for _, m := range batch.Messages {
		var a Audit
		if err := json.Unmarshal(m.Body, &a); err != nil {
			return err
		}
		lines = append(lines, a.Who+": "+a.What)
	}
	s.note(batch.Queue, "wrote "+strings.Join(lines, ", "))
	return nil
}

func (s *shop) note(queue, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[queue] = append(s.done[queue], what)
}

// report prints what was done, queue by queue.
func (s *shop) report() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, queue := range queues {
		for _, what := range s.done[queue] {
			fmt.Printf("%-8s %s\n", queue, what)
		}
	}
	fmt.Println()
}
