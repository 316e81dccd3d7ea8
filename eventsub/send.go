package eventsub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/inproq/inproq"
)

// send sends a message to the queue of a subscription. That the queue is gone, and the
// subscription with it, is no error.
func (s *Service) send(ctx context.Context, sub *Subscription, m *Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	// Any queue has a view of this type, whatever the type of its bodies.
	queue, err := inproq.Bind[json.RawMessage](ctx, s.broker, sub.Queue)
	if err == nil {
		_, err = queue.Send(ctx, body, inproq.ContentAs(inproq.JSON))
	}
	if err == nil || errors.Is(err, inproq.ErrQueueNotFound) {
		return nil
	}
	return fmt.Errorf("eventsub: subscription %s: %w", sub.ID, err)
}
