package headers

import (
	"maps"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A DeadLetter says where a message comes from that was moved to a dead-letter
// queue, and why it went.
type DeadLetter struct {
	Queue    string
	Attempts int
	Reason   string
	Error    string
	Time     time.Time
}

// The reserved keys.
const (
	deadQueue    = Reserved + "Dead-Letter-Queue"
	deadAttempts = Reserved + "Dead-Letter-Attempts"
	deadReason   = Reserved + "Dead-Letter-Reason"
	deadError    = Reserved + "Dead-Letter-Error"
	deadTime     = Reserved + "Dead-Letter-Time"
)

// maxErrorText bounds the text of the error that a dead letter carries.
const maxErrorText = 1000

// With returns h with the details of a dead letter. Those of an earlier death
// are replaced.
func (d DeadLetter) With(h map[string]string) map[string]string {
	h = maps.Clone(h)
	if h == nil {
		h = make(map[string]string, 5)
	}
	h[deadQueue] = d.Queue
	h[deadAttempts] = strconv.Itoa(d.Attempts)
	h[deadReason] = d.Reason
	h[deadTime] = d.Time.UTC().Format(time.RFC3339Nano)
	delete(h, deadError)
	if text := oneLine(d.Error); text != "" {
		h[deadError] = text
	}
	return h
}

// WithoutDeadLetter returns h without the details that With put in; nil if nothing
// remains.
func WithoutDeadLetter(h map[string]string) map[string]string {
	rest := make(map[string]string, len(h))
	for k, v := range h {
		switch k {
		case deadQueue, deadAttempts, deadReason, deadError, deadTime:
		default:
			rest[k] = v
		}
	}
	if len(rest) == 0 {
		return nil
	}
	return rest
}

// ParseDeadLetter returns the details that With put in.
func ParseDeadLetter(h map[string]string) (d DeadLetter, ok bool) {
	if d.Queue, ok = h[deadQueue]; !ok {
		return DeadLetter{}, false
	}
	// What is malformed was not written by With, and stays zero.
	d.Attempts, _ = strconv.Atoi(h[deadAttempts])
	d.Time, _ = time.Parse(time.RFC3339Nano, h[deadTime])
	d.Reason, d.Error = h[deadReason], h[deadError]
	return d, true
}

// oneLine makes an error's text fit for a header value.
func oneLine(s string) string {
	if len(s) > 4*maxErrorText {
		s = s[:4*maxErrorText] // no need to look at all of a huge one
	}
	s = strings.Map(func(r rune) rune {
		switch r {
		case '\r', '\n', 0:
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= maxErrorText {
		return s
	}
	end := maxErrorText
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
