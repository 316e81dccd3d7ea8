package inproq_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproq/inproq"
)

func billOf(over time.Duration, write, read, del uint64) inproq.Stats {
	s := inproq.Stats{Over: over}
	s.Ops.Write, s.Ops.Read, s.Ops.Delete = write, read, del
	return s
}

func TestCloudflarePrice(t *testing.T) {
	assert.Equal(t, inproq.Price{PerMillion: 0.40, Included: 1_000_000, Currency: "USD"}, inproq.CloudflarePrice())
}

func TestEstimateBill(t *testing.T) {
	const month = 30 * 24 * time.Hour
	usd := inproq.CloudflarePrice()
	for name, c := range map[string]struct {
		stats inproq.Stats
		price inproq.Price
		want  inproq.Bill
	}{
		"nothing":              {billOf(month, 0, 0, 0), usd, inproq.Bill{Currency: "USD"}},
		"a month":              {billOf(month, 2_000_000, 3_000_000, 1_000_000), usd, inproq.Bill{Write: 2_000_000, Read: 3_000_000, Delete: 1_000_000, Billable: 5_000_000, Cost: 2, Currency: "USD"}},
		"a day":                {billOf(24*time.Hour, 100_000, 100_000, 100_000), usd, inproq.Bill{Write: 3_000_000, Read: 3_000_000, Delete: 3_000_000, Billable: 8_000_000, Cost: 3.2, Currency: "USD"}},
		"a year":               {billOf(12*month, 12_000_000, 12_000_000, 12_000_000), usd, inproq.Bill{Write: 1_000_000, Read: 1_000_000, Delete: 1_000_000, Billable: 2_000_000, Cost: 0.8, Currency: "USD"}},
		"what is included":     {billOf(month, 500_000, 300_000, 200_000), usd, inproq.Bill{Write: 500_000, Read: 300_000, Delete: 200_000, Currency: "USD"}},
		"one more":             {billOf(month, 500_000, 300_000, 200_001), usd, inproq.Bill{Write: 500_000, Read: 300_000, Delete: 200_001, Billable: 1, Cost: 0.4 / 1e6, Currency: "USD"}},
		"no time":              {billOf(0, 1_000_000, 500_000, 500_000), usd, inproq.Bill{Write: 1_000_000, Read: 500_000, Delete: 500_000, Billable: 1_000_000, Cost: 0.4, Currency: "USD"}},
		"rounded":              {billOf(2*month, 1, 2, 3), usd, inproq.Bill{Write: 1, Read: 1, Delete: 2, Currency: "USD"}},
		"another price":        {billOf(month, 10, 20, 30), inproq.Price{PerMillion: 1e6, Currency: "EUR"}, inproq.Bill{Write: 10, Read: 20, Delete: 30, Billable: 60, Cost: 60, Currency: "EUR"}},
		"more than can be had": {billOf(1, 1<<40, 1<<40, 1<<40), inproq.Price{Included: math.MaxUint64}, inproq.Bill{Write: 1 << 62, Read: 1 << 62, Delete: 1 << 62}},
	} {
		got := inproq.EstimateBill(c.stats, c.price)
		assert.InDelta(t, c.want.Cost, got.Cost, 1e-9, name)
		c.want.Cost, got.Cost = 0, 0
		assert.Equal(t, c.want, got, name)
	}
}

func TestBillString(t *testing.T) {
	b := inproq.Bill{Write: 12_345_678, Read: 9, Delete: 1, Billable: 11_345_688, Cost: 4.5382752, Currency: "USD"}
	assert.Equal(t, `operations a month
  write           12345678
  read                   9
  delete                 1
  billable        11345688
cost                  4.54 USD
`, b.String())
}

// A budget: what a system does in an hour may cost so much a month. One that wraps a retry around a call
// that always fails is found out.
func TestBudget(t *testing.T) {
	for name, c := range map[string]struct {
		handle inproq.Handler[string]
		write  uint64
		cost   float64
	}{
		"in budget":   {func(context.Context, *inproq.MessageBatch[string]) error { return nil }, 7_200_000, 0.4 * 20.6},
		"over budget": {consumeFail, 7_200_000, 0.4 * (7.2*(1+101+1) - 1)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := consumeRun(t, inproq.ConsumerConfig{MaxRetries: 100, MaxBatchTimeout: inproq.NoWait}, c.handle)
				for range 1000 {
					r.send("a", "b", "c", "d", "e", "f", "g", "h", "i", "j")
					time.Sleep(3600 * time.Millisecond)
				}
				synctest.Wait()
				require.Equal(t, time.Hour, r.stats().Over)
				bill := inproq.EstimateBill(r.stats().Add(r.broker.Stats("unknown")), inproq.CloudflarePrice())
				assert.Equal(t, c.write, bill.Write)
				assert.Equal(t, c.write, bill.Delete)
				assert.InDelta(t, c.cost, bill.Cost, 1e-6)
			})
		})
	}
}
