package main

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// childEnv tells a child in a test to come to grief.
const childEnv = "INPROQ_BENCH_CHILD"

// The test binary is also the program that measureInChild runs.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == measureCommand {
		switch os.Getenv(childEnv) {
		case "panic":
			panic("out of ink")
		case "hang":
			<-time.After(time.Hour)
		}
		if err := child(os.Stdin, os.Stdout); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}
