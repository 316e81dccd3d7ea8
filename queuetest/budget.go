package queuetest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/inproq/inproq"
)

// AssertBudget fails the test if a month like the time since the broker was made would
// cost more than most, in the price's currency, and shows the bill. It bills the queues
// together; none: all of the broker, without those that were deleted. Reports whether
// all is well; the test goes on.
//
// What the time covers is up to the test: in a synctest bubble, a virtual hour of
// typical traffic is billed 720 times. Without a bubble a second is, 2,592,000 times. That
// no time has passed at all fails the test.
func AssertBudget(t testing.TB, b *inproq.Broker, price inproq.Price, most float64, queues ...string) bool {
	t.Helper()
	var names []string
	for info, err := range b.Queues(context.Background()) {
		if err != nil {
			t.Errorf("queuetest: %v", err)
			return false
		}
		names = append(names, info.Name)
	}
	for _, name := range queues {
		if !slices.Contains(names, name) {
			t.Errorf("queuetest: there is no queue %q to bill", name)
			return false
		}
	}
	if len(queues) > 0 {
		names = slices.Compact(slices.Sorted(slices.Values(queues)))
	}
	var sum inproq.Stats
	for _, name := range names {
		sum = sum.Add(b.Stats(name))
	}
	if len(names) > 0 && sum.Over == 0 {
		t.Errorf("queuetest: no time has passed since the broker was made: let that pass which the traffic stands for")
		return false
	}
	bill := inproq.EstimateBill(sum, price)
	if bill.Cost <= most {
		return true
	}
	t.Errorf("queuetest: over a budget of %.2f %s a month for %s:\n%v", most, price.Currency, strings.Join(names, ", "), bill)
	return false
}
