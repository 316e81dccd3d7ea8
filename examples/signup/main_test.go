package main

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	main()
	// Output:
	// Ada signs up: 202 Accepted
	// Alan signs up: 202 Accepted
	// Grace signs up: 202 Accepted
	// email to ada@example.org: Welcome, Ada!
	// analytics: sign-up of ada@example.org
	// chat: Ada has joined
	// analytics: sign-up of alan@example.org
	// chat: Alan has joined
	// analytics: sign-up of grace@example.org
	// chat: Grace has joined
	// email to alan@example.org: Welcome, Alan!
	// dead letter from signups: email for Grace, retries_exhausted after 4 attempts: 550 grace@example.org: no such mailbox
}
