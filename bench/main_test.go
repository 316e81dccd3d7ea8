package main

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// The test binary is also the program that measureInChild runs.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == measureCommand {
		if err := child(os.Stdin, os.Stdout); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}
