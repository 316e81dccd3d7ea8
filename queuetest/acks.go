package queuetest

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/internal/testhook"
	"github.com/inproq/inproq/store"
)

// An AckRule is a rule for handlers that [CheckAcks] checks when asked to.
type AckRule int

// NoImplicitAcks wants a handler that returns nil to have decided every message, with
// Ack, Retry, AckAll or RetryAll. Those made with [inproq.Each] always have.
const NoImplicitAcks AckRule = 1

// CheckAcks fails the test when a call on a message or a batch has no effect: a second
// Ack of one message, a call against an earlier one, and any after the message or the
// handler's batch was settled. With rules it also fails it when those are broken. Each
// violation is reported once, when it happens, with the queue, the message and the call;
// the test goes on.
//
// No violation are an Ack after AckAll, even a second one, AckAll after an Ack or a
// Retry of some of the messages, and a second Retry or RetryAll, which replaces the
// delay.
//
// It watches all batches that are delivered from now on until the test ends. Call it
// before [Start], so that it also sees what is delivered while the broker shuts down.
func CheckAcks(t testing.TB, b *inproq.Broker, rules ...AckRule) {
	t.Helper()
	c := ackChecker{t: t, bodies: make(map[inproq.MessageID]string)}
	for _, r := range rules {
		if r != NoImplicitAcks {
			t.Fatalf("queuetest: unknown rule %d, allowed: NoImplicitAcks", r)
		}
		c.explicit = true
	}
	stop := testhook.Tap(b, func(event any, m *store.Message, implicit bool) {
		c.note(event.(inproq.Event), m, implicit)
	})
	t.Cleanup(func() {
		stop()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ended = true // a handler that was left running may call, and t be gone
	})
}

// An ackChecker reports violations of the rules for acknowledgements.
type ackChecker struct {
	t        testing.TB
	explicit bool

	mu     sync.Mutex // held while reporting: none comes after the cleanup
	ended  bool
	bodies map[inproq.MessageID]string // of messages that were delivered, as shown
}

func (c *ackChecker) note(e inproq.Event, m *store.Message, implicit bool) {
	var body string
	if e.Kind == inproq.EventDelivered && m != nil {
		body = rawText(m)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended:
	case e.Kind == inproq.EventDelivered && body != "":
		c.bodies[e.Message] = body
	case e.Kind == inproq.EventCallIgnored:
		c.t.Errorf("queuetest: %s: %v%s", c.about(e), e.Err, caller())
	case e.Kind == inproq.EventAcked && implicit && c.explicit:
		c.t.Errorf("queuetest: %s: acknowledged only because the handler returned nil: no call has decided it", c.about(e))
	}
}

// about says what an event is about.
func (c *ackChecker) about(e inproq.Event) string {
	if e.Message == (inproq.MessageID{}) {
		return fmt.Sprintf("queue %q, a batch", e.Queue)
	}
	about := fmt.Sprintf("queue %q, message %v", e.Queue, e.Message)
	if body, ok := c.bodies[e.Message]; ok {
		about += " " + body
	}
	return about
}

// caller says where the innermost frame outside of this module's library is: who made
// the call that is reported.
func caller() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		if f.Function == "" || strings.HasPrefix(f.Function, "runtime.") {
			return ""
		}
		if !ours(f.Function) {
			return fmt.Sprintf(" at %s:%d", filepath.Base(f.File), f.Line)
		}
		if !more {
			return ""
		}
	}
}

// ours reports whether a function belongs to the library.
func ours(function string) bool {
	rest, ok := strings.CutPrefix(function, "github.com/inproq/inproq")
	return ok && (strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "/internal/") || strings.HasPrefix(rest, "/queuetest."))
}
