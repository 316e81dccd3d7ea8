package inproq

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Journey is what happened to one message in this process, in the order of time.
type Journey []Event

// Journey tells what happened to a message: when it was sent and how long delayed, to
// whom it was delivered, why it was retried, where it ended. It is empty for a message
// that this broker has not met, or none of the latest 10,000, and when Config.Journey is
// off. Of a message with more than 32 events the first 8 and the last are kept, with an
// EventLost in between.
func (b *Broker) Journey(id MessageID) Journey {
	if b.journal == nil {
		return nil
	}
	return b.journal.of(id)
}

// String tells the journey in one line for each event, with times counted from the
// first.
func (j Journey) String() string {
	var s strings.Builder
	for i := range j {
		e := &j[i]
		fmt.Fprintf(&s, "+%v %s", e.Time.Sub(j[0].Time).Round(time.Microsecond), e.Kind)
		if e.Queue != "" {
			fmt.Fprintf(&s, " in %q", e.Queue)
		}
		if e.Attempts > 0 {
			fmt.Fprintf(&s, ", attempt %d", e.Attempts)
		}
		if e.Delay > 0 {
			fmt.Fprintf(&s, ", delayed by %v", e.Delay)
		}
		if e.To != "" {
			fmt.Fprintf(&s, ", to %q", e.To)
		}
		if e.Kind == EventLost {
			fmt.Fprintf(&s, ": %d events", e.Count)
		}
		if e.Err != nil {
			s.WriteString(": " + strings.ReplaceAll(e.Err.Error(), "\n", "; "))
		}
		s.WriteByte('\n')
	}
	return s.String()
}

const (
	journeys     = 10_000 // that a journal keeps
	journeySteps = 32     // of each
	journeyHead  = 8      // of those, the first that are kept when there are more
	journeyText  = 200    // bytes of an error
)

// A journal keeps the journeys of the latest messages.
type journal struct {
	mu   sync.Mutex
	byID map[MessageID]int // index into kept
	kept []journeyOf       // a ring, once it is full
	next int               // the one to be replaced
}

type journeyOf struct {
	id    MessageID
	steps Journey
}

func newJournal() *journal { return &journal{byID: make(map[MessageID]int)} }

// note adds an event to the journey of its message. It is a tap.
func (j *journal) note(n *note) {
	if n.Message == (MessageID{}) {
		return
	}
	e := n.Event
	e.Err = textOf(e.Err)
	j.mu.Lock()
	defer j.mu.Unlock()
	i, ok := j.byID[e.Message]
	if !ok {
		i = j.begin(e.Message)
	}
	x := &j.kept[i]
	if len(x.steps) == journeySteps {
		x.steps.forget()
	}
	x.steps = append(x.steps, e)
	x.steps.place()
}

// place moves the last step to where it belongs. What lets a message be delivered is told
// when the store has it, and the delivery may be faster.
func (j Journey) place() {
	last := len(j) - 1
	e, at := j[last], last
	for i := last - 1; i >= 0; i-- {
		if e.Kind != EventSent && (j[i].Time.Before(e.Time) || e.follows(&j[i])) {
			break
		}
		if e.Kind == EventSent || j[i].Kind == EventDelivered {
			at = i
		}
	}
	copy(j[at+1:], j[at:last])
	j[at] = e
}

// follows reports whether e, of the same message, cannot have been before the event:
// that began the delivery which e has ended, or brought the message to where e has moved
// it from.
func (e *Event) follows(earlier *Event) bool {
	switch e.Kind {
	case EventAcked, EventRetried, EventDeadLettered, EventDropped, EventLeaseLost:
		return earlier.Kind == EventDelivered && earlier.Queue == e.Queue && earlier.Attempts == e.Attempts
	case EventRedriven:
		return earlier.Queue == e.Queue || earlier.To == e.Queue
	}
	return true
}

// begin makes room for a journey.
func (j *journal) begin(id MessageID) int {
	i := j.next
	j.next = (j.next + 1) % journeys
	if len(j.kept) < journeys {
		j.kept = append(j.kept, journeyOf{})
	} else {
		delete(j.byID, j.kept[i].id)
	}
	j.kept[i] = journeyOf{id: id}
	j.byID[id] = i
	return i
}

// forget makes room for one more step.
func (j *Journey) forget() {
	s := *j
	gone := int64(2) // one for the place that says so
	if s[journeyHead].Kind == EventLost {
		gone = s[journeyHead].Count + 1
	}
	s[journeyHead] = Event{Kind: EventLost, Time: s[journeyHead].Time, Queue: s[journeyHead].Queue, Message: s[journeyHead].Message, Count: gone}
	*j = slices.Delete(s, journeyHead+1, journeyHead+2)
}

// of returns a copy of a message's journey.
func (j *journal) of(id MessageID) Journey {
	j.mu.Lock()
	defer j.mu.Unlock()
	i, ok := j.byID[id]
	if !ok {
		return nil
	}
	return slices.Clone(j.kept[i].steps)
}

// textOf keeps of an error what it says: it may hold on to much more.
func textOf(err error) error {
	if err == nil {
		return nil
	}
	text := fmt.Sprint(err) // which survives an Error that panics
	if len(text) > journeyText {
		text = strings.ToValidUTF8(text[:journeyText], "") + "…"
	}
	return errors.New(text)
}
