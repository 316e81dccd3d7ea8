package settlement

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A ledger that is sealed says of each message what it said before, and of one that nothing
// was called for still nothing.
func TestVerdictOfASealedLedger(t *testing.T) {
	for name, x := range map[string]struct {
		call    func(l *Ledger)
		retry   bool
		decided bool
	}{
		"nothing":  {func(*Ledger) {}, false, false},
		"Ack":      {func(l *Ledger) { l.Ack(0) }, false, true},
		"Retry":    {func(l *Ledger) { l.Retry(0, Retry{}) }, true, true},
		"AckAll":   {func(l *Ledger) { l.AckAll() }, false, true},
		"RetryAll": {func(l *Ledger) { l.RetryAll(Retry{}) }, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			var l Ledger
			l.Init(1)
			x.call(&l)
			before, decided := l.Verdict(0)
			assert.Equal(t, x.decided, decided)
			assert.Equal(t, x.retry, before.Retry)
			l.Seal()
			after, decided := l.Verdict(0)
			assert.Equal(t, x.decided, decided)
			assert.Equal(t, before, after)
		})
	}
}
