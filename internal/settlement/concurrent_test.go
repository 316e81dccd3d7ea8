package settlement

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	goroutines = 8
	crowd      = 50 // messages of a batch that goroutines call on
)

// together calls fn in goroutines that begin at the same moment, each with its
// own dice, and returns when all have returned.
func together(fn func(g int, dice *rand.Rand)) {
	var begin, all sync.WaitGroup
	begin.Add(goroutines)
	for g := range goroutines {
		all.Go(func() {
			begin.Done()
			begin.Wait()
			fn(g, rand.New(rand.NewPCG(1, uint64(g))))
		})
	}
	all.Wait()
}

// tally counts the calls by what they did.
type tally [Late + 1]atomic.Int64

func (c *tally) add(e Effect) { c[e].Add(1) }

func (c *tally) get(e Effect) int64 { return c[e].Load() }

// Of the calls on one message the first wins, whoever makes it: one Ack is
// recorded and all others are redundant, or retries are recorded and every Ack
// is ignored.
func TestFirstOfManyGoroutinesWins(t *testing.T) {
	for range 20 {
		l := newLedger(crowd)
		var acks, retries [crowd]tally
		together(func(_ int, dice *rand.Rand) {
			for _, i := range dice.Perm(crowd) {
				if dice.IntN(2) == 0 {
					acks[i].add(l.Ack(i))
				} else {
					retries[i].add(l.Retry(i, after(10)))
				}
			}
		})
		record := seal(l)
		for i := range crowd {
			v := record.Verdict(i, errOutcome)
			require.Equal(t, !v.Retry, record.Acked(i, errOutcome))
			if v.Retry {
				require.Equal(t, retried10, fate(v))
				require.Positive(t, retries[i].get(Recorded))
				require.Zero(t, retries[i].get(Ignored)+retries[i].get(Redundant))
				require.Zero(t, acks[i].get(Recorded)+acks[i].get(Redundant))
			} else {
				require.Equal(t, int64(1), acks[i].get(Recorded))
				require.Zero(t, acks[i].get(Ignored))
				require.Zero(t, retries[i].get(Recorded))
			}
		}
	}
}

// AckAll and RetryAll from many goroutines, among calls on messages: one of the
// two decides for the batch, and a message's own call counts as it was told.
func TestFirstBatchCallOfManyGoroutinesWins(t *testing.T) {
	for range 40 {
		l := newLedger(crowd)
		var ackAll, retryAll tally
		var acks, retries [crowd]tally
		together(func(g int, dice *rand.Rand) {
			for n, i := range dice.Perm(crowd) {
				switch {
				case n == crowd/2 && g%2 == 0:
					ackAll.add(l.AckAll())
				case n == crowd/2:
					retryAll.add(l.RetryAll(after(20)))
				case g < goroutines/2:
					acks[i].add(l.Ack(i))
				default:
					retries[i].add(l.Retry(i, after(10)))
				}
			}
		})
		record := seal(l)
		all, _ := record.All()
		if all == Acked {
			require.Equal(t, int64(1), ackAll.get(Recorded))
			require.Zero(t, ackAll.get(Ignored)+retryAll.get(Recorded))
		} else {
			require.Equal(t, int64(goroutines/2), retryAll.get(Recorded))
			require.Zero(t, ackAll.get(Recorded)+ackAll.get(Redundant))
		}
		for i := range crowd {
			own, _ := record.Own(i)
			require.Equal(t, own == Acked, acks[i].get(Recorded) == 1)
			require.LessOrEqual(t, acks[i].get(Recorded), int64(1))
			require.Equal(t, own == Retried, retries[i].get(Recorded) > 0)
			for _, outcome := range []error{nil, errOutcome} {
				require.Equal(t, !record.Verdict(i, outcome).Retry, record.Acked(i, outcome))
			}
			wantRetry := own == Retried || own == None && all == Retried
			require.Equal(t, wantRetry, record.Verdict(i, errOutcome).Retry)
		}
	}
}

// A sealing amid calls: what was recorded counts, what came late does not, and
// one call of many has sealed.
func TestSealAmongCalls(t *testing.T) {
	for range 40 {
		l := newLedger(crowd)
		var acks, retries [crowd]tally
		var seals atomic.Int64
		var want []Verdict
		together(func(g int, dice *rand.Rand) {
			switch g {
			case 0:
				if l.Seal() {
					seals.Add(1)
				}
				record := l.Record()
				want = verdicts(&record, crowd)
			case 1:
				if l.Seal() {
					seals.Add(1)
				}
			default:
				for _, i := range dice.Perm(crowd) {
					if g%2 == 0 {
						acks[i].add(l.Ack(i))
					} else {
						retries[i].add(l.Retry(i, bare))
					}
				}
			}
		})
		record := l.Record()
		require.Equal(t, int64(1), seals.Load())
		require.Equal(t, want, verdicts(&record, crowd), "nothing changes after the sealing")
		for i := range crowd {
			own, _ := record.Own(i)
			require.Equal(t, own == Acked, acks[i].get(Recorded) == 1)
			require.Equal(t, own == Retried, retries[i].get(Recorded) > 0)
		}
	}
}
