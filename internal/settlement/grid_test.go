package settlement

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a cell of the grid says about a message.
const (
	acked     = "acked"
	retried   = "retried"
	retried10 = "retried after 10s"
	retried20 = "retried after 20s"
	retried30 = "retried after 30s"
	retried40 = "retried after 40s"
)

func fate(v Verdict) string {
	switch {
	case !v.Retry:
		return acked
	case !v.HasDelay:
		return retried
	}
	return "retried after " + v.Delay.String()
}

// The grid of calls, every cell: what is set already for message 0, the call
// that follows, what it does, and the fate of message 0 and of another, which
// had no call of its own, when the handler returns nil and when it fails.
func TestGrid(t *testing.T) {
	type call func(*Ledger) Effect
	var (
		nothing  call = func(*Ledger) Effect { return Recorded }
		ack      call = func(l *Ledger) Effect { return l.Ack(0) }
		retry10  call = func(l *Ledger) Effect { return l.Retry(0, after(10)) }
		retry30  call = func(l *Ledger) Effect { return l.Retry(0, after(30)) }
		ackAll   call = func(l *Ledger) Effect { return l.AckAll() }
		retry20s call = func(l *Ledger) Effect { return l.RetryAll(after(20)) }
		retry40s call = func(l *Ledger) Effect { return l.RetryAll(after(40)) }
	)
	for _, cell := range []struct {
		row     string
		already call
		column  string
		call    call
		effect  Effect
		// Of message 0, then of the other: the handler returns nil, it fails.
		ok, failed, otherOK, otherFailed string
	}{
		{"nothing", nothing, "Ack", ack, Recorded, acked, acked, acked, retried},
		{"nothing", nothing, "Retry", retry30, Recorded, retried30, retried30, acked, retried},
		{"nothing", nothing, "AckAll", ackAll, Recorded, acked, acked, acked, acked},
		{"nothing", nothing, "RetryAll", retry40s, Recorded, retried40, retried40, retried40, retried40},

		{"acked", ack, "Ack", ack, Redundant, acked, acked, acked, retried},
		{"acked", ack, "Retry", retry30, Ignored, acked, acked, acked, retried},
		{"acked", ack, "AckAll", ackAll, Recorded, acked, acked, acked, acked},
		{"acked", ack, "RetryAll", retry40s, Recorded, acked, acked, retried40, retried40},

		{"retried", retry10, "Ack", ack, Ignored, retried10, retried10, acked, retried},
		{"retried", retry10, "Retry", retry30, Recorded, retried30, retried30, acked, retried},
		{"retried", retry10, "AckAll", ackAll, Recorded, retried10, retried10, acked, acked},
		{"retried", retry10, "RetryAll", retry40s, Recorded, retried10, retried10, retried40, retried40},

		{"AckAll called", ackAll, "Ack", ack, Redundant, acked, acked, acked, acked},
		{"AckAll called", ackAll, "Retry", retry30, Ignored, acked, acked, acked, acked},
		{"AckAll called", ackAll, "AckAll", ackAll, Redundant, acked, acked, acked, acked},
		{"AckAll called", ackAll, "RetryAll", retry40s, Ignored, acked, acked, acked, acked},

		{"RetryAll called", retry20s, "Ack", ack, Ignored, retried20, retried20, retried20, retried20},
		{"RetryAll called", retry20s, "Retry", retry30, Recorded, retried30, retried30, retried20, retried20},
		{"RetryAll called", retry20s, "AckAll", ackAll, Ignored, retried20, retried20, retried20, retried20},
		{"RetryAll called", retry20s, "RetryAll", retry40s, Recorded, retried40, retried40, retried40, retried40},
	} {
		t.Run(cell.row+", then "+cell.column, func(t *testing.T) {
			l := newLedger(2)
			require.Equal(t, Recorded, cell.already(l))
			assert.Equal(t, cell.effect, cell.call(l))

			record := seal(l)
			assert.Equal(t, cell.ok, fate(record.Verdict(0, nil)), "the handler returns nil")
			assert.Equal(t, cell.failed, fate(record.Verdict(0, errOutcome)), "the handler fails")
			assert.Equal(t, cell.otherOK, fate(record.Verdict(1, nil)), "the other message, nil")
			assert.Equal(t, cell.otherFailed, fate(record.Verdict(1, errOutcome)), "the other message, failed")
			for i := range 2 {
				for _, outcome := range []error{nil, errOutcome} {
					assert.Equal(t, !record.Verdict(i, outcome).Retry, record.Acked(i, outcome))
				}
			}
		})
	}
}

// The order in which what was called is looked at, and every combination.
func TestResolutionOrder(t *testing.T) {
	own, batch := after(10), after(20) // batch counts only with RetryAll
	own.Cause, batch.Cause = errFirst, errSecond
	retry := func(delay time.Duration, cause error) Verdict {
		return Verdict{Retry: true, Delay: delay, HasDelay: delay > 0, Cause: cause}
	}
	for _, rule := range []struct {
		name       string
		own, all   Call
		ok, failed Verdict
	}{
		{"1 an explicit ack", Acked, None, Verdict{}, Verdict{}},
		{"1 before AckAll", Acked, Acked, Verdict{}, Verdict{}},
		{"1 before RetryAll", Acked, Retried, Verdict{}, Verdict{}},
		{"2 an explicit retry", Retried, None, retry(own.Delay, errFirst), retry(own.Delay, errFirst)},
		{"2 before AckAll", Retried, Acked, retry(own.Delay, errFirst), retry(own.Delay, errFirst)},
		{"2 before RetryAll", Retried, Retried, retry(own.Delay, errFirst), retry(own.Delay, errFirst)},
		{"3 AckAll", None, Acked, Verdict{}, Verdict{}},
		{"4 RetryAll", None, Retried, retry(batch.Delay, errSecond), retry(batch.Delay, errSecond)},
		{"5 nothing", None, None, Verdict{}, retry(0, errOutcome)},
	} {
		t.Run(rule.name, func(t *testing.T) {
			var said Retry
			if rule.own == Retried {
				said = own
			}
			assert.Equal(t, rule.ok, Decide(rule.own, said, rule.all, batch, nil), "the handler returns nil")
			assert.Equal(t, rule.failed, Decide(rule.own, said, rule.all, batch, errOutcome), "the handler fails")
		})
	}
	t.Run("AckAll says nothing about a retry", func(t *testing.T) {
		assert.Equal(t, retry(0, nil), Decide(Retried, bare, Acked, batch, nil))
	})
}
