package queuetest

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
)

// Seeds runs a test with the seeds 1 to n, each as a subtest in a synctest bubble of
// its own, until one fails. Then it says how to replay that seed alone:
//
//	go test -run '^TestPayments$/^seed=17$'
//
// The seeds are always the same. What else the outcome depends on is up to the test: see
// [FaultStore] for handlers that run at the same time. Besides [NewFaultStore] the seeds
// may serve whatever the test draws at random. It fails the test if n is less than 1.
func Seeds(t *testing.T, n int, test func(t *testing.T, seed uint64)) {
	t.Helper()
	if n < 1 {
		t.Fatalf("queuetest: Seeds: n is %d, allowed: 1 and more", n)
	}
	for seed := uint64(1); seed <= uint64(n); seed++ {
		var name string // which has a suffix if the test has had such a seed before
		passed := t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			name = t.Name()
			synctest.Test(t, func(t *testing.T) { test(t, seed) })
		})
		if !passed {
			t.Fatalf("queuetest: seed %d of %d fails; to replay it: go test -run '%s'", seed, n, pattern(name))
		}
	}
}

// pattern is the argument of go test -run for one test.
func pattern(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}
