package settlement

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A step is one call on a batch.
type step struct {
	call    string // "Ack", "Retry", "AckAll", "RetryAll", "Seal"
	message int    // of Ack and Retry
	said    Retry
}

func (s step) apply(l ledger) Effect {
	switch s.call {
	case "Ack":
		return l.Ack(s.message)
	case "Retry":
		return l.Retry(s.message, s.said)
	case "AckAll":
		return l.AckAll()
	case "RetryAll":
		return l.RetryAll(s.said)
	}
	if !l.Seal() {
		return Late
	}
	return Recorded
}

// compare makes the calls on a ledger and on the oracle, and compares what they
// do and lead to.
func compare(t require.TestingT, messages int, steps []step) {
	l, o := newLedger(messages), newOracle()
	for n, s := range steps {
		require.Equal(t, s.apply(o), s.apply(l), "step %d of %+v", n, steps)
	}
	record := seal(l)
	for i := range messages {
		for _, outcome := range []error{nil, errOutcome} {
			v := record.Verdict(i, outcome)
			require.Equal(t, o.verdict(i, outcome), v, "message %d, outcome %v, after %+v", i, outcome, steps)
			require.Equal(t, !v.Retry, record.Acked(i, outcome), "message %d, outcome %v, after %+v", i, outcome, steps)
			if first, ok := firstCall(steps, i); ok {
				require.Equal(t, first == "Retry" || first == "RetryAll", v.Retry, "message %d, after %+v", i, steps)
			}
		}
	}
}

// firstCall is the earliest call that concerns a message, its own or one on the
// batch. The contract in one sentence: it decides the message's fate.
func firstCall(steps []step, message int) (call string, ok bool) {
	if end := slices.IndexFunc(steps, func(s step) bool { return s.call == "Seal" }); end >= 0 {
		steps = steps[:end]
	}
	for _, s := range steps {
		if s.message == message || s.call == "AckAll" || s.call == "RetryAll" {
			return s.call, true
		}
	}
	return "", false
}

func TestLedgerMatchesTheGrid(t *testing.T) {
	said := rapid.Custom(func(t *rapid.T) Retry {
		r := Retry{Cause: rapid.SampledFrom([]error{nil, nil, errFirst, errSecond}).Draw(t, "cause")}
		if rapid.Bool().Draw(t, "has delay") {
			d := after(rapid.IntRange(0, 3).Draw(t, "delay"))
			r.Delay, r.HasDelay = d.Delay, true
		}
		r.Undecodable = rapid.IntRange(0, 9).Draw(t, "undecodable") == 0
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		messages := rapid.IntRange(1, 5).Draw(t, "messages")
		oneStep := rapid.Custom(func(t *rapid.T) step {
			s := step{message: -1}
			s.call = rapid.SampledFrom([]string{
				"Ack", "Ack", "Ack", "Retry", "Retry", "Retry", "AckAll", "RetryAll", "RetryAll", "Seal",
			}).Draw(t, "call")
			switch s.call {
			case "Ack":
				s.message = rapid.IntRange(0, messages-1).Draw(t, "message")
			case "Retry":
				s.message = rapid.IntRange(0, messages-1).Draw(t, "message")
				s.said = said.Draw(t, "said")
			case "RetryAll":
				s.said = said.Draw(t, "said")
			}
			return s
		})
		compare(t, messages, rapid.SliceOfN(oneStep, 0, 20).Draw(t, "steps"))
	})
}

// decodeSteps reads one call from each byte, so that a fuzzer reaches any
// sequence: two bits of call, two of what is said, four of message or delay.
func decodeSteps(data []byte) (messages int, steps []step) {
	if len(data) == 0 {
		return 1, nil
	}
	messages = 1 + int(data[0])%5
	for _, b := range data[1:min(len(data), 100)] {
		s := step{message: -1, said: Retry{Cause: []error{nil, errFirst}[b>>2&1]}}
		if b>>3&1 == 1 {
			d := after(int(b >> 4))
			s.said.Delay, s.said.HasDelay = d.Delay, true
		}
		switch b & 3 {
		case 0:
			s.call, s.message = "Ack", int(b>>4)%messages
		case 1:
			s.call, s.message = "Retry", int(b>>4)%messages
		case 2:
			s.call = "RetryAll"
		case 3:
			s.call = "AckAll"
			if b == 0xff {
				s.call = "Seal"
			}
		}
		steps = append(steps, s)
	}
	return messages, steps
}

func FuzzLedger(f *testing.F) {
	f.Add([]byte{})
	// Every call after every other, on a batch of two.
	calls := []byte{0x00, 0x10, 0x01, 0x09, 0x59, 0x02, 0x5a, 0x06, 0x03, 0xff}
	for _, first := range calls {
		for _, second := range calls {
			f.Add([]byte{1, first, second})
			f.Add([]byte{1, first, second, 0x11, 0x19, 0x6a, 0x10, 0x00})
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		messages, steps := decodeSteps(data)
		compare(t, messages, steps)
	})
}
