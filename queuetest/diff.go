package queuetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/inproq/inproq"
	"github.com/inproq/inproq/store"
)

// A story is what is known of one message.
type story[T any] struct {
	id    inproq.MessageID
	body  T
	known bool   // the body is what was sent
	raw   string // how it is shown if not
	steps []step
}

// A step is what happened once.
type step struct {
	kind  inproq.EventKind
	delay time.Duration
	place string // the queue it went to or, if it arrived, came from
	err   error
}

// A chronicle is what an assertion looks at.
type chronicle[T any] struct {
	where    string
	happened []*story[T] // what is asserted, in its order
	all      []*story[T] // every message that is known
	unknown  string      // what is said of one that is not
	gone     []line      // how many went without a trace
}

// A diff is what is missing and what should not be there, in lines for people.
type diff struct{ missing, unexpected, gone []line }

// A line is about one message.
type line struct{ body, fate string }

func (l line) String() string {
	if l.fate == "" {
		return l.body
	}
	return l.body + ": " + l.fate
}

// The bounds of what is shown.
const (
	maxLines = 20  // of each sort
	maxText  = 200 // bytes of a body or an error
)

// compare finds which wanted bodies did not happen, and what happened beside them.
func (c *chronicle[T]) compare(want []T) (d diff) {
	rest := slices.Clone(c.happened)
	var missing []T
	for _, w := range want {
		i := slices.IndexFunc(rest, func(s *story[T]) bool { return s.is(w) })
		if i < 0 {
			missing = append(missing, w)
			continue
		}
		rest = slices.Delete(rest, i, i+1)
	}
	d.gone = c.gone
	told := make(map[*story[T]]bool)
	for _, w := range missing {
		d.missing = append(d.missing, line{format(w), c.elsewhere(w, told)})
	}
	for _, s := range rest {
		d.unexpected = append(d.unexpected, s.line())
	}
	return d
}

// elsewhere says what became of a message with a body that is missing: one that what
// is asserted did not happen to, and that was not told yet, if there is one.
func (c *chronicle[T]) elsewhere(body T, told map[*story[T]]bool) string {
	var best *story[T]
	for _, s := range c.all {
		if !s.is(body) || told[s] {
			continue
		}
		if !slices.Contains(c.happened, s) {
			best = s
			break
		}
		if best == nil {
			best = s
		}
	}
	if best == nil {
		return c.unknown
	}
	told[best] = true
	return best.became()
}

func (d *diff) empty() bool { return len(d.missing) == 0 && len(d.unexpected) == 0 }

// alike reports whether something is missing that looks like something unexpected.
func (d *diff) alike() bool {
	return slices.ContainsFunc(d.missing, func(m line) bool {
		return slices.ContainsFunc(d.unexpected, func(u line) bool { return m.body == u.body })
	})
}

func (d *diff) String() string {
	var b strings.Builder
	write := func(label string, lines []line) {
		for _, l := range lines[:min(len(lines), maxLines)] {
			fmt.Fprintf(&b, "\n  %-11s %v", label, l)
		}
		if n := len(lines) - maxLines; n > 0 {
			fmt.Fprintf(&b, "\n  %-11s and %d more", label, n)
		}
	}
	write("missing:", d.missing)
	write("unexpected:", d.unexpected)
	write("beside:", d.gone)
	return b.String()
}

// is reports whether the message has a body.
func (s *story[T]) is(body T) bool { return s.known && reflect.DeepEqual(s.body, body) }

func (s *story[T]) line() line { return line{s.show(), s.became()} }

func (s *story[T]) show() string {
	if s.known {
		return format(s.body)
	}
	return s.raw
}

// became says what became of the message.
func (s *story[T]) became() string {
	var last step
	var past []string // what it came back from
	retries := 0
	for _, x := range s.steps {
		if x.kind == inproq.EventRetried {
			retries++
		}
		if x.kind == arrived && last.kind == inproq.EventDeadLettered {
			past = append(past, s.part(last, retries), fmt.Sprintf("brought back from %q", x.place))
			retries = 0
		}
		if x.kind != inproq.EventSent || last.kind == "" { // a send may be told after the delivery
			last = x
		}
	}
	if last.kind == arrived && len(past) > 0 {
		return strings.Join(past, ", then ") + ", not delivered"
	}
	return strings.Join(append(past, s.part(last, retries)), ", then ")
}

// part says what became of a message after some retries.
func (s *story[T]) part(last step, retries int) string {
	text := last.text()
	switch {
	case last.kind == inproq.EventRetried:
		text = "retried" + times(retries) + text
	case retries > 0:
		text = "retried" + times(retries) + ", then " + text
	}
	if last.err != nil {
		text += ": " + oneLine(fmt.Sprint(last.err))
	}
	return text
}

// text names the step without its cause; a retry is named by its caller.
func (x *step) text() string {
	switch x.kind {
	case inproq.EventSent:
		if x.delay > 0 {
			return fmt.Sprintf("sent with a delay of %v, not delivered", x.delay)
		}
		return "sent, not delivered"
	case arrived:
		return fmt.Sprintf("moved here from %q, not delivered", x.place)
	case inproq.EventDelivered:
		return "delivered, not settled"
	case inproq.EventAcked:
		return "acknowledged"
	case inproq.EventRetried:
		if x.delay > 0 {
			return fmt.Sprintf(", delayed by %v", x.delay)
		}
		return ""
	case inproq.EventDeadLettered:
		return fmt.Sprintf("dead-lettered to %q", x.place)
	case inproq.EventDropped:
		return "deleted, with no attempt left"
	case inproq.EventRedriven:
		return fmt.Sprintf("moved to %q by Redrive", x.place)
	case inproq.EventLeaseLost:
		return "settled too late, its lease was lost"
	}
	return string(x.kind)
}

func times(n int) string {
	switch n {
	case 1:
		return ""
	case 2:
		return " twice"
	}
	return fmt.Sprintf(" %d times", n)
}

// format shows a body in one line: text quoted, and what is not text as JSON, or as
// fmt does if JSON cannot.
func format(body any) string {
	switch b := body.(type) {
	case []byte:
		return quote(b)
	case json.RawMessage:
		return cut(string(b))
	}
	if text, ok := asJSON(body); ok {
		return cut(text)
	}
	return cut(fmt.Sprintf("%+v", body))
}

func asJSON(body any) (text string, ok bool) {
	defer func() {
		if recover() != nil { // in a method of the body's
			text, ok = "", false
		}
	}()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(body)
	return strings.TrimSuffix(buf.String(), "\n"), err == nil
}

// rawText shows a body as it is stored.
func rawText(m *store.Message) string {
	switch inproq.ContentType(m.ContentType) {
	case inproq.JSON:
		return cut(string(m.Body))
	case inproq.Gob:
		return fmt.Sprintf("%d bytes of gob", len(m.Body))
	}
	return quote(m.Body)
}

func quote(b []byte) string {
	if len(b) > maxText {
		return fmt.Sprintf("%q… (%d bytes)", b[:maxText], len(b))
	}
	return fmt.Sprintf("%q", b)
}

// cut makes one line of a text, and shortens it.
func cut(s string) string {
	n := len(s)
	if n <= maxText {
		return oneLine(s)
	}
	return fmt.Sprintf("%s (%d bytes)", oneLine(s), n)
}

// oneLine makes one line of a text, of at most maxText bytes.
func oneLine(s string) string {
	tail := ""
	if len(s) > maxText {
		end := maxText
		for end > 0 && !utf8.RuneStart(s[end]) {
			end--
		}
		s, tail = s[:end], "…"
	}
	return strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(strings.ToValidUTF8(s, "\uFFFD")) + tail
}
