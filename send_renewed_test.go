package inproq_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store/memory"
)

// When another broker has deleted a queue and taken its name anew, the next send goes by
// what the new queue says, whatever it was like for the old one.
func TestSendToARenewedQueue(t *testing.T) {
	one, hour := inproq.QueueConfig{}, inproq.QueueConfig{DeliveryDelay: time.Hour}
	ways := map[string]func(q *inproq.Queue[string]) error{
		"plain": func(q *inproq.Queue[string]) error { _, err := q.Send(t.Context(), "x"); return err },
		"header": func(q *inproq.Queue[string]) error {
			_, err := q.Send(t.Context(), "x", inproq.Header("K", "v"))
			return err
		},
		"batch": func(q *inproq.Queue[string]) error {
			_, err := q.SendBatch(t.Context(), inproq.Bodies("x"))
			return err
		},
	}
	for name, send := range ways {
		for _, c := range []struct {
			before, after inproq.QueueConfig
			delayed       int64
		}{{hour, one, 0}, {one, hour, 2}, {hour, hour, 2}} {
			st := memory.New()
			a, b := sendBroker(t, inproq.Config{Store: st}), sendBroker(t, inproq.Config{Store: st})
			q := sendQueue[string](t, a, "q", c.before)
			require.NoError(t, b.DeleteQueue(t.Context(), "q"))
			sendQueue[string](t, b, "q", c.after)
			for range 2 {
				require.NoError(t, send(q), name)
			}
			backlog, err := b.Backlog(t.Context(), "q")
			require.NoError(t, err)
			assert.Equal(t, c.delayed, backlog.Delayed, "%s, from %v to %v", name, c.before.DeliveryDelay, c.after.DeliveryDelay)
			assert.Equal(t, 2-c.delayed, backlog.Ready)
			require.NoError(t, st.Close())
		}
	}
}
