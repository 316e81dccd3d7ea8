package inproq

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// What lets a message be delivered is told when the store has it; a delivery in another
// goroutine may be told before. The journey has them in their order.
func TestJourneyOrder(t *testing.T) {
	at := func(seconds int, kind EventKind, queue string, attempts int, to string) Event {
		return Event{Time: time.Unix(int64(seconds), 0), Kind: kind, Queue: queue, Attempts: attempts, To: to, Message: MessageID{1}}
	}
	for name, tc := range map[string]struct {
		told []Event
		want []string
	}{
		"send": {
			[]Event{at(0, EventDelivered, "q", 1, ""), at(0, EventAcked, "q", 1, ""), at(0, EventSent, "q", 0, "")},
			[]string{"sent q", "delivered q 1", "acked q 1"},
		},
		"send, by a clock that is ahead": {
			[]Event{at(0, EventDelivered, "q", 1, ""), at(1, EventSent, "q", 0, "")},
			[]string{"sent q", "delivered q 1"},
		},
		"retry at the same time": {
			[]Event{at(0, EventDelivered, "q", 1, ""), at(0, EventCallIgnored, "q", 0, ""), at(0, EventDelivered, "q", 2, ""), at(0, EventAcked, "q", 2, ""), at(0, EventRetried, "q", 1, "")},
			[]string{"delivered q 1", "call_ignored q", "retried q 1", "delivered q 2", "acked q 2"},
		},
		"retry by time": {
			[]Event{at(0, EventDelivered, "q", 1, ""), at(2, EventDelivered, "q", 2, ""), at(1, EventRetried, "q", 1, "")},
			[]string{"delivered q 1", "retried q 1", "delivered q 2"},
		},
		"retry of a second life": {
			[]Event{at(0, EventDelivered, "q", 2, ""), at(0, EventDeadLettered, "q", 2, "d"), at(0, EventRedriven, "d", 0, "q"), at(0, EventDelivered, "q", 1, ""), at(0, EventRetried, "q", 1, "")},
			[]string{"delivered q 2", "dead_lettered q 2", "redriven d", "delivered q 1", "retried q 1"},
		},
		"dead letter": {
			[]Event{at(0, EventDelivered, "q", 1, ""), at(0, EventDelivered, "d", 1, ""), at(0, EventDeadLettered, "q", 1, "d")},
			[]string{"delivered q 1", "dead_lettered q 1", "delivered d 1"},
		},
		"redrive": {
			[]Event{at(0, EventDelivered, "q", 1, ""), at(0, EventDeadLettered, "q", 1, "d"), at(0, EventDelivered, "q", 1, ""), at(0, EventRedriven, "d", 0, "q")},
			[]string{"delivered q 1", "dead_lettered q 1", "redriven d", "delivered q 1"},
		},
		"lease lost": {
			[]Event{at(0, EventDelivered, "q", 1, ""), at(1, EventDelivered, "q", 2, ""), at(2, EventLeaseLost, "q", 1, "")},
			[]string{"delivered q 1", "delivered q 2", "lease_lost q 1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJournal()
			for _, e := range tc.told {
				j.note(&note{Event: e})
			}
			var got []string
			for _, e := range j.of(MessageID{1}) {
				text := fmt.Sprint(e.Kind, " ", e.Queue)
				if e.Attempts > 0 {
					text += fmt.Sprint(" ", e.Attempts)
				}
				got = append(got, text)
			}
			assert.Equal(t, tc.want, got)
		})
	}
}
