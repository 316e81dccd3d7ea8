package settlement

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// After the sealing no call does anything, in any state.
func TestCallsAfterSealDoNothing(t *testing.T) {
	for name, before := range map[string]func(*Ledger){
		"nothing":  func(*Ledger) {},
		"acked":    func(l *Ledger) { l.Ack(0) },
		"retried":  func(l *Ledger) { l.Retry(0, after(10)) },
		"AckAll":   func(l *Ledger) { l.AckAll() },
		"RetryAll": func(l *Ledger) { l.RetryAll(after(20)) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(2)
			before(l)
			record := seal(l)
			want := verdicts(record, 2)

			assert.Equal(t, Late, l.Ack(0))
			assert.Equal(t, Late, l.Retry(0, after(30)))
			assert.Equal(t, Late, l.AckAll())
			assert.Equal(t, Late, l.RetryAll(after(40)))
			assert.Equal(t, want, verdicts(record, 2))
			assert.Equal(t, want, verdicts(seal(l), 2), "a record taken later")
		})
	}
}

func TestOneCallSeals(t *testing.T) {
	l := newLedger(1)
	require.True(t, l.Seal())
	require.False(t, l.Seal())
}

// An empty batch has nothing to decide, and seals like any other.
func TestEmptyBatch(t *testing.T) {
	l := newLedger(0)
	assert.Equal(t, Recorded, l.AckAll())
	assert.Zero(t, l.Len())
	assert.True(t, l.Seal())
}

// A stuck batch is sealed while its handler runs, and an Ack may be under way:
// either it counts, or it says that it came too late. What was recorded does not
// change under the eyes of who settles it.
func TestAckDuringSeal(t *testing.T) {
	for range 2000 {
		l := newLedger(1)
		var effect Effect
		var begun atomic.Bool
		var handler sync.WaitGroup
		handler.Go(func() {
			begun.Store(true)
			effect = l.Ack(0)
		})
		for !begun.Load() {
			runtime.Gosched()
		}
		record := seal(l)
		counted := record.Acked(0, errOutcome)
		handler.Wait()
		require.Equal(t, counted, record.Acked(0, errOutcome))
		if counted {
			require.Equal(t, Recorded, effect)
		} else {
			require.Equal(t, Late, effect)
		}
	}
}

// The same, with the order of events made certain: an Ack looks at the batch, the
// batch is sealed, the Ack writes. It must not find a message to write to.
func TestSealClosesMessages(t *testing.T) {
	l := newLedger(3)
	l.Ack(1)
	l.Retry(2, after(10))
	record := seal(l)
	want := verdicts(record, 3)
	for i := range 3 {
		require.False(t, l.own[i].CompareAndSwap(uint32(None), uint32(Acked)))
	}
	require.Equal(t, want, verdicts(record, 3))
	call, said := record.Own(0)
	require.Equal(t, None, call, "what closes a message is not shown")
	require.Equal(t, bare, said)
}

// verdicts are those of n messages, by outcome.
func verdicts(record *Record, n int) (all []Verdict) {
	for i := range n {
		all = append(all, record.Verdict(i, nil), record.Verdict(i, errOutcome))
	}
	return all
}
