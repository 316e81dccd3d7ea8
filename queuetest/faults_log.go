package queuetest

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// A fault is one way in which a delivery or a send goes wrong.
type fault uint8

const (
	noFault fault = iota
	duplicate
	expire
	crash
	leaseRefused
	leaseUnanswered
	settleRefused
	settleUnanswered
	heldBack
	shuffled
	sendRefused
	sendUnanswered
)

// String says what happened to a message.
func (f fault) String() string {
	switch f {
	case duplicate:
		return "acknowledged, delivered again"
	case expire:
		return "lease cut short, settlement lost"
	case crash:
		return "handled, settlement never arrived"
	case leaseRefused:
		return "Lease unavailable, nothing leased"
	case leaseUnanswered:
		return "Lease unavailable, message leased"
	case settleRefused:
		return "Settle unavailable, nothing settled"
	case settleUnanswered:
		return "Settle unavailable, message settled"
	case heldBack:
		return "left for a later batch"
	case shuffled:
		return "moved within its batch"
	case sendRefused:
		return "send unavailable, nothing accepted"
	case sendUnanswered:
		return "send unavailable, message accepted"
	}
	return "nothing"
}

// costs reports whether a fault uses up an attempt.
func (f fault) costs() bool {
	return f == duplicate || f == expire || f == crash || f == leaseUnanswered
}

// An incident is one injected fault.
type incident struct {
	at      time.Duration // since the store was made
	queue   string
	message message // as it was then
	attempt int     // 0: of a send
	fault   fault
}

// String is the line in the log.
func (e incident) String() string {
	where := e.message.origin
	if e.queue != where {
		where += " in " + e.queue
	}
	if e.attempt == 0 {
		return fmt.Sprintf("%v: message %d of %s: %v", e.at, e.message.number, where, e.fault)
	}
	return fmt.Sprintf("%v: message %d of %s, attempt %d: %v", e.at, e.message.number, where, e.attempt, e.fault)
}

// charge counts the attempt that a fault costs. Order: before the inner store is told,
// since from then on another goroutine may lease the message, and the next fault depends on
// the count. The caller holds the store's mu.
func (m *message) charge(f fault) {
	if f.costs() {
		m.spent++
	}
}

// refund takes back what was charged for a fault that has not come to pass in a queue.
func (m *message) refund(f fault, queue string) {
	if f.costs() && m.queue == queue { // else it has a new count by now
		m.spent--
	}
}

// note records a fault that has happened. The caller holds mu.
func (s *FaultStore) note(f fault, queue string, m *message, attempt int) {
	s.log = append(s.log, incident{time.Since(s.began), queue, *m, attempt, f})
}

// Log returns the faults injected so far, a line for each, such as
//
//	5.001s: message 3 of emails, attempt 1: acknowledged, delivered again
//
// in the order of time since the store was made, and at the same time of queues and
// messages. Messages are numbered from 1 in the order of sending. In a bubble,
// a run that does the same has the same log.
func (s *FaultStore) Log() []string {
	s.mu.Lock()
	all := slices.Clone(s.log)
	s.mu.Unlock()
	slices.SortStableFunc(all, func(a, b incident) int {
		return cmp.Or(
			cmp.Compare(a.at, b.at),
			cmp.Compare(a.queue, b.queue),
			cmp.Compare(a.message.origin, b.message.origin),
			cmp.Compare(a.message.number, b.message.number),
			cmp.Compare(a.attempt, b.attempt),
		)
	})
	lines := make([]string, len(all))
	for i := range all {
		lines[i] = all[i].String()
	}
	return lines
}
