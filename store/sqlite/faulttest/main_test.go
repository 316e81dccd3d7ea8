package faulttest

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The disk is ours: where files can be in memory, syncs of a real one do not take time.
	if _, err := os.Stat("/dev/shm"); err == nil {
		if err := os.Setenv("TMPDIR", "/dev/shm"); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}
