package sqlite_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	beChild() // of a crash test
	goleak.VerifyTestMain(m)
}
