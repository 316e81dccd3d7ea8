package queuetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/inproq/inproq"
)

// Sends is where [AssertSent] and [AssertNotSent] look: an [Observer] of a queue, or
// a [Recorder].
type Sends[T any] interface{ sends() chronicle[T] }

// Outcomes is where [AssertAcked] and [AssertRetried] look: an [Observer] of a queue,
// or the [Result] of a handler.
type Outcomes[T any] interface {
	outcomes(kind inproq.EventKind) chronicle[T]
}

// AssertSent fails the test unless exactly these bodies were sent, in any order, each
// as often as it is given; none: nothing was sent. It reports what is missing and
// what is unexpected, a line each, with what became of it, and whether all is well.
// The test goes on.
//
// As in all assertions of this package, bodies are the same if reflect.DeepEqual
// says so. An Observer has them as handlers get them: so what JSON does not carry,
// such as unexported fields and the monotonic reading of a time, makes a difference.
// NaN is never the same as NaN.
func AssertSent[T any](t testing.TB, from Sends[T], want ...T) bool {
	t.Helper()
	return assertExactly(t, "sent", from.sends(), want)
}

// AssertNotSent fails the test if one of these bodies was sent; none given: if
// anything was.
func AssertNotSent[T any](t testing.TB, from Sends[T], unwanted ...T) bool {
	t.Helper()
	c := from.sends()
	var d diff
	for _, s := range c.happened {
		if len(unwanted) == 0 || slices.ContainsFunc(unwanted, s.is) {
			d.unexpected = append(d.unexpected, s.line())
		}
	}
	if d.empty() {
		return true
	}
	t.Errorf("queuetest: %s: sent %d that should not have been:%v", c.where, len(d.unexpected), &d)
	return false
}

// AssertAcked fails the test unless exactly these bodies were acknowledged, in
// whatever way; see [AssertSent].
func AssertAcked[T any](t testing.TB, from Outcomes[T], want ...T) bool {
	t.Helper()
	return assertExactly(t, "acknowledged", from.outcomes(inproq.EventAcked), want)
}

// AssertRetried fails the test unless exactly these bodies were retried, in whatever
// way, each as often as it is given: a message that was retried three times counts
// three times, and its last failure, after which it is dead-lettered or deleted, is no
// retry. A [Result] knows of one delivery alone, and calls also that a retry. See
// [AssertSent].
func AssertRetried[T any](t testing.TB, from Outcomes[T], want ...T) bool {
	t.Helper()
	return assertExactly(t, "retried", from.outcomes(inproq.EventRetried), want)
}

// AssertDeadLettered fails the test unless exactly these bodies were moved to the
// dead-letter queue of the observed one; see [AssertSent].
func AssertDeadLettered[T any](t testing.TB, from *Observer[T], want ...T) bool {
	t.Helper()
	return assertExactly(t, "dead-lettered", from.outcomes(inproq.EventDeadLettered), want)
}

// assertExactly compares what happened with what is wanted.
func assertExactly[T any](t testing.TB, did string, c chronicle[T], want []T) bool {
	t.Helper()
	d := c.compare(want)
	if d.empty() {
		return true
	}
	hint := ""
	if d.alike() {
		hint = "\n  Some look alike: reflect.DeepEqual also compares what is not shown, such as unexported fields, nil and empty, or a time's monotonic reading."
	}
	t.Errorf("queuetest: %s: %s %s:%v%s", c.where, did, counts(len(c.happened), len(want)), &d, hint)
	return false
}

func counts(got, want int) string {
	if got == want {
		return fmt.Sprintf("%d, but not those wanted", got)
	}
	return fmt.Sprintf("%d, want %d", got, want)
}
