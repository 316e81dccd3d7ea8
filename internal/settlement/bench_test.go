package settlement

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const benchMessages = 100

// settleAcked is what the ledger does for a batch whose handler acknowledges
// every message, settleImplicit for one whose handler calls nothing.
func settleAcked(l *Ledger) (acked int) {
	l.Init(benchMessages)
	for i := range benchMessages {
		l.Ack(i)
	}
	return sealAndCount(l)
}

func settleImplicit(l *Ledger) (acked int) {
	l.Init(benchMessages)
	return sealAndCount(l)
}

func sealAndCount(l *Ledger) (acked int) {
	l.Seal()
	record := l.Record()
	for i := range benchMessages {
		if record.Acked(i, nil) {
			acked++
		}
	}
	return acked
}

func BenchmarkLedgerAcked(b *testing.B)    { benchmarkLedger(b, settleAcked) }
func BenchmarkLedgerImplicit(b *testing.B) { benchmarkLedger(b, settleImplicit) }

func benchmarkLedger(b *testing.B, settle func(*Ledger) int) {
	b.ReportAllocs()
	l := new(Ledger)
	for b.Loop() {
		*l = Ledger{}
		settle(l)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchMessages, "ns/message")
}

// The words of the messages are all that a batch without retries allocates.
func TestOnlyInitAllocates(t *testing.T) {
	for _, settle := range []func(*Ledger) int{settleAcked, settleImplicit} {
		const runs = 50
		ledgers := make([]Ledger, 1+runs) // one to warm up
		require.Equal(t, 1.0, testing.AllocsPerRun(runs, func() {
			if settle(&ledgers[0]) != benchMessages {
				panic("not all are acknowledged")
			}
			ledgers = ledgers[1:]
		}))
	}
}
