package main

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	main()
	// Output:
	// welcome ada@example.org attempt 1
	// welcome grace@example.org attempt 1
	// welcome alan@example.org attempt 2
	// done: <nil>
}
