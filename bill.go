package inproq

import (
	"fmt"
	"time"
)

// Price is what operations cost.
type Price struct {
	PerMillion float64 // operations beyond Included
	Included   uint64  // operations a month
	Currency   string
}

// CloudflarePrice is the published price of Cloudflare Queues: 0.40 USD for a million
// operations, the first million a month included.
//
// See https://developers.cloudflare.com/queues/platform/pricing/.
func CloudflarePrice() Price { return Price{PerMillion: 0.40, Included: 1_000_000, Currency: "USD"} }

// Bill is what a month would cost.
type Bill struct {
	Write, Read, Delete uint64 // operations in a month
	Billable            uint64 // beyond those included
	Cost                float64
	Currency            string
}

// month is what a Bill is for.
const month = 30 * 24 * time.Hour

// EstimateBill tells what a month of 30 days would cost at Cloudflare if all of it
// were like the time that the statistics cover, Stats.Over. Several queues are
// billed together with [Stats.Add]. For a test it is a budget:
//
//	if bill := inproq.EstimateBill(broker.Stats("orders"), inproq.CloudflarePrice()); bill.Cost > 5 {
//		t.Errorf("over budget:\n%v", bill)
//	}
//
// Statistics that cover no time are billed as they are, as a whole month.
func EstimateBill(s Stats, p Price) Bill {
	scale := 1.0
	if s.Over > 0 {
		scale = float64(month) / float64(s.Over)
	}
	times := func(n uint64) uint64 { return uint64(min(float64(n)*scale+0.5, 1<<62)) } // three of them can be added
	b := Bill{Write: times(s.Ops.Write), Read: times(s.Ops.Read), Delete: times(s.Ops.Delete), Currency: p.Currency}
	if all := b.Write + b.Read + b.Delete; all > p.Included {
		b.Billable = all - p.Included
	}
	b.Cost = float64(b.Billable) / 1e6 * p.PerMillion
	return b
}

// String is the bill as a table.
func (b Bill) String() string {
	return fmt.Sprintf(`operations a month
  write    %15d
  read     %15d
  delete   %15d
  billable %15d
cost       %15.2f %s
`, b.Write, b.Read, b.Delete, b.Billable, b.Cost, b.Currency)
}
