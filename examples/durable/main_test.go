package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain is the shop when the example starts this binary again.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-work" {
		flag.CommandLine = flag.NewFlagSet(os.Args[0], flag.ExitOnError)
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

func Example() {
	tellTheStory()
	// Output:
	// the first process:
	//   shipped a book, attempt 1
	//   shipped a pen, attempt 1
	// killed. The second process:
	//   shipped a lamp, attempt 2
	//   shipped a chair, attempt 1
	//   shipped a desk, attempt 1
}

func tellTheStory() {
	os.Args = os.Args[:1] // without the flags of go test
	flag.CommandLine = flag.NewFlagSet(os.Args[0], flag.ExitOnError)
	main()
}

// Everything that was ordered is shipped once, however often the shop is killed.
func TestKilledAtEveryOrder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shop.db")
	var out bytes.Buffer
	for _, die := range []string{"-die=1", "-die=2", "-die=3", "-die=4", "-die=5"} {
		require.Error(t, start(t.Context(), &out, file, die), "the process was killed")
	}
	require.NoError(t, start(t.Context(), &out, file))
	for _, item := range []string{"a book", "a pen", "a lamp", "a chair", "a desk"} {
		assert.Equal(t, 1, strings.Count(out.String(), "shipped "+item+","), out.String())
	}
}
