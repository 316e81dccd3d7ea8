package wranglerconfig

import (
	"fmt"
	"strings"

	"github.com/inproq/inproq"
)

// A Problem is what is wrong at one place of a file, or has no effect there.
type Problem struct {
	File string // its path, as given
	Line int    // 1 first; 0: unknown
	Key  string // such as queues.consumers[0].max_retries; "": the file as a whole
	Text string // what is wrong: "is 200, allowed: 1 to 100"
}

// String returns one line: "wrangler.jsonc:7: queues.consumers[0].max_retries is 200,
// allowed: 0 to 100".
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key + " ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// An Error is everything that is wrong with a file or one of its environments, in the
// order of the lines. It is an [inproq.ErrInvalidConfig].
type Error struct{ Problems []Problem }

// Error has a line for each problem.
func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	return "wranglerconfig: " + strings.Join(lines, "\n")
}

// Unwrap returns inproq.ErrInvalidConfig.
func (e *Error) Unwrap() error { return inproq.ErrInvalidConfig }
