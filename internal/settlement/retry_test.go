package settlement

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Of several retries of one message the last one counts, in all it says: its
// delay, or that it has none, and its cause.
func TestLastRetryCounts(t *testing.T) {
	for _, c := range []struct {
		name string
		said []Retry
		want string
	}{
		{"the last delay", []Retry{after(10), after(30)}, retried30},
		{"a shorter one", []Retry{after(30), after(10)}, retried10},
		{"zero is a delay", []Retry{after(10), after(0)}, "retried after 0s"},
		{"a bare one clears", []Retry{after(10), bare}, retried},
		{"and can be replaced", []Retry{after(10), bare, after(20)}, retried20},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLedger(3)
			for _, r := range c.said {
				require.Equal(t, Recorded, l.Retry(1, r))
			}
			require.Equal(t, Ignored, l.Ack(1), "the fate stays")
			record := seal(l)
			assert.Equal(t, c.want, fate(record.Verdict(1, nil)))
			assert.Equal(t, acked, fate(record.Verdict(0, nil)))
			assert.Equal(t, acked, fate(record.Verdict(2, nil)))
		})
	}
}

// A later RetryAll replaces only what it says: without a delay the earlier delay
// stays, without a cause the earlier cause.
func TestLaterRetryAllReplacesWhatItSays(t *testing.T) {
	both := after(40)
	both.Cause = errSecond
	for _, c := range []struct {
		name  string
		said  []Retry
		want  string
		cause error
	}{
		{"once, bare", []Retry{bare}, retried, errOutcome},
		{"a bare one keeps the delay", []Retry{after(20), bare}, retried20, errOutcome},
		{"zero is a delay", []Retry{after(20), after(0)}, "retried after 0s", errOutcome},
		{"the last delay", []Retry{after(20), after(10)}, retried10, errOutcome},
		{"a delay after none", []Retry{bare, after(20)}, retried20, errOutcome},
		{"a cause keeps the delay", []Retry{after(20), because(errFirst)}, retried20, errFirst},
		{"a delay keeps the cause", []Retry{because(errFirst), after(20)}, retried20, errFirst},
		{"both", []Retry{because(errFirst), after(20), both}, retried40, errSecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLedger(1)
			for _, r := range c.said {
				require.Equal(t, Recorded, l.RetryAll(r))
			}
			v := seal(l).Verdict(0, errOutcome)
			assert.Equal(t, c.want, fate(v))
			assert.Equal(t, c.cause, v.Cause)
		})
	}
}

// The delay of a message without one of its own is that of RetryAll, whichever
// was called first; what neither says is left to the consumer's settings.
func TestDelayFallsToRetryAll(t *testing.T) {
	for _, c := range []struct {
		name     string
		own, all Retry
		want     string
	}{
		{"its own", after(10), after(20), retried10},
		{"its own, zero", after(0), after(20), "retried after 0s"},
		{"that of RetryAll", bare, after(20), retried20},
		{"zero of RetryAll", bare, after(0), "retried after 0s"},
		{"neither", bare, bare, retried},
	} {
		for _, allFirst := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				l := newLedger(1)
				if allFirst {
					l.RetryAll(c.all)
				}
				l.Retry(0, c.own)
				if !allFirst {
					l.RetryAll(c.all)
				}
				assert.Equal(t, c.want, fate(seal(l).Verdict(0, nil)))
			})
		}
	}
}

// A message retried by itself keeps its fate and its delay through AckAll, and
// takes nothing from it.
func TestRetryThenAckAll(t *testing.T) {
	l := newLedger(1)
	require.Equal(t, Recorded, l.Retry(0, bare))
	require.Equal(t, Recorded, l.AckAll())
	require.Equal(t, Ignored, l.RetryAll(after(20)))
	v := seal(l).Verdict(0, nil)
	assert.Equal(t, Verdict{Retry: true}, v)
}

// A retry's cause is its own, else that of RetryAll, else the handler's error.
func TestCausePrecedence(t *testing.T) {
	for _, c := range []struct {
		name          string
		own, all      error
		outcome, want error
	}{
		{"its own", errFirst, errSecond, errOutcome, errFirst},
		{"its own without others", errFirst, nil, nil, errFirst},
		{"that of RetryAll", nil, errSecond, errOutcome, errSecond},
		{"the outcome", nil, nil, errOutcome, errOutcome},
		{"none", nil, nil, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLedger(3)
			l.Retry(0, because(c.own))
			l.RetryAll(because(c.all))
			record := seal(l)
			assert.Equal(t, c.want, record.Verdict(0, c.outcome).Cause)
			assert.Equal(t, firstOf(c.all, c.outcome), record.Verdict(1, c.outcome).Cause, "only RetryAll")
		})
	}
	t.Run("the last retry's", func(t *testing.T) {
		l := newLedger(1)
		l.Retry(0, because(errFirst))
		l.Retry(0, after(10))
		assert.Equal(t, errOutcome, seal(l).Verdict(0, errOutcome).Cause)
	})
	t.Run("an ack has none", func(t *testing.T) {
		l := newLedger(1)
		l.Ack(0)
		assert.Equal(t, Verdict{}, seal(l).Verdict(0, errOutcome))
	})
}

// A message that was withheld is told from one that the handler retried.
func TestUndecodableIsKept(t *testing.T) {
	l := newLedger(2)
	l.Retry(0, Retry{Cause: errFirst, Undecodable: true})
	l.Retry(1, because(errFirst))
	require.Equal(t, Recorded, l.AckAll())
	record := seal(l)
	assert.Equal(t, Verdict{Retry: true, Cause: errFirst, Undecodable: true}, record.Verdict(0, errOutcome))
	assert.Equal(t, Verdict{Retry: true, Cause: errFirst}, record.Verdict(1, errOutcome))
}

// What was called can be told from what it leads to.
func TestRecordTellsTheCalls(t *testing.T) {
	l := newLedger(3)
	l.Ack(0)
	l.Retry(1, after(10))
	l.RetryAll(after(20))
	require.Equal(t, 3, l.Len())
	record := seal(l)
	for i, want := range []Call{Acked, Retried, None} {
		call, said := record.Own(i)
		assert.Equal(t, want, call)
		assert.Equal(t, want == Retried, said == after(10))
	}
	call, said := record.All()
	assert.Equal(t, Retried, call)
	assert.Equal(t, after(20), said)
}
